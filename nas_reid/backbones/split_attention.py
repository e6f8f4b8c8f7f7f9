"""Split attention (Zhang et al., ResNeSt: Split-Attention Networks, CVPRW 2022)."""

from typing import Any

from torch import Tensor, nn

from nas_reid.backbones.norms import NormFactory, normalise

_REDUCTION = 4  # of the attention's hidden layer, relative to all splits' channels
_NARROWEST = 32  # hidden channels at least


class SplitAttentionConv(nn.Module):
    """A 3x3 convolution into R splits, BN, ReLU, and their sum weighted by attention over the splits (Eq. 1-3).

    Args:
        channels: C, in and out.
        groups: K, cardinal groups.
        radix: R, splits per group, at least 2.
        dilation: of the 3x3 convolution; padded so that height and width stay.
        norm: makes the two norms.
        site: this layer's name in the network.
    """

    def __init__(self, channels: int, *, groups: int, radix: int, dilation: int, norm: NormFactory, site: str) -> None:
        super().__init__()
        self.groups, self.radix = groups, radix
        hidden = max(channels * radix // _REDUCTION, _NARROWEST)
        self.conv = nn.Conv2d(channels, channels * radix, 3, padding=dilation, dilation=dilation, groups=groups * radix,
                              bias=False)
        self.bn0 = norm(f"{site}.bn0", channels * radix)
        self.fc1 = nn.Conv2d(channels, hidden, 1, groups=groups)
        self.bn1 = norm(f"{site}.bn1", hidden)
        self.fc2 = nn.Conv2d(hidden, channels * radix, 1, groups=groups)

    def forward(self, x: Tensor, context: Any = None) -> Tensor:
        """[B, C, H, W], the same shape out; the two norms and ReLUs are inside."""
        batch, channels, height, width = x.shape
        splits = normalise(self.bn0, self.conv(x), context).relu().reshape(batch, self.radix, channels, height, width)
        pooled = splits.sum(1).mean((2, 3), keepdim=True)
        logits = self.fc2(normalise(self.bn1, self.fc1(pooled), context).relu())
        # fc2's channels are ordered group, split, channel; the convolution's are split, group, channel.
        attention = logits.reshape(batch, self.groups, self.radix, -1).softmax(2).transpose(1, 2)
        return (splits * attention.reshape(batch, self.radix, channels, 1, 1)).sum(1)
