"""Center loss: features near a running centre of their identity."""

import torch
from torch import Tensor

from nas_reid.losses.loss import Loss, LossInput, at_least_float32, number


class Center(Loss):
    """½·mean_i ‖x_i - c_{y_i}‖² (Wen et al. 2016, Eq. 2, as a mean); the gradient is that of the features alone.

    ``update`` moves each centre by α of the mean difference to the batch's features of its identity, with one more in
    the denominator (Eq. 4): c_j -= α·Σ_{y_i = j} (c_j - x_i) / (1 + n_j). The centres start at zero. Bag of Tricks
    (Luo et al. 2019) gives the loss a weight of 5e-4; its code leaves out the ½, so there that is 1e-3 here.

    Args:
        rate: α in (0, 1].
    """

    learns_identities = remembers = True
    centers: Tensor

    def __init__(self, *, rate: float = 0.5) -> None:
        super().__init__()
        self.rate = number("rate", rate, lambda value: 0 < value <= 1, "must lie in (0, 1]")

    def allocate(self, num_classes: int, width: int) -> None:
        """Centres [N, D]."""
        self.register_buffer("centers", torch.zeros(num_classes, width))

    def forward(self, batch: LossInput) -> Tensor:
        """See the class."""
        return (at_least_float32(batch.features) - self.centers[batch.labels]).square().sum(1).mean() / 2

    def update(self, batch: LossInput) -> None:
        """Move the centres of the batch's identities; the same bits for the same batch on a CPU."""
        features = batch.features.detach().to(self.centers)
        counts = torch.zeros_like(self.centers[:, 0]).index_add_(0, batch.labels, torch.ones_like(features[:, 0]))
        differences = torch.zeros_like(self.centers).index_add_(0, batch.labels, self.centers[batch.labels] - features)
        self.centers -= self.rate * differences / (1 + counts[:, None])
