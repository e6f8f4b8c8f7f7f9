"""The omni-scale block, and its four ways to place instance normalisation: what the search chooses from."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from nas_reid.modules.instance_norm import InstanceNorm
from search_spaces.osnet_ain.batched_streams import BatchedStreams
from search_spaces.osnet_ain.convolutions import CONVOLUTIONS, ConvNorm
from search_spaces.osnet_ain.fusion import FUSIONS

BOTTLENECK = 4


class Placement(NamedTuple):
    """Where a block normalises per instance.

    Attributes:
        inside: within the residual branch, *instead of* the last convolution's batch norm.
        outside: after the addition, before the last ReLU.
    """

    inside: bool
    outside: bool


# Fig. 5 of the paper, (a) to (d); torchreid: OSBlock, OSBlockINv1, OSBlockINv2, OSBlockINv3.
PLACEMENTS = {"os": Placement(False, False), "os_in": Placement(True, False), "os_out": Placement(False, True),
              "os_in_out": Placement(True, True)}


@dataclass(frozen=True)
class BlockSettings:
    """What all blocks of a network share.

    Args:
        streams: T.
        stream_depth: layers of every stream; 0: stream t has t layers, the omni-scale design (Eq. 2).
        convolution: key of ``CONVOLUTIONS``.
        fusion: key of ``FUSIONS``.
        affine: norms have learned scales and shifts; a supernet's do not.
    """

    streams: int
    stream_depth: int
    convolution: str
    fusion: str
    affine: bool

    def batch_norm(self, channels: int) -> nn.Module:
        """Batch norm of maps [B, channels, H, W]."""
        return nn.BatchNorm2d(channels, affine=self.affine)

    def instance_norm(self, channels: int) -> nn.Module:
        """Instance norm of maps [B, channels, H, W]; keeps no running statistics."""
        return InstanceNorm(channels, affine=self.affine)


class Stream(nn.Module):
    """``depth`` 3x3 layers in a row: a receptive field of 2 * depth + 1 pixels."""

    def __init__(self, channels: int, depth: int, *, settings: BlockSettings) -> None:
        super().__init__()
        build = CONVOLUTIONS[settings.convolution]
        self.layers = nn.Sequential(*(build(channels, settings.batch_norm(channels)) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W], the same shape out."""
        return self.layers(x)


class Streams(nn.ModuleList):
    """The T streams of a block, all of which read the same map."""

    def forward(self, x: Tensor) -> list[Tensor]:
        """[B, channels, H, W] to T maps of that shape."""
        return [stream(x) for stream in self]

    def for_inference(self) -> nn.Module:
        """The streams run together, once their batch norms are folded; as they are before that."""
        if any(isinstance(module, nn.BatchNorm2d) for module in self.modules()):
            return self
        return BatchedStreams([list(stream.get_submodule("layers").children()) for stream in self])


class OSBlock(nn.Module):
    """Residual block with T streams of different scale: y = ReLU(x + fuse(streams(x))), and IN where placed.

    Args:
        in_channels, out_channels: where they differ, a 1x1 convolution with BN carries the identity.
        placement: of instance normalisation.
        settings: shared by all blocks.
    """

    def __init__(self, in_channels: int, out_channels: int, *, placement: Placement, settings: BlockSettings) -> None:
        super().__init__()
        middle, norm = out_channels // BOTTLENECK, settings.batch_norm
        self.placement = placement
        self.conv1 = ConvNorm(in_channels, middle, norm=norm(middle))
        self.conv2 = Streams(Stream(middle, settings.stream_depth or t, settings=settings)
                             for t in range(1, settings.streams + 1))
        self.gate = FUSIONS[settings.fusion](middle, settings.streams)
        self.conv3 = ConvNorm(self.gate.out_channels, out_channels, relu=False,
                              norm=None if placement.inside else norm(out_channels))
        self.downsample = (nn.Identity() if in_channels == out_channels else
                           ConvNorm(in_channels, out_channels, norm=norm(out_channels), relu=False))
        for name in instance_norm_names(placement):
            setattr(self, name, settings.instance_norm(out_channels))

    def fused(self, x: Tensor) -> Tensor:
        """The fused streams, [B, gate.out_channels, H, W]."""
        return self.gate(self.conv2(self.conv1(x)))

    def forward(self, x: Tensor) -> Tensor:
        """[B, in_channels, H, W] to [B, out_channels, H, W]."""
        norms = [getattr(self, name) for name in instance_norm_names(self.placement)]
        residual = self.conv3(self.fused(x))
        if self.placement.inside:
            residual = norms[0](residual)
        y = residual + self.downsample(x)
        if self.placement.outside:
            return norms[-1](y).relu()  # not in place: an instance norm keeps its output
        return y.relu_()


def instance_norm_names(placement: Placement) -> tuple[str, ...]:
    """torchreid's names of a block's instance norms, in order of execution."""
    if placement.inside and placement.outside:
        return "IN_in", "IN_out"
    return ("IN",) if placement.inside or placement.outside else ()
