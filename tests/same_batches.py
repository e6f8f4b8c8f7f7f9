"""Batches for a training loop, without a store."""

from nas_reid.data.batches import Batch


class SameBatches(list):
    """The same batches whatever the epoch."""

    waited_s = 0.0

    def epoch(self, _: int) -> list[Batch]:
        return self
