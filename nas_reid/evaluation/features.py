"""Retrieval embeddings of many images."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from nas_reid.errors import ConfigError, DataError
from nas_reid.parallel.tensors import join
from nas_reid.progress import progress
from nas_reid.seed import seed_draws

_MAPS_MEMORY = 8 * 2**30  # bytes that the feature maps of one list may take


class ImageBatch(Protocol):
    """What ``extract`` reads of a batch."""

    @property
    def images(self) -> Tensor:
        """[B, 3, H, W], normalised."""

    @property
    def modalities(self) -> Tensor:
        """[B], on the host."""


@runtime_checkable
class Shared(Protocol):
    """Batches of which each of several processes runs a part."""

    def own(self) -> Iterator[ImageBatch]:
        """This process's, consecutive ones."""
        ...


@dataclass(frozen=True)
class Embedded:
    """A list of images as a network sees them, and what is known about them.

    Attributes:
        features: float32 [N, D].
        pids, camids: int64 [N].
        maps: float32 [N, C, H', W'] of the trunk, where somebody asked for them.
    """

    features: Tensor
    pids: Tensor
    camids: Tensor
    maps: Tensor | None = None

    def __len__(self) -> int:
        """N."""
        return len(self.features)

    def to(self, device: torch.device) -> "Embedded":
        """Features and maps on another device; labels stay on the host."""
        return Embedded(self.features.to(device), self.pids, self.camids,
                        None if self.maps is None else self.maps.to(device))

    def __getitem__(self, images: Tensor | slice) -> "Embedded":
        """Some of the images, by index or mask."""
        return Embedded(self.features[images], self.pids[images], self.camids[images],
                        None if self.maps is None else self.maps[images])


def extract(network: nn.Module, batches: Iterable[ImageBatch], *, flip: bool,
            device: torch.device | str) -> Tensor:
    """Embed every image of ``batches`` with ``network`` in evaluation mode.

    Args:
        network: ``network(images, modality=modalities)`` returns [B, D] in evaluation mode. Every module gets its
            own training flag back afterwards, so that what was frozen stays frozen.
        batches: in the order the features shall have. Of several processes each runs its ``own()``, whole batches, and
            all get the features of all.
        flip: embed each image and its mirror image and take the mean of the two raw features.
        device: where the network lies.

    Returns:
        float32 [N, D] on the CPU.

    Raises:
        DataError: there is no batch.
    """
    features, own = [], _own(batches)
    seed_draws("evaluation", device=torch.device(device))  # for modules that draw in evaluation mode too
    with _evaluating(network), torch.inference_mode():
        for batch in progress(own, description="extract", unit="batch"):
            images = batch.images.to(device, non_blocking=True)
            views = (images, images.flip(-1)) if flip else (images,)
            embeddings = [network(view, modality=batch.modalities).float() for view in views]
            features.append(_to_host(sum(embeddings) / len(views)))
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)  # the one wait: then all copies are there
    # Joined outside inference mode, so that the result is an ordinary tensor.
    return _joined(features, batches)


def extract_with_maps(network: nn.Module, batches: Iterable[ImageBatch], *, flip: bool, device: torch.device | str,
                      num_images: int) -> tuple[Tensor, Tensor]:
    """As ``extract``, and the feature maps float32 [N, C, H', W'] that ``network.trunk`` gave on the way.

    With ``flip`` a map is the mean of the image's and, mirrored back, the mirror image's.

    Raises:
        ConfigError: the maps of ``num_images`` images would take more than 8 GiB; known after the first batch.
    """
    maps: list[Tensor] = []
    second_view = False

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        """Hook that collects the maps, and averages them with those of the mirrored images."""
        nonlocal second_view
        if second_view:
            maps[-1] = (maps[-1] + output.float().flip(-1).cpu()) / 2
        else:
            size = num_images * output[0].numel() * 4
            if size > _MAPS_MEMORY:
                raise ConfigError(f"feature maps of {num_images:,} images would take {size / 2**30:.1f} GiB and at "
                                  f"most {_MAPS_MEMORY / 2**30:.0f} are allowed; matching of maps (evaluation.dsr) is "
                                  "for small sets, such as those of partial re-identification")
            maps.append(output.float().cpu())
        second_view = flip and not second_view

    hook = network.get_submodule("trunk").register_forward_hook(keep)
    try:
        features = extract(network, batches, flip=flip, device=device)
    finally:
        hook.remove()
    return features, _joined(maps, batches)


def _own(batches: Iterable[ImageBatch]) -> Iterable[ImageBatch]:
    return batches.own() if isinstance(batches, Shared) else batches


def _joined(parts: Sequence[Tensor], batches: Iterable[ImageBatch]) -> Tensor:
    """What all processes found in ``batches``, in order."""
    own = torch.cat(list(parts)) if parts else None
    joined = join(own) if isinstance(batches, Shared) else own
    if joined is None:
        raise DataError("there are no images to extract features from; the query or gallery list is empty")
    return joined


def _to_host(values: Tensor) -> Tensor:
    """The values on the CPU; from a GPU they are there at its next ``synchronize``, so that batches need not wait."""
    if values.device.type != "cuda":
        return values.cpu()
    return torch.empty_like(values, device="cpu", pin_memory=True).copy_(values, non_blocking=True)


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode for the duration, then the training flag of each module as it was."""
    training = [module for module in network.modules() if module.training]
    if training:
        network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
