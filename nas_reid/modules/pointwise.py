"""1x1 convolutions with a stride.

oneDNN's backward pass of a strided 1x1 convolution in channels-last memory writes beyond its buffers on processors
with AVX2 but without AVX-512, where the input has few channels (seen with 1 to 6). A strided 1x1 convolution reads
every stride-th pixel only, so the same convolution without a stride, on those pixels, is equal in value and in every
derivative, and is sound on all. No other form may be used in this project.
"""

from torch import Tensor, nn
from torch.nn import functional as F


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, stride: int = 1, groups: int = 1) -> Tensor:
    """A 1x1 convolution of every ``stride``-th row and column.

    Args:
        x: [B, in, H, W].
        weight: [out, in / groups, 1, 1].
        bias: [out].
        stride: of rows and columns.
        groups: as of ``conv2d``.

    Returns:
        [B, out, ceil(H / stride), ceil(W / stride)].
    """
    return F.conv2d(thinned(x, stride), weight, bias, groups=groups)


def thinned(x: Tensor, stride: int, *, start: int = 0) -> Tensor:
    """``x[..., start::stride, start::stride]`` of maps [B, C, H, W], whose gradient comes back in x's memory order.

    torch lays out the gradient of a slice in the order of the dimensions. Where it meets maps in channels-last memory,
    at the next sum, ReLU or batch norm, that costs ten times the time of the op and more.
    """
    if start == 0 and stride == 1:
        return x
    if x.is_contiguous():
        return x[..., start::stride, start::stride]
    return x.permute(0, 2, 3, 1)[:, start::stride, start::stride].permute(0, 3, 1, 2)


class PointwiseConv(nn.Conv2d):
    """``nn.Conv2d`` with a 1x1 kernel, computed by ``pointwise``; parameters and their names are those of ``Conv2d``.

    Arguments as of ``Conv2d``, with a kernel of 1, equal strides and no padding.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[B, in_channels, H, W] to [B, out_channels, ceil(H / stride), ceil(W / stride)]."""
        return pointwise(x, self.weight, self.bias, stride=self.stride[0], groups=self.groups)
