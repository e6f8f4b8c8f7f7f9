"""Exponential moving average of a network's weights."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from nas_reid.network.model import ReIDNetwork


class WeightAverage:
    """An average of the weights that a network had, to be evaluated instead of it (Polyak and Juditsky 1992).

    After step t the average moves by 1 - d_t of the way towards the weights, with d_t = min(decay, (1 + t) / (10 + t)):
    the first steps, far from where the training ends, are soon forgotten. Running statistics of batch norms are
    averaged alike, so that they belong to the averaged weights; counters are copied. A step costs one pass over the
    parameters, in fused operations, and no wait for the device.

    Args:
        network: to follow; it is copied. It stays where it is: its parameters and buffers change in place, as they do
            in training and when a state is loaded, and are looked up once.
        decay: in [0, 1); 0.999 averages over about the last 1,000 steps.

    ``network`` is the average.
    """

    def __init__(self, network: ReIDNetwork, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.decay, self.updates = decay, 0
        self._floats, self._counters = _tensors(self.network)
        self._live_floats, self._live_counters = _tensors(network)

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights that the network which is followed has now."""
        step = 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        torch._foreach_lerp_(self._floats, self._live_floats, step)
        if self._counters:
            torch._foreach_copy_(self._counters, self._live_counters)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"network": self.network.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a ``state_dict``."""
        self.network.load_state_dict(state["network"])
        self.updates = state["updates"]


def _tensors(network: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """What is averaged, and what is copied."""
    tensors = [*network.parameters(), *network.buffers()]
    return ([tensor for tensor in tensors if tensor.is_floating_point()],
            [tensor for tensor in tensors if not tensor.is_floating_point()])
