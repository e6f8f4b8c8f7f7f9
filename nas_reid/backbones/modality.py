"""Images of two modalities in one batch, in any order: grouped once, so that layers find each modality in a row."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nas_reid.backbones.norms import SiteNorm
from nas_reid.errors import DataError

MODALITIES = ("visible", "infrared")  # in the order of their numbers, 0 and 1


class Samples(NamedTuple):
    """What layers know of the images of a batch, among which the visible ones stand first.

    Attributes:
        modality: int64 [B], 0 visible, 1 infrared, in the order in which the maps stand; None: all are visible.
        counts: images of each modality, for slices.
        extra: whatever a network hands to its layers, such as mixing weights.
    """

    modality: Tensor | None
    counts: tuple[int, int]
    extra: Any = None

    def rows(self, table: Tensor) -> Tensor:
        """Each image's row of a table [2, ...], as [B, ...]; [1, ...] where all images are visible."""
        return table[:1] if self.modality is None else table[self.modality]

    def parts(self, x: Tensor) -> list[tuple[str, Tensor, "Samples"]]:
        """Name, rows of ``x`` [B, ...] and their own ``Samples`` of each modality that is present."""
        found = []
        for index, (name, rows) in enumerate(zip(MODALITIES, x.split(self.counts), strict=True)):
            if count := rows.shape[0]:
                own = None if self.modality is None else self.modality.split(self.counts)[index]
                found.append((name, rows, Samples(own, (0, count) if index else (count, 0), self.extra)))
        return found


def group(images: Tensor, modality: Tensor | None, extra: Any = None) -> tuple[Tensor, Samples, Tensor | None]:
    """Put visible images first.

    Slices need their lengths: waits for a GPU once if the modalities lie there, and not if they are on the host. On the
    meta device every other image counts as infrared.

    Args:
        images: [B, C, H, W].
        modality: int64 [B], best on the host; or None for visible images alone.
        extra: see ``Samples``.

    Returns:
        The images, what layers need to know, and where each image of the original order is now; None if the order is
        the same.

    Raises:
        DataError: a modality other than 0 and 1, or not one for each image.
    """
    if modality is None:
        return images, Samples(None, (images.shape[0], 0), extra), None  # no len(): exporters keep shapes symbolic
    if modality.shape != images.shape[:1]:
        raise DataError(f"{len(images)} images and modalities of shape {list(modality.shape)}; expected one each")
    infrared, illegal = len(images) // 2, 0
    if not modality.is_meta:
        infrared, illegal = torch.stack([(modality == 1).sum(), (modality.clamp(0, 1) != modality).sum()]).tolist()
    if illegal:
        raise DataError(f"{illegal} of {len(images)} images have a modality other than 0 (visible) and 1 (infrared)")
    counts = (len(images) - infrared, infrared)
    if 0 in counts:
        return images, Samples(modality.to(images.device, non_blocking=True), counts, extra), None
    order = modality.argsort(stable=True)
    modality, place, order = (rows.to(images.device, non_blocking=True)
                              for rows in (modality[order], order.argsort(), order))
    layout = torch.channels_last if images.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    grouped = images[order].contiguous(memory_format=layout)
    return grouped, Samples(modality, counts, extra), place


class SplitNorm(SiteNorm):
    """A batch norm per modality, each with its own statistics, scales and shifts.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.visible, self.infrared = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, context: Samples) -> Tensor:
        """[B, C, H, W], visible images first as ``group`` puts them; the same shape out."""
        normalised = [self.get_submodule(name)(rows) for name, rows, _ in context.parts(x)]
        return normalised[0] if len(normalised) == 1 else torch.cat(normalised)
