"""The image store: what it holds, what keys it, and what it does with broken files and full disks."""

import logging
import os
import resource
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from nas_reid.data import store as store_module
from nas_reid.data.sample import Sample
from nas_reid.data.store import build_store
from nas_reid.errors import ConfigError, DataError
from nas_reid.files import unfinished
from nas_reid.files.leftovers import lock_of
from nas_reid.files.lock import holding

SIZE = (16, 8)


@pytest.fixture
def folder(tmp_path):
    """Five PNGs of different sizes, and their samples."""
    rng = np.random.default_rng(0)
    for i in range(5):
        pixels = rng.integers(0, 256, (20 + i, 11 - i, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i + 1}_c{i % 2 + 1}.png")
    return tmp_path


SAMPLES = tuple(Sample(f"{i + 1}_c{i % 2 + 1}.png", i + 1, i % 2) for i in range(5))


def build(folder, samples=SAMPLES, image_size=SIZE, on_corrupt="error", cache="cache", workers=2):
    return build_store(folder, samples, image_size=image_size, cache_dir=folder / cache, workers=workers,
                       on_corrupt=on_corrupt)


def count_decodes(monkeypatch):
    calls = []
    original = store_module.decode
    monkeypatch.setattr(store_module, "decode", lambda *args: (calls.append(args), original(*args))[1])
    return calls


def test_images_are_pillows_bilinear_resize(folder):
    store = build(folder)
    assert store.images.shape == (5, *SIZE, 3) and store.images.dtype == torch.uint8
    for row, path in enumerate(store.paths):
        expected = Image.open(folder / path).resize(SIZE[::-1], Image.Resampling.BILINEAR)
        assert np.array_equal(store.images[row].numpy(), np.asarray(expected))
    assert store.pids.tolist() == [1, 2, 3, 4, 5] and store.camids.tolist() == [0, 1, 0, 1, 0]
    assert store.modalities.tolist() == [0] * 5 and store.pids.dtype == torch.int64


def test_decoded_once_and_again_only_when_something_changed(folder, monkeypatch):
    calls = count_decodes(monkeypatch)
    first = build(folder)
    again = build(folder)
    assert len(calls) == 5 and torch.equal(first.images, again.images)
    build(folder, image_size=(8, 8))
    assert len(calls) == 10
    os.utime(folder / SAMPLES[0].path, ns=(0, 12345))
    build(folder)
    assert len(calls) == 15
    build(folder, SAMPLES[::-1])
    assert len(calls) == 20


def test_writing_into_the_images_does_not_reach_the_file(folder):
    expected = build(folder).images.clone()
    build(folder).images.zero_()
    assert torch.equal(build(folder).images, expected)


def test_number_of_workers_changes_nothing(folder):
    stores = [build(folder, cache=f"cache{n}", workers=n) for n in (1, 4)]
    assert torch.equal(stores[0].images, stores[1].images)


def test_every_mode_becomes_rgb(tmp_path):
    ramp = np.linspace(0, 255, 16 * 8).reshape(16, 8)
    grey = Image.fromarray(ramp.astype(np.uint8))
    colour = Image.merge("RGB", (grey, grey.transpose(Image.Transpose.FLIP_LEFT_RIGHT), grey))
    palette = colour.convert("P", palette=Image.Palette.ADAPTIVE, colors=256)
    images = {"L.png": grey, "RGBA.png": colour.convert("RGBA"), "CMYK.jpg": colour.convert("CMYK"), "P.png": palette,
              "1.png": grey.convert("1"), "I16.png": Image.fromarray((ramp * 256).astype(np.uint16))}
    for name, image in images.items():
        image.save(tmp_path / name, **({"transparency": b"\0" * 9} if name == "P.png" else {}))
    store = build(tmp_path, [Sample(name, 1, 0) for name in images])
    by_name = dict(zip(images, store.images.numpy().astype(int), strict=True))
    for name in ("L.png", "I16.png"):
        assert np.array_equal(by_name[name], np.stack([ramp.astype(np.uint8)] * 3, -1)), name
    assert np.array_equal(by_name["RGBA.png"], np.asarray(colour))
    assert np.abs(by_name["CMYK.jpg"] - np.asarray(colour)).mean() < 6
    assert np.array_equal(by_name["P.png"], np.asarray(palette.convert("RGB")))
    assert set(np.unique(by_name["1.png"])) == {0, 255}


def break_files(folder):
    (folder / SAMPLES[1].path).write_bytes(b"no image")
    content = (folder / SAMPLES[3].path).read_bytes()
    (folder / SAMPLES[3].path).write_bytes(content[:len(content) // 2])
    (folder / SAMPLES[4].path).unlink()


def test_all_unreadable_images_are_listed_and_nothing_is_left(folder):
    break_files(folder)
    with pytest.raises(DataError, match=r"3 of 5 images.*on_corrupt=skip") as error:
        build(folder)
    assert all(SAMPLES[i].path in str(error.value) for i in (1, 3, 4))
    assert "cannot identify" in str(error.value) and "truncated" in str(error.value)
    assert list((folder / "cache").iterdir()) == []


def test_a_long_list_is_capped_with_its_count(tmp_path):
    with pytest.raises(DataError, match=r"30 of 30 images.*check data.root(?s:.)*and 10 more"):
        build(tmp_path, [Sample(f"{i}.jpg", 1, 0) for i in range(30)])


def test_skip_leaves_them_out_with_a_warning(folder, caplog):
    intact = build(folder).images[[0, 2]].clone()
    break_files(folder)
    with caplog.at_level(logging.WARNING):
        store = build(folder, on_corrupt="skip")
    assert "left out 3 unreadable images" in caplog.text
    assert torch.equal(store.images, intact) and store.pids.tolist() == [1, 3]
    assert store.skipped == {SAMPLES[i].path for i in (1, 3, 4)}
    assert store.rows(SAMPLES[1:]).tolist() == [1]
    assert torch.equal(build(folder, on_corrupt="skip").images, intact)
    with pytest.raises(DataError, match="3 of 5 images"):
        build(folder, on_corrupt="error")


def test_nothing_readable_is_an_error_even_when_skipping(folder):
    for sample in SAMPLES:
        (folder / sample.path).write_bytes(b"")
    with pytest.raises(DataError, match="5 of 5 images"):
        build(folder, on_corrupt="skip")


def test_rows_follow_the_samples_asked_for(folder):
    store = build(folder)
    assert store.rows([SAMPLES[3], SAMPLES[0]]).tolist() == [3, 0]
    with pytest.raises(KeyError):
        store.rows([Sample("elsewhere.png", 1, 0)])


def test_full_disk_before_and_during_writing(folder, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
        with pytest.raises(DataError, match=r"0\.000 MB free .* need 0\.002 MB; .*NAS_REID_CACHE"):
            build(folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        with pytest.raises(DataError, match=r"cannot write decoded images.*NAS_REID_CACHE"):
            build(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((folder / "cache").iterdir()) == []


def test_unusable_cache_folder(folder):
    (folder / "cache").touch()
    with pytest.raises(DataError, match="cannot write decoded images"):
        build(folder)


def test_damaged_store_is_built_again_and_says_so(folder, caplog):
    expected = build(folder).images.clone()
    file, = (folder / "cache").iterdir()
    whole = file.read_bytes()
    overwritten = [whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1:]
                   for position in (0, 5 * 16 * 8 * 3 - 1, 5 * 16 * 8 * 3, len(whole) - 20, len(whole) - 1)]
    for content in (b"", whole[:100], whole[:-1], whole + b"0", bytes(len(whole)), *overwritten):
        file.write_bytes(content)
        caplog.clear()
        assert torch.equal(build(folder).images, expected)
        assert f"the image store {file} is damaged; its images are decoded again" in caplog.text
        assert file.read_bytes() == whole


def test_concurrent_builders_agree_and_leave_one_file(folder):
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: build(folder), range(4)))
    assert all(torch.equal(store.images, stores[0].images) for store in stores)
    assert len(list((folder / "cache").iterdir())) == 1


def test_leftovers_of_killed_builders_are_removed_but_not_those_of_living_ones(folder):
    build(folder)
    file, = (folder / "cache").iterdir()
    living, dead = (unfinished(file.with_name(f"{name}.images")) for name in ("living", "dead"))
    living.touch()
    dead.touch()
    lock_of(file.with_name("dead.images")).touch()
    with holding(lock_of(file.with_name("living.images"))):
        build(folder)  # which is there already: every start removes what it finds
        assert {path.name for path in (folder / "cache").iterdir()} == {file.name, living.name, ".living.images.lock"}


def test_one_decodes_and_the_others_wait_and_say_so(folder, monkeypatch, caplog):
    calls, begun = count_decodes(monkeypatch), threading.Event()
    counted = store_module.decode

    def slowly(*arguments):
        begun.set()
        time.sleep(0.02)
        return counted(*arguments)

    monkeypatch.setattr(store_module, "decode", slowly)
    with ThreadPoolExecutor(2) as pool, caplog.at_level(logging.INFO):
        first = pool.submit(build, folder)
        begun.wait(10)
        second = pool.submit(build, folder)
        assert torch.equal(first.result().images, second.result().images)
    assert len(calls) == 5
    assert f"process {os.getpid()} on " in caplog.text and "is making the decoded images of" in caplog.text
    assert len(list((folder / "cache").iterdir())) == 1


def test_without_locks_both_decode(folder, monkeypatch):
    monkeypatch.setattr("nas_reid.files.lock.fcntl", None)
    calls = count_decodes(monkeypatch)
    with ThreadPoolExecutor(2) as pool:
        stores = list(pool.map(lambda _: build(folder), range(2)))
    assert torch.equal(stores[0].images, stores[1].images) and len(calls) in (5, 10)


def test_bad_arguments(folder):
    with pytest.raises(DataError, match="no images"):
        build(folder, [])
    with pytest.raises(ConfigError, match=r"'ignore'.*'error' or 'skip'"):
        build(folder, on_corrupt="ignore")
    with pytest.raises(ConfigError, match=r"\(0, 8\)"):
        build(folder, image_size=(0, 8))
