"""The supernet with its gates, and the fixed network with its masks, in which channels that nobody keeps are gone."""

from collections.abc import Mapping
from functools import partial
from typing import Unpack

import numpy as np
import torch
from torch import Tensor, nn

from nas_reid.backbones.modality import MODALITIES, Samples, SplitNorm
from nas_reid.backbones.norms import NormFactory, batch_norm
from nas_reid.backbones.two_stream import TwoStreamArguments, TwoStreamResNet
from nas_reid.modules.typed_lists import ModuleDictOf
from nas_reid.search_space import Mix
from search_spaces.nfs.cells import Cell, by_block, gate
from search_spaces.nfs.masks import CellMasks
from search_spaces.nfs.pruning import prune


def split_norm(site: str, channels: int) -> nn.Module:
    """A norm per modality, but where a part is of one modality alone."""
    return nn.BatchNorm2d(channels) if site.startswith(MODALITIES) else SplitNorm(channels)


NORMS: Mapping[str, NormFactory] = {"shared": batch_norm, "split": split_norm}
"""What the norms of the shared parts can be."""


class Supernet(TwoStreamResNet):
    """A two-stream network whose features are weighed by gates.

    Args:
        cells: name -> cell.
        levels, combination: see ``NFS``.
        norm: a value of ``NORMS``.
        arguments: of ``TwoStreamResNet``.
    """

    def __init__(self, cells: Mapping[str, Cell], *, levels: str, combination: str, norm: NormFactory,
                 **arguments: Unpack[TwoStreamArguments]) -> None:
        super().__init__(**arguments, norm=norm)
        self._cells, self._levels, self._combination = by_block(cells), levels, combination

    def forward(self, images: Tensor, mixes: Mapping[str, Mix],  # type: ignore[override]  # a supernet takes mixes
                modality: Tensor | None = None) -> Tensor:
        """See ``TwoStreamResNet.run``; ``mixes`` has weights [R, 2], ``drop`` and ``keep``, for every decision."""
        def weigh(cell: Cell, x: Tensor, samples: Samples) -> Tensor:
            """Maps times the gates of a cell's channels and pixels."""
            channels = pixels = None
            if self._levels != "pixels":
                channels = torch.stack([mixes[name].weights[:, 1] for name in cell.channel_decisions()])
            if self._levels != "channels":
                pixels = torch.stack([mixes[name].weights[:, 1] for name in cell.pixel_decisions()])
                pixels = pixels.unflatten(1, cell.size)
            return gate(x, samples, channels, pixels, combination=self._combination)

        return self.run(images, modality, after_block={block: partial(weigh, cell)
                                                       for block, cell in self._cells.items()})


class MaskedNetwork(TwoStreamResNet):
    """The fixed network of a genotype.

    Args:
        masks: cell -> what it keeps; a cell without masks keeps everything.
        cells: name -> cell.
        combination: see ``NFS``.
        norm: a value of ``NORMS``.
        arguments: of ``TwoStreamResNet``.
    """

    def __init__(self, masks: Mapping[str, CellMasks], cells: Mapping[str, Cell], *, combination: str,
                 norm: NormFactory, **arguments: Unpack[TwoStreamArguments]) -> None:
        super().__init__(**arguments, norm=norm)
        self._combination = combination
        kept = kept_channels(masks, cells, combination)
        prune(self, kept)
        self._masks: ModuleDictOf[_Masks] = ModuleDictOf()
        for name, mask in masks.items():
            block = cells[name].block
            self._masks[block.replace(".", "_")] = _Masks(mask, kept.get(block), factors=combination == "product")
        self.out_channels = len(kept.get(next(reversed(by_block(cells))), range(self.out_channels)))

    def forward(self, images: Tensor, modality: Tensor | None = None) -> Tensor:
        """See ``TwoStreamResNet.run``."""
        def mask(masks: _Masks, x: Tensor, samples: Samples) -> Tensor:
            """Maps times a cell's masks."""
            return gate(x, samples, masks.channels, masks.pixels, combination=self._combination)

        return self.run(images, modality, after_block={block.replace("_", "."): partial(mask, masks)
                                                       for block, masks in self._masks.items()})


class _Masks(nn.Module):
    """A cell's masks as numbers, beside the weights but not among them: the genotype says them."""

    channels: Tensor | None
    pixels: Tensor | None

    def __init__(self, masks: CellMasks, kept: np.ndarray | None, *, factors: bool) -> None:
        super().__init__()
        channels = masks.channels if kept is None or masks.channels is None else masks.channels[:, kept]
        for name, mask in (("channels", channels), ("pixels", masks.pixels)):
            idle = mask is None or (factors and mask.all())  # a factor of ones changes nothing
            self.register_buffer(name, None if mask is None or idle else torch.from_numpy(mask.astype(np.float32)),
                                 persistent=False)


def kept_channels(masks: Mapping[str, CellMasks], cells: Mapping[str, Cell], combination: str) -> dict[str, np.ndarray]:
    """Block -> increasing indices of the channels that some modality keeps, for blocks that lose any.

    Under ``sum`` a channel lives on at the pixels that are kept, so none is lost.
    """
    kept = {}
    for name, mask in masks.items():
        if mask.channels is None or (combination == "sum" and mask.pixels is not None):
            continue
        either = mask.channels.any(0)
        if not either.all():
            kept[cells[name].block] = np.flatnonzero(either)
    return kept
