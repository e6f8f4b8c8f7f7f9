"""Batches: what they hold, that they depend on (seed, epoch, step) alone, and how they are streamed."""

import threading
from unittest.mock import Mock

import pytest
import torch

from nas_reid.data.augment import build_augment, normalise
from nas_reid.data.batches import EvalBatches, LoadShare, TrainBatches
from nas_reid.data.sample import Sample
from nas_reid.data.sampler import IdentitySampler
from nas_reid.data.store import ImageStore

AUGMENT = {"flip": {}, "crop": {"padding": 2}, "erase": {}}


@pytest.fixture(scope="module")
def store():
    """56 images of eight identities; the rows in use are the even ones, in reverse order."""
    images = torch.randint(256, (56, 12, 6, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ImageStore(images, tuple(Sample(f"{i:02d}.jpg", i % 8, i % 3, modality=i % 2) for i in range(56)))


ROWS = torch.arange(54, -1, -2)


def batches(store, *, seed=0, augment=AUGMENT, **options):
    labels = store.pids[ROWS] // 2
    sampler = IdentitySampler(labels, num_identities=3, num_instances=2, seed=5)
    return TrainBatches(store, ROWS, labels, sampler, build_augment(augment), seed=seed, device="cpu", **options)


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_images_labels_and_modalities_belong_together(store):
    loader = batches(store, augment={})
    chosen = IdentitySampler(store.pids[ROWS] // 2, num_identities=3, num_instances=2, seed=5).epoch(4)[1]
    batch = loader.load(4, 1)
    assert torch.equal(batch.images, normalise(store.images[ROWS[chosen]]))
    assert torch.equal(batch.labels, store.pids[ROWS[chosen]] // 2)
    assert torch.equal(batch.modalities, store.modalities[ROWS[chosen]])
    assert batch.images.shape == (6, 3, 12, 6) and batch.images.is_contiguous(memory_format=torch.channels_last)


def test_pure_in_seed_epoch_and_step(store):
    loader = batches(store)
    first = loader.load(2, 1)
    assert same(loader.load(3, 0), batches(store).load(3, 0))  # after another epoch's batch
    assert same(first, loader.load(2, 1)) and same(first, batches(store).load(2, 1))
    assert not torch.equal(first.images, batches(store, seed=1).load(2, 1).images)


def test_augmentation_is_seeded_by_epoch_and_step(store):
    seeds = []
    loader = batches(store)
    loader._augment = Mock(mixes_images=True, side_effect=lambda images, generator: (
        seeds.append(generator.initial_seed()), images)[1])
    for when in ((0, 0), (0, 1), (1, 0), (1, 1), (0, 0)):
        loader.load(*when)
    assert len(set(seeds)) == 4 and seeds[0] == seeds[-1]


def test_resident_images_give_the_same_batches(store):
    assert same(batches(store, resident=True).load(1, 2), batches(store, resident=False).load(1, 2))


def test_epoch_and_its_continuation(store):
    loader = batches(store)
    assert len(loader) == 4
    whole = list(loader.epoch(1))
    assert len(whole) == 4 and all(same(batch, loader.load(1, step)) for step, batch in enumerate(whole))
    rest = list(batches(store).epoch(1, start=1))
    assert len(rest) == 3 and all(same(*pair) for pair in zip(whole[1:], rest, strict=True))
    assert list(loader.epoch(1, start=4)) == []


def test_stream_runs_over_the_ends_of_epochs(store):
    loader = batches(store)
    streamed = list(loader.stream(2, 5))
    expected = [loader.load(*when) for when in ((0, 2), (0, 3), (1, 0), (1, 1), (1, 2))]
    assert all(same(*pair) for pair in zip(streamed, expected, strict=True))


def test_the_next_batch_is_loaded_while_one_is_used(store):
    loader = batches(store)
    loaded, second = [], threading.Event()

    def augment(images, generator):
        loaded.append(threading.current_thread())
        if len(loaded) == 2:
            second.set()
        return normalise(images)

    loader._augment = Mock(mixes_images=True, side_effect=augment)
    stream = loader.stream(0, 3)
    next(stream)
    assert second.wait(5) and len(loaded) == 2 and threading.main_thread() not in loaded
    stream.close()
    assert not any(thread.is_alive() for thread in loaded)


def test_errors_of_the_thread_come_through(store):
    loader = batches(store)
    loader._augment = Mock(mixes_images=True, side_effect=ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        next(loader.epoch(0))


def test_waiting_is_counted(store):
    loader = batches(store)
    list(loader.epoch(0))
    waited = loader.waited_s
    assert waited > 0
    list(loader.epoch(1))
    assert loader.waited_s > waited


def test_labels_must_match_the_images(store):
    with pytest.raises(ValueError, match="28 images and 27 labels"):
        TrainBatches(store, ROWS, torch.zeros(27), None, None, seed=0, device="cpu")


def test_evaluation_batches_keep_the_order(store):
    loader = EvalBatches(store, ROWS, batch_size=8, device="cpu")
    assert len(loader) == 4
    for _ in range(2):
        found = list(loader)
        assert [len(batch.images) for batch in found] == [7, 7, 7, 7]
        assert torch.equal(torch.cat([batch.images for batch in found]), normalise(store.images[ROWS]))
        assert torch.equal(torch.cat([batch.modalities for batch in found]), store.modalities[ROWS])
    assert torch.equal(loader.pids, store.pids[ROWS]) and torch.equal(loader.camids, store.camids[ROWS])
    for count, sizes in ((9, [5, 4]), (17, [6, 6, 5]), (8, [8]), (1, [1])):  # never a last batch of one
        assert [len(batch.images) for batch in EvalBatches(store, ROWS[:count], batch_size=8, device="cpu")] == sizes
    assert list(EvalBatches(store, ROWS[:0], batch_size=8, device="cpu")) == []


@pytest.mark.gpu
def test_no_step_waits_for_the_gpu(store):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    full = {**AUGMENT, "jitter": {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2},
            "cutout": {"p": 0.5}, "autoaugment": {"p": 0.5}}
    labels = store.pids[ROWS] // 2
    sampler = IdentitySampler(labels, num_identities=3, num_instances=2, seed=5)
    for resident in (True, False):
        loader = TrainBatches(store, ROWS, labels, sampler, build_augment(full), seed=0, device="cuda",
                              resident=resident)
        first = loader.load(0, 0)
        torch.cuda.set_sync_debug_mode("error")
        try:
            again, *_ = [loader.load(0, step) for step in range(len(loader))]
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert torch.equal(first.images, again.images)


def test_the_share_of_time_that_steps_wait_for_batches(store, monkeypatch):
    now = [10.0]
    monkeypatch.setattr("nas_reid.data.batches.time.perf_counter", lambda: now[0])
    loaders = [batches(store), batches(store)]
    loaders[0].waited_s = 7.0  # of an earlier epoch
    share = LoadShare(loaders)
    now[0], loaders[0].waited_s, loaders[1].waited_s = 30.0, 8.0, 3.0
    assert share() == pytest.approx(4 / 20)
