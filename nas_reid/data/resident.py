"""Evaluation images that are looked at many times: decoded, normalised and kept in memory, and cut by identity."""

from collections.abc import Iterator

import torch
from torch import Tensor

from nas_reid.data.batches import EvalBatch, EvalBatches


class ResidentBatches:
    """The images of ``EvalBatches``, on its device. Iterates like it, in batches whose sizes differ by one at most.

    Args:
        images: float32 [N, 3, H, W], normalised.
        pids, camids, modalities: int64 [N].
        batch_size: most images in a batch.
    """

    def __init__(self, images: Tensor, pids: Tensor, camids: Tensor, modalities: Tensor, *, batch_size: int) -> None:
        self.images, self.pids, self.camids, self.modalities = images, pids, camids, modalities
        self.batch_size = batch_size

    @staticmethod
    def of(batches: EvalBatches) -> "ResidentBatches":
        """Load all of ``batches``."""
        images = torch.cat([batch.images for batch in batches])
        return ResidentBatches(images, batches.pids, batches.camids, batches.modalities,
                               batch_size=batches.batch_size)

    def __len__(self) -> int:
        """Number of batches."""
        return -(-len(self.pids) // self.batch_size)

    def __iter__(self) -> Iterator[EvalBatch]:
        """The batches."""
        for rows in torch.arange(len(self.pids)).tensor_split(len(self)):
            yield EvalBatch(self.images[rows.to(self.images.device, non_blocking=True)], self.modalities[rows])

    def of_people(self, pids: Tensor) -> "ResidentBatches":
        """The images of some identities, in order; distractors (pid 0) stay."""
        rows = torch.isin(self.pids, pids) | (self.pids == 0)
        return ResidentBatches(self.images[rows], self.pids[rows], self.camids[rows], self.modalities[rows],
                               batch_size=self.batch_size)


EvalImages = EvalBatches | ResidentBatches
