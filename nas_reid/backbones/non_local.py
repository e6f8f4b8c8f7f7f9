"""Non-local blocks (Wang et al., Non-local Neural Networks, CVPR 2018)."""

from torch import Tensor, nn


class NonLocal(nn.Module):
    """x + W(y), y_i = 1/N sum_j theta(x_i)' phi(x_j) g(x_j): the dot-product form, divided by the N positions.

    The batch norm that ends W starts at scale 0, so that a new block is the identity.

    Args:
        channels: C.
        inner: channels of theta, phi and g. The paper has C/2; AGW and FastReID have 1, by an oversight of their code
            that became part of their published weights.
    """

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.g, self.theta, self.phi = (nn.Conv2d(channels, inner, 1) for _ in range(3))
        last = nn.BatchNorm2d(channels)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.W = nn.Sequential(nn.Conv2d(inner, channels, 1), last)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W], the same shape out."""
        values, queries, keys = (project(x).flatten(2) for project in (self.g, self.theta, self.phi))
        _, inner, positions = values.shape
        if inner < positions:  # without a softmax the product is associative: take the smaller intermediate matrix
            y = (values @ keys.transpose(1, 2)) @ queries
        else:
            y = values @ (keys.transpose(1, 2) @ queries)
        return x + self.W((y / positions).unflatten(2, x.shape[2:]))
