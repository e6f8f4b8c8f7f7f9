"""Retrieval embeddings of many images."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from nas_reid.errors import DataError
from nas_reid.progress import progress


class ImageBatch(Protocol):
    """What ``extract`` reads of a batch: ``images`` [B, 3, H, W], normalised, and ``modalities`` [B]."""

    images: Tensor
    modalities: Tensor


def extract(network: nn.Module, batches: Iterable[ImageBatch], *, flip: bool,
            device: torch.device | str) -> Tensor:
    """Embed every image of ``batches`` with ``network`` in evaluation mode.

    Args:
        network: ``network(images, modality=modalities)`` returns [B, D] in evaluation mode. Every module gets its
            own training flag back afterwards, so that what was frozen stays frozen.
        batches: in the order the features shall have.
        flip: embed each image and its mirror image and take the mean of the two raw features.
        device: where the network lies.

    Returns:
        float32 [N, D] on the CPU.

    Raises:
        DataError: there is no batch.
    """
    features = []
    with _evaluating(network), torch.inference_mode():
        for batch in progress(batches, description="extract", unit="batch"):
            images = batch.images.to(device, non_blocking=True)
            modalities = batch.modalities.to(device, non_blocking=True)
            views = (images, images.flip(-1)) if flip else (images,)
            embeddings = [network(view, modality=modalities).float() for view in views]
            features.append((sum(embeddings) / len(views)).cpu())
    if not features:
        raise DataError("there are no images to extract features from; the query or gallery list is empty")
    # Joined outside inference mode, so that the result is an ordinary tensor.
    return torch.cat(features)


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode for the duration, then the training flag of each module as it was."""
    training = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, flag in training:
            module.training = flag
