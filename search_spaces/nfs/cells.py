"""Where the cells of NFS stand, what is decided in them, and how gates act on a feature map."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from nas_reid.backbones.modality import MODALITIES, Samples
from nas_reid.backbones.stages import STAGES
from nas_reid.backbones.two_stream import block_channels, map_sizes

POSITIONS = ("stage", "block")
LEVELS = ("both", "channels", "pixels")
COMBINATIONS = ("product", "sum")
SHARED_CHANNELS = ("last", "all")
COSTS = ("equal", "macs")


@dataclass(frozen=True)
class Cell:
    """A place at which features are kept or dropped.

    Args:
        name: as in decisions and genotypes, ``layer1`` or ``layer1_0``.
        block: whose output it gates, ``layer1.0``.
        channels: C of that output.
        size: its height and width.
        shared_channels: both modalities keep the same channels, as in the last stage in any case: else their
            embeddings would be zero in different dimensions and could not be compared.
    """

    name: str
    block: str
    channels: int
    size: tuple[int, int]
    shared_channels: bool

    def channel_decisions(self) -> tuple[str, str]:
        """Name of the decision about the channels of visible and of infrared images."""
        if self.shared_channels:
            return f"{self.name}_channels", f"{self.name}_channels"
        visible, infrared = MODALITIES
        return f"{self.name}_channels_{visible}", f"{self.name}_channels_{infrared}"

    def pixel_decisions(self) -> tuple[str, str]:
        """Name of the decision about the pixels of visible and of infrared images."""
        visible, infrared = MODALITIES
        return f"{self.name}_pixels_{visible}", f"{self.name}_pixels_{infrared}"


def place_cells(depth: int, width: float, *, specific: int, last_stride: int, image_size: tuple[int, int],
                position: str, shared_channels: str) -> dict[str, Cell]:
    """Name -> cell, in order: after each shared stage, or after each of its blocks; see ``NFS``."""
    sizes, cells = map_sizes(image_size, last_stride), {}
    blocks = block_channels(depth, width)
    ends = {block.split(".")[0]: block for block in blocks}  # stage -> its last block
    for block, channels in blocks.items():
        stage = block.split(".")[0]
        if STAGES.index(stage) + 1 < specific or (position == "stage" and block != ends[stage]):
            continue
        name = stage if position == "stage" else block.replace(".", "_")
        cells[name] = Cell(name, block, channels, sizes[stage], shared_channels == "all" or stage == STAGES[-1])
    return cells


def gate(x: Tensor, samples: Samples, channels: Tensor | None, pixels: Tensor | None, *, combination: str) -> Tensor:
    """Weigh the features of a map by the gates of each image's modality.

    Args:
        x: [B, C, H, W].
        samples: of its images.
        channels: gates in [0, 1], [2, C], or None for all open.
        pixels: likewise, [2, H', W']; resized bilinearly to H x W.
        combination: ``product``: x g_c g_s, or ``sum``: x (g_c + g_s) / 2. Open gates are the identity either way.
    """
    if pixels is not None and pixels.shape[1:] != x.shape[2:]:
        pixels = F.interpolate(pixels[None], x.shape[2:], mode="bilinear", antialias=True)[0]
    by_channel = None if channels is None else samples.rows(channels.to(x.dtype))[:, :, None, None]
    by_pixel = None if pixels is None else samples.rows(pixels.to(x.dtype))[:, None]
    if by_channel is not None and by_pixel is not None and combination == "sum":
        return x * ((by_channel + by_pixel) / 2)
    for gates in (by_channel, by_pixel):
        x = x if gates is None else x * gates
    return x


def by_block(cells: Mapping[str, Cell]) -> dict[str, Cell]:
    """Block -> the cell after it."""
    return {cell.block: cell for cell in cells.values()}
