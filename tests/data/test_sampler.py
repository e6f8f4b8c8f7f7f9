"""Properties of P x K epochs."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_reid.data.sampler import IdentitySampler
from nas_reid.errors import ConfigError, DataError

few = settings(max_examples=60, deadline=None, derandomize=True)


@st.composite
def cases(draw):
    counts = draw(st.lists(st.integers(1, 12), min_size=1, max_size=9))
    labels = np.random.default_rng(draw(st.integers(0, 9))).permutation(np.repeat(np.arange(len(counts)) * 3, counts))
    identities, instances = draw(st.integers(1, len(counts))), draw(st.integers(1, 5))
    return torch.from_numpy(labels), identities, instances, draw(st.integers(0, 99))


def most_batches(labels, identities, instances):
    """Greedy from the largest: optimal for batches of different identities."""
    chunks = [max(1, count // instances) for count in labels.unique(return_counts=True)[1].tolist()]
    batches = 0
    while sum(chunk > 0 for chunk in chunks) >= identities:
        chunks.sort(reverse=True)
        chunks = [chunk - (i < identities) for i, chunk in enumerate(chunks)]
        batches += 1
    return batches


@few
@given(cases())
def test_batches_are_p_identities_of_k_images(case):
    labels, identities, instances, seed = case
    sampler = IdentitySampler(labels, num_identities=identities, num_instances=instances, seed=seed)
    assert sampler.num_batches == most_batches(labels, identities, instances) >= 1
    counts = dict(zip(*(values.tolist() for values in labels.unique(return_counts=True)), strict=True))
    for epoch in range(3):
        batches = sampler.epoch(epoch)
        assert batches.shape == (sampler.num_batches, identities * instances) and batches.dtype == torch.int64
        groups = labels[batches].view(-1, identities, instances)
        assert (groups == groups[:, :, :1]).all()
        assert all(len(row.unique()) == identities for row in groups[:, :, 0])
        images, times = batches.unique(return_counts=True)
        for image, count in zip(images.tolist(), times.tolist(), strict=True):
            owned = counts[int(labels[image])]
            assert count <= (1 if owned >= instances else -(-instances // owned))


@few
@given(cases(), st.integers(0, 5))
def test_pure_function_of_seed_and_epoch(case, epoch):
    labels, identities, instances, seed = case
    one, other = (IdentitySampler(labels, num_identities=identities, num_instances=instances, seed=seed)
                  for _ in range(2))
    one.epoch(epoch + 1)
    assert torch.equal(one.epoch(epoch), other.epoch(epoch))


def market_like():
    return torch.from_numpy(np.repeat(np.arange(150), np.random.default_rng(0).integers(2, 40, 150)))


def test_nearly_all_images_occur_once_in_an_epoch():
    labels = market_like()
    batches = IdentitySampler(labels, num_identities=8, num_instances=4, seed=0).epoch(0)
    counts = labels.unique(return_counts=True)[1]
    full = int((counts.clamp(min=4) // 4).sum())
    assert full - 8 < 8 * len(batches) <= full


def test_epochs_and_seeds_differ():
    first = IdentitySampler(market_like(), num_identities=8, num_instances=4, seed=0)
    second = IdentitySampler(market_like(), num_identities=8, num_instances=4, seed=1)
    assert not torch.equal(first.epoch(0), first.epoch(1))
    assert not torch.equal(first.epoch(0), second.epoch(0))


def test_every_pair_of_identities_meets_about_equally_often():
    labels = torch.arange(12).repeat_interleave(12)
    sampler = IdentitySampler(labels, num_identities=5, num_instances=4, seed=0)
    met = torch.zeros(12, 12)
    repeats = 0
    for epoch in range(300):
        present = torch.zeros(sampler.num_batches, 12)
        present.scatter_(1, labels[sampler.epoch(epoch)], 1.0)
        together = present.T @ present
        met += together
        repeats += int((together.triu(1) == 3).sum())
    met = met[~torch.eye(12, dtype=torch.bool)]
    # 300 epochs x 7 batches x 10 pairs / 66 pairs = 318 meetings of each pair; sd of a Poisson count 18
    assert abs(met.mean() - 318.18) < 0.1 and met.min() > 240 and met.max() < 400
    # Pairs that share all three of their batches: 1 / C(7, 3) = 0.029 of those in different columns, none within one.
    assert repeats / (300 * 66) < 0.022


def test_every_image_is_drawn_in_the_long_run():
    labels = torch.tensor([0] * 7 + [1] * 5 + [2] * 3)
    sampler = IdentitySampler(labels, num_identities=2, num_instances=4, seed=0)
    assert torch.cat([sampler.epoch(epoch).flatten() for epoch in range(40)]).unique().numel() == len(labels)


def test_small_identities_repeat_evenly():
    batch = IdentitySampler(torch.tensor([5, 5, 5]), num_identities=1, num_instances=4, seed=0).epoch(0)
    assert sorted(batch.unique(return_counts=True)[1].tolist()) == [1, 1, 2]


def test_errors():
    labels = torch.tensor([0, 0, 1])
    with pytest.raises(DataError, match=r"needs 3 identities and the data have 2"):
        IdentitySampler(labels, num_identities=3, num_instances=1, seed=0)
    with pytest.raises(DataError, match="data have 0"):
        IdentitySampler(labels[:0], num_identities=1, num_instances=1, seed=0)
    with pytest.raises(ConfigError, match=">= 1"):
        IdentitySampler(labels, num_identities=1, num_instances=0, seed=0)


def test_one_identity_cannot_be_told_from_anybody():
    with pytest.raises(DataError, match="the data have 1; there is nobody to tell from it: give data of two or more"):
        IdentitySampler(torch.zeros(8, dtype=torch.int64), num_identities=2, num_instances=2, seed=0)
