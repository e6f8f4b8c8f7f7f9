"""The network around a trunk: a frozen trunk learns nothing, not even batch statistics."""

import torch
from torch import nn

from nas_reid.modules.head import Head
from nas_reid.network.model import Output, ReIDNetwork
from nas_reid.network.weights import fit_state


class Trunk(nn.Module):
    """Convolution and batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
        self.out_channels = 4

    def forward(self, images: torch.Tensor, modality: torch.Tensor | None = None) -> torch.Tensor:
        return self.layers(images)


def step(network: ReIDNetwork) -> Output:
    """One step of an optimiser that also decays weights and has momentum."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    network.train()
    output = network(torch.randn(8, 3, 6, 6))
    output.logits.square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    return output


def changed(network: ReIDNetwork, before: dict[str, torch.Tensor]) -> set[str]:
    return {name.split(".")[0] for name, value in network.state_dict().items() if not torch.equal(value, before[name])}


def test_only_the_head_learns_while_the_trunk_is_frozen() -> None:
    torch.manual_seed(0)
    network = ReIDNetwork(Trunk(), Head(4, 5, neck=True))
    for frozen, expected in ((True, {"head"}), (False, {"head", "trunk"}), (True, {"head"})):
        before = {name: value.clone() for name, value in network.state_dict().items()}
        network.trunk_is_frozen = frozen
        output = step(network)
        assert changed(network, before) == expected
        assert output.features.requires_grad is not frozen  # nothing is kept for a backward pass through the trunk
        assert network.trunk.training is not frozen and network.head.training
    assert not fit_state(network.state_dict(), before).problems()  # being frozen is no entry of a checkpoint


def test_evaluation_is_the_same_frozen_or_not() -> None:
    torch.manual_seed(0)
    network, images = ReIDNetwork(Trunk(), Head(4, 5)).eval(), torch.randn(2, 3, 6, 6)
    free = network(images)
    network.trunk_is_frozen = True
    assert torch.equal(network.eval()(images), free)
