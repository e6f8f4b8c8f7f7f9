"""The fixed residual networks, as a space without decisions."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from nas_reid.backbones.blocks import BLOCKS, BlockSettings
from nas_reid.backbones.norms import IBN_NORMS
from nas_reid.backbones.resnet import ResNet, initialise
from nas_reid.backbones.stages import DEPTHS, STEM_POOLS, StagePlan
from nas_reid.errors import ConfigError, GenotypeError
from nas_reid.genotype import Genotype
from nas_reid.registry import register
from nas_reid.search_space import Decision, Mix
from search_spaces.resnet.weights import our_names


@register("resnet")
class ResNets:
    """One residual network; its arguments say which.

    Args:
        depth: a key of ``DEPTHS``.
        channels: planes of the first stage, 64 as published.
        stem_channels: of the stem's output: 64; 128 in ResNeSt-101.
        stem_pool: a key of ``STEM_POOLS``: ``padded``, or ``ceil`` for FastReID's ResNets.
        groups: of the 3x3 convolutions: 1; 32 in ResNeXt.
        group_width: channels of a group where a stage has 64 planes: 64; 4 in ResNeXt 32x4d.
        radix: splits of split attention, 2 in ResNeSt; 0: none. With it come ResNeSt's deep stem, its pooled
            shortcuts, and dilation in a last stage that does not stride.
        ibn: a key of ``IBN_NORMS``: ``none``, ``a`` or ``b``.
        se: squeeze-and-excitation in every block.
        non_local: how many of the last blocks of each stage are followed by a non-local block.
        non_local_width: their inner channels; 0: half of the stage's. 1 is what AGW's and FastReID's weights have.
        last_stride: of the last stage, 1 or 2.

    Raises:
        ConfigError: an unknown name, a number out of range, or parts that do not go together.
    """

    name = "resnet"
    version = 1

    def __init__(self, depth: int, *, channels: int, stem_channels: int, stem_pool: str, groups: int, group_width: int,
                 radix: int, ibn: str, se: bool, non_local: Sequence[int], non_local_width: int,
                 last_stride: int) -> None:
        self.arguments: dict[str, Any] = {
            "depth": depth, "channels": channels, "stem_channels": stem_channels, "stem_pool": stem_pool,
            "groups": groups, "group_width": group_width, "radix": radix, "ibn": ibn, "se": se,
            "non_local": non_local, "non_local_width": non_local_width, "last_stride": last_stride}
        _check_names(self.arguments)
        _check_numbers(self.arguments)
        block, lengths = DEPTHS[depth]
        blocks = _checked_non_local(non_local, lengths)
        self.arguments["non_local"] = list(blocks)
        _check_together(self.arguments, block)
        self._stem_channels, self._deep_stem, self._stem_pool = stem_channels, radix > 0, stem_pool
        self._plan = StagePlan(block=block, lengths=lengths, planes=channels, last_stride=last_stride,
                               dilate_last=radix > 0, instance_norm_stages=(0, 1) if ibn == "b" else (),
                               non_local=blocks, non_local_inner=non_local_width)
        self._settings = BlockSettings(norm=IBN_NORMS[ibn], groups=groups, group_width=group_width, radix=radix,
                                       average_shortcut=radix > 0, se=se)

    def decisions(self) -> Sequence[Decision]:
        """None: there is nothing to search."""
        return []

    def supernet(self) -> nn.Module:
        """The fixed network, which ignores its (empty) mixes."""
        return _WithoutMixes(self._build())

    def derive(self, probs: Mapping[str, Tensor]) -> Genotype:
        """The only genotype there is: the arguments, and an empty body."""
        return Genotype(self.name, self.version, {}, arguments=self.arguments)

    def network(self, genotype: Genotype) -> nn.Module:
        """The network with torchvision's initial values.

        Raises:
            GenotypeError: the body is not empty.
        """
        if genotype.body:
            raise GenotypeError(f"genotype body has {sorted(genotype.body)}; a residual network has an empty body and "
                                "is described by its arguments")
        return self._build()

    def convert_weights(self, state: Mapping[str, Tensor], genotype: Genotype) -> dict[str, Tensor]:
        """Entries under the names of a network of ours, from any of the layouts of ``weights.our_names``."""
        return our_names(state, lengths=self._plan.lengths, non_local=self._plan.non_local,
                         stem_pool=self._stem_pool)

    def _build(self) -> ResNet:
        trunk = ResNet(self._stem_channels, self._plan, self._settings, deep_stem=self._deep_stem,
                       stem_pool=self._stem_pool)
        initialise(trunk)
        return trunk


class _WithoutMixes(nn.Module):
    def __init__(self, trunk: ResNet) -> None:
        super().__init__()
        self.trunk, self.out_channels = trunk, trunk.out_channels

    def forward(self, images: Tensor, mixes: Mapping[str, Mix], modality: Tensor | None = None) -> Tensor:
        """As the trunk; there is nothing to mix."""
        return self.trunk(images, modality)


def _check_names(arguments: Mapping[str, Any]) -> None:
    for key, known in (("depth", DEPTHS), ("stem_pool", STEM_POOLS), ("ibn", IBN_NORMS), ("last_stride", (1, 2)),
                       ("se", (False, True))):
        value = arguments[key]
        if isinstance(value, list | dict) or value not in known or isinstance(value, bool) != (key == "se"):
            raise ConfigError(f"space.{key}={value!r} is unknown; known are: {', '.join(map(str, known))}")


def _check_numbers(arguments: Mapping[str, Any]) -> None:
    smallest = {"channels": 1, "stem_channels": 1, "groups": 1, "group_width": 1, "radix": 0, "non_local_width": 0}
    for key, least in smallest.items():
        value = arguments[key]
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ConfigError(f"space.{key}={value!r} is illegal; expected an integer of at least {least}")


def _checked_non_local(non_local: object, lengths: Sequence[int]) -> tuple[int, int, int, int]:
    counts = non_local if isinstance(non_local, Sequence) and not isinstance(non_local, str) else ()
    if len(counts) != len(lengths) or not all(
            isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= length
            for count, length in zip(counts, lengths, strict=True)):
        raise ConfigError(f"space.non_local={non_local!r} is illegal; expected four integers, for each stage at most "
                          f"its {list(lengths)} blocks, such as [0, 2, 3, 0]")
    first, second, third, fourth = counts
    return first, second, third, fourth


def _check_together(arguments: Mapping[str, Any], block: str) -> None:
    groups, group_width, radix = (arguments[key] for key in ("groups", "group_width", "radix"))
    if block == "basic" and (groups, group_width, radix) != (1, 64, 0):
        raise ConfigError(f"space.depth={arguments['depth']} has blocks of two 3x3 convolutions, which are not "
                          "grouped: expected groups=1, group_width=64 and radix=0")
    if arguments["channels"] * group_width < 64:
        raise ConfigError(f"space.channels={arguments['channels']} with group_width={group_width} leaves groups "
                          f"without channels; use at least channels={-(-64 // group_width)}")
    if radix == 1 or (radix and arguments["stem_channels"] % 2):
        raise ConfigError(f"space.radix={radix} with stem_channels={arguments['stem_channels']}: split attention needs "
                          "a radix of at least 2 and an even number of stem_channels")
    if arguments["se"] and arguments["channels"] * BLOCKS[block].expansion < 16:
        raise ConfigError(f"space.channels={arguments['channels']} leaves squeeze-and-excitation no hidden channel; it "
                          "needs 16 channels in every block")
    if not any(arguments["non_local"]) and arguments["non_local_width"]:
        raise ConfigError(f"space.non_local_width={arguments['non_local_width']} without non-local blocks; set "
                          "space.non_local, for example [0, 2, 3, 0]")
