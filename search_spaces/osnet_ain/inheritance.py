"""From the supernet's weights to those of the network that was derived from it."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def inherit(state: Mapping[str, Tensor], network: nn.Module, body: Mapping[str, str]) -> dict[str, Tensor]:
    """The chosen blocks' weights; the norms, which the supernet has without scale and shift, start from 1 and 0.

    The network then computes what the supernet computes under the one-hot mixing weights of its genotype.

    Args:
        state: of a ``ReIDNetwork`` around a supernet of either kind of candidates.
        network: the fixed network; only its names and shapes are read.
        body: its genotype's.
    """
    names = {f"{block.replace('_', '.')}.": (f"{choice}.", "shared.") for block, choice in body.items()}
    inherited = {name: tensor for name, tensor in state.items() if name.startswith("head.")}
    for name, target in network.state_dict().items():
        block = next((prefix for prefix in names if name.startswith(prefix)), "")
        sources = [f"trunk.{block}{choice}{name.removeprefix(block)}" for choice in names.get(block, ("",))]
        source = next((source for source in sources if source in state), None)
        if source is not None:
            inherited[f"trunk.{name}"] = state[source]
        elif target.ndim == 1 and name.endswith((".weight", ".bias")):
            inherited[f"trunk.{name}"] = torch.full(target.shape, float(name.endswith(".weight")))
    return inherited
