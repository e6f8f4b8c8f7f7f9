"""The convolutions of OSNet."""

from torch import Tensor, nn
from torch.nn import functional as F


class ConvNorm(nn.Module):
    """Convolution without bias, norm, ReLU; padded so that stride 1 keeps height and width.

    Args:
        in_channels, out_channels: of the convolution.
        norm: of the output; None for none. An instance norm also goes by the name ``bn``, as in torchreid.
        kernel: odd side of the kernel.
        stride: of the convolution.
        relu: end with a ReLU.
    """

    def __init__(self, in_channels: int, out_channels: int, *, norm: nn.Module | None, kernel: int = 1,
                 stride: int = 1, relu: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.bn = nn.Identity() if norm is None else norm
        self.relu = nn.ReLU() if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[B, in_channels, H, W] to [B, out_channels, H', W']."""
        return self.relu(self.bn(self.conv(x)))

    def for_inference(self) -> nn.Module:
        """A 1x1 convolution with a folded norm as a linear layer; otherwise this layer with a ReLU in place."""
        if isinstance(self.bn, nn.Identity) and self.conv.kernel_size == self.conv.stride == (1, 1):
            return Pointwise(self)
        if isinstance(self.relu, nn.ReLU):
            self.relu.inplace = True
        return self


class Pointwise(nn.Module):
    """A 1x1 ``ConvNorm`` for inference: the product of pixels and weights, without a convolution's preparations."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, layer: ConvNorm) -> None:
        super().__init__()
        self.relu = isinstance(layer.relu, nn.ReLU)
        self.register_buffer("weight", layer.conv.weight.flatten(1).contiguous())
        self.register_buffer("bias", layer.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in_channels, H, W] to [B, out_channels, H, W], both best in channels-last memory."""
        y = F.linear(x.permute(0, 2, 3, 1), self.weight, self.bias).permute(0, 3, 1, 2)
        return y.relu_() if self.relu else y


class LiteConv(nn.Module):
    """Lite 3x3 (Sec. 3.1): 1x1 convolution, depthwise 3x3 convolution, norm, ReLU; nothing between the two.

    Args:
        channels: in and out.
        norm: of the output.
    """

    def __init__(self, channels: int, norm: nn.Module) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn = norm

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W], the same shape out."""
        return self.bn(self.conv2(self.conv1(x))).relu()


def full_conv(channels: int, norm: nn.Module) -> ConvNorm:
    """The plain 3x3 convolution that Lite 3x3 factorises (Table 5, model 2)."""
    return ConvNorm(channels, channels, norm=norm, kernel=3)


CONVOLUTIONS = {"lite": LiteConv, "full": full_conv}
