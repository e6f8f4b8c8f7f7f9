"""The norm sites of a ResNet in the order of its construction, and the norms that may stand there."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nas_reid.backbones.modality import Samples, SplitNorm
from nas_reid.backbones.norms import NormFactory, SiteNorm
from nas_reid.backbones.two_stream import TwoStreamResNet
from nas_reid.modules.sampled import mixture, sampled_mixture
from nas_reid.search_space import Mix

DECISION = "sites"
CHOICES = ("split", "share")  # in the order of CM-NAS's integers, 0 and 1


class SiteMixes(NamedTuple):
    """What the norms of a supernet need of the decision.

    Attributes:
        weights: [R, 2].
        chosen: of each row the choice to run alone; None to run both.
        all_gradients: see ``search_space.Mix``.
    """

    weights: Tensor
    chosen: Sequence[int] | None
    all_gradients: bool


class SiteChoice(SiteNorm):
    """Both norms of a site, weighed.

    Args:
        row: of the site in the decision.
        channels: C.
    """

    def __init__(self, row: int, channels: int) -> None:
        super().__init__()
        self.row = row
        self.split, self.share = SplitNorm(channels), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, context: Samples) -> Tensor:
        """[B, C, H, W], visible images first; ``context.extra`` are the ``SiteMixes``."""
        weights, chosen, all_gradients = context.extra
        norms = (lambda: self.split(x, context)), (lambda: self.share(x))
        if chosen is None:
            return mixture(weights[self.row], norms)
        return sampled_mixture(weights[self.row], norms, chosen[self.row], all_gradients=all_gradients)


class Supernet(TwoStreamResNet):
    """A ResNet whose batch norms are mixtures of a shared one and one per modality.

    Args:
        sites: site -> row.
        depth, width, last_stride: of ``TwoStreamResNet``.
    """

    def __init__(self, sites: Mapping[str, int], depth: int, width: float, *, last_stride: int) -> None:
        super().__init__(depth, width, specific=0, last_stride=last_stride,
                         norm=lambda site, channels: SiteChoice(sites[site], channels))

    def forward(self, images: Tensor, mixes: Mapping[str, Mix],  # type: ignore[override]  # a supernet takes mixes
                modality: Tensor | None = None) -> Tensor:
        """See ``TwoStreamResNet.run``."""
        mix = mixes[DECISION]
        return self.run(images, modality, extra=SiteMixes(mix.weights, mix.alone(), mix.all_gradients))


def find_sites(depth: int, width: float, last_stride: int) -> dict[str, int]:
    """Site -> channels: the stem's, then of each block first the downsample's; 53 for depth 50."""
    found: dict[str, int] = {}

    def note(site: str, channels: int) -> nn.Module:
        """Remember a site and its channels."""
        found[site] = channels
        return nn.BatchNorm2d(channels)

    with torch.device("meta"):
        TwoStreamResNet(depth, width, specific=0, last_stride=last_stride, norm=note)
    return found


def norms_of(body: Mapping[str, str]) -> NormFactory:
    """The factory of a fixed network: at each site the norm that the genotype's body names."""
    return lambda site, channels: SplitNorm(channels) if body[site] == "split" else nn.BatchNorm2d(channels)
