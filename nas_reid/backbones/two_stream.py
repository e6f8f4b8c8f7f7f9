"""Two-stream ResNets: the first parts once per modality, the others shared (Ye et al., Deep Learning for Person
Re-identification, TPAMI 2022, Sec. 5.2: AGW for visible and infrared images).

Entries have torchvision's names, those of a specific part below ``visible.`` and ``infrared.``, a shared stem's below
``stem.``.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypedDict

import torch
from torch import Tensor, nn

from nas_reid.backbones.blocks import BLOCKS, BlockSettings
from nas_reid.backbones.modality import MODALITIES, Samples, group
from nas_reid.backbones.norms import NormFactory, batch_norm
from nas_reid.backbones.resnet import initialise
from nas_reid.backbones.stages import STAGES, Stage, StagePlan, Stem, build_stages
from nas_reid.errors import ConfigError

DEPTHS: Mapping[int, tuple[str, tuple[int, int, int, int]]] = {
    18: ("basic", (2, 2, 2, 2)), 34: ("basic", (3, 4, 6, 3)), 50: ("bottleneck", (3, 4, 6, 3))}
_PREFIXES = tuple(f"{name}." for name in (*MODALITIES, "stem"))
_OF_SPLIT_NORM = re.compile(rf"\.(?:{'|'.join(MODALITIES)})(?=\.\w+$)")

AfterBlock = Mapping[str, Callable[[Tensor, Samples], Tensor]]


class TwoStreamArguments(TypedDict):
    """What a ``TwoStreamResNet`` is made of, as keyword arguments."""

    depth: int
    width: float
    specific: int
    last_stride: int


class TwoStreamResNet(nn.Module):
    """A ResNet without pooling and classifier for visible and infrared images.

    Args:
        depth: a key of ``DEPTHS``.
        width: multiplier of all channels, > 0.
        specific: parts that each modality has for itself, from the input on: 0 none, 1 the stem, 2 also ``layer1``, up
            to 4.
        last_stride: of ``layer4``; 1 gives a map twice as large.
        norm: makes the norms.

    Raises:
        ConfigError: an unknown depth, or a number out of range.
    """

    layer4: Stage

    streams = 2

    def __init__(self, depth: int, width: float, *, specific: int = 1, last_stride: int = 1,
                 norm: NormFactory = batch_norm) -> None:
        super().__init__()
        check_arguments(depth, width, specific=specific, last_stride=last_stride)
        block, lengths = DEPTHS[depth]
        planes, settings = round(64 * width), BlockSettings(norm=norm)
        plan = StagePlan(block=block, lengths=lengths, planes=planes, last_stride=last_stride)
        if not specific:
            self.stem = Stem(planes, norm=norm)
        for name in MODALITIES if specific else ():
            stream = Stem(planes, norm=norm, prefix=f"{name}.")  # its own stem, as in ``ResNet``
            for layer in STAGES[:specific - 1]:
                stream.add_module(layer, build_stages(planes, plan, settings)[layer])
            self.add_module(name, stream)
        self.specific, self.shared = specific, STAGES[max(0, specific - 1):]
        stages = build_stages(planes, plan, settings)
        for layer in self.shared:
            self.add_module(layer, stages[layer])
        self.out_channels = self.layer4.out_channels
        self._compiled: Callable[..., Tensor] | None = None
        initialise(self)

    def run(self, images: Tensor, modality: Tensor | None, *, after_block: AfterBlock | None = None,
            extra: Any = None) -> Tensor:
        """Feature map [B, out_channels, H / 16, W / 16] with ``last_stride`` 1, else / 32; sizes are rounded up.

        Args:
            images: [B, 3, H, W], the two modalities in any order.
            modality: int64 [B], 0 visible, 1 infrared; None: all are visible.
            after_block: name of a shared block, such as ``layer1.2`` -> changes the maps that leave it.
            extra: for norms that are a ``SiteNorm``, which get it in their ``Samples``.

        Raises:
            DataError: another modality.
            ConfigError: the images are so small that ``layer3`` has less than two pixels, too few to normalise.
        """
        height, width = (-(-side // 16) for side in images.shape[2:])
        if height * width < 2:
            raise ConfigError(f"images of {tuple(images.shape[2:])} pixels are too small for a residual network; use "
                              "at least data.image_size=[32,16]")
        x, samples, place = group(images, modality, extra)
        x = (self._compiled or TwoStreamResNet._run_grouped)(self, x, samples, after_block or {})
        return x if place is None else x[place]

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As of ``nn.Module``, but for the grouping of the images: how many are infrared is no constant of a graph."""
        # The function, not the method, which would run this network in every copy of it.
        self._compiled = torch.compile(TwoStreamResNet._run_grouped, *args, **kwargs)

    def _run_grouped(self, x: Tensor, samples: Samples, after_block: AfterBlock) -> Tensor:
        if self.specific:
            streams = [self._stream(self.get_submodule(name), part, own) for name, part, own in samples.parts(x)]
            x = streams[0] if len(streams) == 1 else torch.cat(streams)
        else:
            x = self.stem(x, context=samples)
        for layer in self.shared:
            stage: Stage = getattr(self, layer)
            x = _through(layer, stage, x, samples, after_block)
        return x

    def forward(self, images: Tensor, modality: Tensor | None = None) -> Tensor:
        """As ``run``, for a network whose norms need nothing else."""
        return self.run(images, modality)

    def _stream(self, stream: nn.Module, x: Tensor, samples: Samples) -> Tensor:
        x = stream(x, context=samples)
        for layer in STAGES[:self.specific - 1]:
            x = stream.get_submodule(layer)(x, samples)
        return x


def _through(layer: str, stage: Stage, x: Tensor, samples: Samples, after_block: AfterBlock) -> Tensor:
    """A stage as a whole where nothing happens between its blocks, else block by block."""
    names = [f"{layer}.{index}" for index in range(stage.length)]
    if not set(names[:-1]) & set(after_block):
        x = stage(x, samples)
        return after_block[names[-1]](x, samples) if names[-1] in after_block else x
    for index, name in enumerate(names):
        x = stage.get_submodule(str(index))(x, samples)
        x = after_block[name](x, samples) if name in after_block else x
    return x


def check_arguments(depth: int, width: float, *, specific: int, last_stride: int) -> None:
    """Refuse what a two-stream network cannot be.

    Raises:
        ConfigError: names the argument.
    """
    for name, value, known in (("depth", depth, tuple(DEPTHS)), ("specific", specific, tuple(range(5))),
                               ("last_stride", last_stride, (1, 2))):
        if isinstance(value, bool) or value not in known:
            raise ConfigError(f"space.{name}={value!r} is unknown; known are: {', '.join(map(str, known))}")
    if isinstance(width, bool) or not isinstance(width, int | float) or not 1 / 64 <= width < float("inf"):
        raise ConfigError(f"space.width={width!r} is illegal; expected a number of at least 1/64, one channel")


def block_channels(depth: int, width: float) -> dict[str, int]:
    """Output channels of the blocks ``layer1.0``, ... in order."""
    block, lengths = DEPTHS[depth]
    return {f"{layer}.{index}": round(64 * width) * 2**position * BLOCKS[block].expansion
            for position, layer in enumerate(STAGES) for index in range(lengths[position])}


def map_sizes(image_size: Sequence[int], last_stride: int) -> dict[str, tuple[int, int]]:
    """Height and width of the maps that leave each layer; every stride of 2 rounds up."""
    sides, sizes = [-(-side // 4) for side in image_size], {}
    for layer, stride in zip(STAGES, (1, 2, 2, last_stride), strict=True):
        sides = [-(-side // stride) for side in sides]
        sizes[layer] = (sides[0], sides[1])
    return sizes


def fan_out(state: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """torchvision's entries under the names of a two-stream trunk: both streams, and both parts of a split norm, get
    the same; ``fc`` has no use.

    Args:
        state: of a torchvision ResNet.
        names: of the trunk's entries; those that the state lacks are left out.
    """
    sources = {name: _OF_SPLIT_NORM.sub("", next((name.removeprefix(p) for p in _PREFIXES if name.startswith(p)), name))
               for name in names}
    return {name: state[source] for name, source in sources.items() if source in state}
