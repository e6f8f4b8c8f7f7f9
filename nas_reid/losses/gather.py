"""The batch of all processes, so that losses which compare images mine as if one process had it all."""

from nas_reid.losses.loss import LossInput
from nas_reid.parallel.processes import world
from nas_reid.parallel.tensors import gather


def gather_batch(batch: LossInput) -> LossInput:
    """Features, labels and modalities of all processes, in order of rank; the batch itself where there is one process.

    Every process computes the same loss of the gathered batch, and the mean of the processes' gradients is that of a
    single process; see ``nas_reid.parallel.tensors``. ``logits`` stay those of this process.
    """
    if world() == 1:
        return batch
    modalities = None if batch.modalities is None else gather(batch.modalities)
    return LossInput(gather(batch.features), batch.logits, gather(batch.labels), modalities)
