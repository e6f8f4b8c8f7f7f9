"""OSNet's macro structure (Table 1), for fixed networks and for the supernet: they differ in their blocks alone."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from nas_reid.errors import ConfigError
from nas_reid.search_space import Mix
from search_spaces.osnet_ain.block import BlockSettings
from search_spaces.osnet_ain.convolutions import ConvNorm
from search_spaces.osnet_ain.gating import gating_vectors

STAGES = ("conv2", "conv3", "conv4")
BLOCKS_PER_STAGE = 2
# Names of the searched blocks: the decisions, and the keys of a genotype's body. Module conv3.0 is block conv3_0.
BLOCKS = tuple(f"{stage}_{index}" for stage in STAGES for index in range(BLOCKS_PER_STAGE))
STEMS = ("instance", "batch")
_CHANNELS = (64, 256, 384, 512)

BuildBlock = Callable[[str, int, int], nn.Module]


def scaled_channels(width: float) -> tuple[int, ...]:
    """Channels of conv1 to conv4 (and conv5) under a width multiplier."""
    return tuple(round(width * channels) for channels in _CHANNELS)


class Trunk(nn.Module):
    """7x7 stem and pool, two blocks each at strides 4, 8 and 16 with transitions between, and a 1x1 convolution.

    Args:
        width: multiplier of all channels.
        stem: norm of the 7x7 convolution, one of ``STEMS``. The paper's search leaves it at ``instance``.
        settings: shared by all blocks.
        build_block: (block name, in_channels, out_channels) -> block.
    """

    conv4: nn.ModuleList

    def __init__(self, width: float, *, stem: str, settings: BlockSettings, build_block: BuildBlock) -> None:
        super().__init__()
        first, *stages = scaled_channels(width)
        norm = settings.instance_norm if stem == "instance" else settings.batch_norm
        self.conv1 = ConvNorm(3, first, norm=norm(first), kernel=7, stride=2)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        before = first
        for stage, channels in zip(STAGES, stages, strict=True):
            blocks = []
            for index in range(BLOCKS_PER_STAGE):
                blocks.append(build_block(f"{stage}_{index}", before, channels))
                before = channels
            setattr(self, stage, nn.ModuleList(blocks))
        self.pool2, self.pool3 = (
            nn.Sequential(ConvNorm(channels, channels, norm=settings.batch_norm(channels)), nn.AvgPool2d(2))
            for channels in stages[:2])
        self.conv5 = ConvNorm(before, before, norm=settings.batch_norm(before))
        self.out_channels = before

    def forward(self, images: Tensor, mixes: Mapping[str, Mix] | None = None,
                modality: Tensor | None = None) -> Tensor:
        """Run the trunk.

        Args:
            images: [B, 3, H, W].
            mixes: block name -> weights [1, 4], for a supernet; None for a fixed network. With ``sampled_only`` the
                sampled candidates run alone.
            modality: ignored.

        Returns:
            [B, out_channels, H / 16, W / 16].

        Raises:
            ConfigError: the images are so small that less than two pixels would be left, too few to normalise.
        """
        height, width = (-(-side // 4) // 4 for side in images.shape[2:])
        if height * width < 2:
            raise ConfigError(f"images of {tuple(images.shape[2:])} pixels are too small for a network of stride 16; "
                              "use at least data.image_size=[32,16]")
        arguments: Mapping[str, tuple[Any, ...]] = (dict.fromkeys(BLOCKS, ()) if mixes is None
                                                    else _candidate_arguments(mixes))
        x = self.maxpool(self.conv1(images))
        x = self._stage("conv2", x, arguments)
        x = self._stage("conv3", self.pool2(x), arguments)
        x = self._stage("conv4", self.pool3(x), arguments)
        return self.conv5(x)

    def gating_vectors(self, images: Tensor) -> Tensor | None:
        """See ``gating.gating_vectors``; the engine draws clusters of them."""
        return gating_vectors(self, self.conv4[-1], images)

    def _stage(self, stage: str, x: Tensor, arguments: Mapping[str, tuple[Any, ...]]) -> Tensor:
        for index, block in enumerate(getattr(self, stage)):
            x = block(x, *arguments[f"{stage}_{index}"])
        return x


def _candidate_arguments(mixes: Mapping[str, Mix]) -> dict[str, tuple[Tensor, int | None, bool]]:
    """Block name -> its weights [4], the choice to run alone, if any, and whether all weights want their gradients."""
    alone = [mixes[block].alone() for block in BLOCKS]
    chosen = [None if index is None else index[0] for index in alone]
    return {block: (mixes[block].weights[0], index, mixes[block].all_gradients)
            for block, index in zip(BLOCKS, chosen, strict=True)}


def initialise(trunk: nn.Module) -> None:
    """torchreid's initial values, for training from scratch; drawn from the global generator.

    Convolutions: Kaiming normal, std = sqrt(2 / (out_channels * kernel area)), also for depthwise ones, for which
    this is far less than their own fan-out would give; biases 0. Norms are left at scale 1 and shift 0.
    """
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
