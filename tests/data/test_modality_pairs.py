"""Properties of P x (K / 2 visible + K / 2 infrared) epochs."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_reid.data.modality_pairs import ModalityPairSampler
from nas_reid.errors import ConfigError, DataError

few = settings(max_examples=60, deadline=None, derandomize=True)


def images(counts: list[tuple[int, int]], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels and modalities of as many (visible, infrared) images of each identity, in random order."""
    rows = [(3 * label, modality) for label, pair in enumerate(counts) for modality in (0, 1)
            for _ in range(pair[modality])]
    table = np.random.default_rng(seed).permutation(np.array(rows))
    return torch.from_numpy(table[:, 0].copy()), torch.from_numpy(table[:, 1].copy())


@st.composite
def cases(draw):
    paired = draw(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=8))
    alone = draw(st.lists(st.sampled_from([(0, 3), (2, 0)]), max_size=3))
    identities, half = draw(st.integers(1, len(paired))), draw(st.integers(1, 4))
    return paired, alone, identities, 2 * half, draw(st.integers(0, 99))


@few
@given(cases())
def test_every_identity_of_a_batch_has_both_modalities(case):
    paired, alone, identities, instances, seed = case
    labels, modalities = images([*paired, *alone], seed)
    sampler = ModalityPairSampler(labels, modalities, num_identities=identities, num_instances=instances, seed=seed)
    per_batch = identities * instances // 2
    longest = max(sum(pair[modality] for pair in paired) for modality in (0, 1))
    assert sampler.num_batches == -(-longest // per_batch) and sampler.num_left_out == len(alone)
    for epoch in range(3):
        batches = sampler.epoch(epoch)
        assert batches.shape == (sampler.num_batches, 2 * per_batch) and batches.dtype == torch.int64
        people = labels[batches].view(-1, identities, instances)
        assert (people == people[:, :, :1]).all() and people.max() < 3 * len(paired)
        assert all(len(row.unique()) == identities for row in people[:, :, 0])
        kinds = modalities[batches].view(-1, identities, 2, instances // 2)
        assert (kinds[:, :, 0] == 0).all() and (kinds[:, :, 1] == 1).all()
        turns = people[:, :, 0].flatten().bincount(minlength=3 * len(paired))[::3]
        assert turns.max() - turns.min() <= 1
        drawn = batches.flatten().bincount(minlength=len(labels))
        for label in range(len(paired)):
            for modality in (0, 1):
                times = drawn[(labels == 3 * label) & (modalities == modality)]
                assert times.max() - times.min() <= 1  # images take turns
                assert times.sum() == turns[label] * instances // 2


@few
@given(cases(), st.integers(0, 5))
def test_pure_function_of_seed_and_epoch(case, epoch):
    paired, alone, identities, instances, seed = case
    one, other = (ModalityPairSampler(*images([*paired, *alone], seed), num_identities=identities,
                                      num_instances=instances, seed=seed) for _ in range(2))
    one.epoch(epoch + 1)
    assert torch.equal(one.epoch(epoch), other.epoch(epoch))


def test_epochs_and_seeds_differ():
    data = images([(9, 9)] * 20)
    first, second = (ModalityPairSampler(*data, num_identities=4, num_instances=4, seed=seed) for seed in (0, 1))
    assert not torch.equal(first.epoch(0), first.epoch(1)) and not torch.equal(first.epoch(0), second.epoch(0))


@pytest.mark.parametrize(("visible", "infrared", "people", "batches"), [(22_258, 11_909, 395, 696),
                                                                        (2_060, 2_060, 206, 65)])
def test_official_lengths_of_an_epoch(visible, infrared, people, batches):
    """facts/crossmodal.md, items 1 and 4: 8 identities x (4 + 4) on SYSU-MM01 and RegDB."""
    counts = [tuple(total // people + (label < total % people) for total in (visible, infrared))
              for label in range(people)]
    labels, modalities = images(counts)
    assert len(labels) == visible + infrared
    sampler = ModalityPairSampler(labels, modalities, num_identities=8, num_instances=8, seed=0)
    assert sampler.num_batches == batches and sampler.epoch(0).shape == (batches, 64)


def test_who_meets_whom_is_random():
    sampler = ModalityPairSampler(*images([(4, 4)] * 9), num_identities=4, num_instances=4, seed=0)
    labels = images([(4, 4)] * 9)[0]
    meetings = Counter(tuple(sorted(row)) for epoch in range(60)
                       for row in labels[sampler.epoch(epoch)].view(-1, 4, 4)[:, :, 0].tolist())
    assert len(meetings) > 80  # of the 126 groups of 4 among 9


def test_left_out_identities_are_counted(caplog):
    ModalityPairSampler(*images([(2, 2), (3, 0), (0, 1), (1, 1)]), num_identities=2, num_instances=2, seed=0)
    assert "left out 2 of 4 training identities, of which there are visible images only or infrared ones" in caplog.text


def test_errors():
    pairs = images([(2, 2), (3, 3), (3, 0)])
    with pytest.raises(DataError, match=r"needs 3 identities with visible and infrared images, and 2 of 3 have both"):
        ModalityPairSampler(*pairs, num_identities=3, num_instances=2, seed=0)
    for modality, kind in ((0, "visible"), (1, "infrared")):
        with pytest.raises(DataError, match=rf"needs visible and infrared images, and all 11 .* are {kind}.*identity"):
            ModalityPairSampler(pairs[0][:11], torch.full((11,), modality), num_identities=1, num_instances=2, seed=0)
    with pytest.raises(ConfigError, match=r"batch\.instances=3 must be even"):
        ModalityPairSampler(*pairs, num_identities=1, num_instances=3, seed=0)
