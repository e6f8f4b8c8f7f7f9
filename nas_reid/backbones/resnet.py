"""A stem and four stages: ResNet, ResNeXt, ResNeSt and their IBN, SE and non-local relatives."""

from typing import Any

from torch import Tensor, nn

from nas_reid.backbones.blocks import BlockSettings
from nas_reid.backbones.stages import STAGES, Stage, StagePlan, Stem, build_stages
from nas_reid.errors import ConfigError


class ResNet(Stem):
    """A residual trunk. Being its own stem, its entries have torchvision's names: conv1, bn1, layer1.0.conv1, ...

    Args:
        stem_channels: of the stem's output.
        plan: of the stages.
        settings: of the blocks; its norm factory also makes the stem's norms.
        deep_stem, stem_pool: see ``Stem``.
    """

    layer1: Stage
    layer2: Stage
    layer3: Stage
    layer4: Stage

    def __init__(self, stem_channels: int, plan: StagePlan, settings: BlockSettings, *, deep_stem: bool = False,
                 stem_pool: str = "padded") -> None:
        super().__init__(stem_channels, norm=settings.norm, deep=deep_stem, pool=stem_pool)
        for name, stage in build_stages(stem_channels, plan, settings).items():
            self.add_module(name, stage)
        self.out_channels = self.layer4.out_channels

    def forward(self, images: Tensor, modality: Tensor | None = None, *, context: Any = None) -> Tensor:
        """Run the trunk.

        Args:
            images: [B, 3, H, W].
            modality: ignored; a factory's norms that need it get it in ``context``.
            context: for norms that are a ``SiteNorm``.

        Returns:
            [B, out_channels, H / 32, W / 32], or / 16 with ``last_stride`` 1; sizes are rounded up.

        Raises:
            ConfigError: the images are so small that ``layer3`` has less than two pixels, too few to normalise.
        """
        height, width = (-(-side // 16) for side in images.shape[2:])
        if height * width < 2:
            raise ConfigError(f"images of {tuple(images.shape[2:])} pixels are too small for a residual network; use "
                              "at least data.image_size=[32,16]")
        x = super().forward(images, context=context)
        for name in STAGES:
            x = self.get_submodule(name)(x, context)
        return x


def initialise(network: nn.Module) -> None:
    """torchvision's initial values, for training from scratch; drawn from the global generator.

    Convolutions without bias: Kaiming normal, std = sqrt(2 / (out_channels * kernel area)); everything else keeps
    PyTorch's values: norms 1 and 0, linear layers and 1x1 convolutions with bias (attention, non-local) uniform.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.bias is None:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
