"""Evaluation images in memory: the same batches, and those of some identities."""

import torch

from nas_reid.data.resident import ResidentBatches


def batches(count: int, size: int) -> ResidentBatches:
    images = torch.arange(count, dtype=torch.float32)[:, None, None, None].expand(count, 3, 2, 1)
    pids = torch.arange(count) % 4  # pid 0 is a distractor
    return ResidentBatches(images, pids, torch.arange(count) % 3, torch.zeros(count, dtype=torch.long), batch_size=size)


def test_batches_differ_in_size_by_one_and_keep_the_order() -> None:
    parts = [batch.images[:, 0, 0, 0] for batch in batches(11, 4)]
    assert [len(part) for part in parts] == [4, 4, 3]
    assert torch.equal(torch.cat(parts), torch.arange(11.0)) and len(batches(11, 4)) == 3


def test_people_are_chosen_and_distractors_stay() -> None:
    some = batches(8, 4).of_people(torch.tensor([2, 3]))
    assert some.pids.tolist() == [0, 2, 3, 0, 2, 3] and some.camids.tolist() == [0, 2, 0, 1, 0, 1]
    assert torch.cat([batch.images[:, 0, 0, 0] for batch in some]).tolist() == [0, 2, 3, 4, 6, 7]
