"""Counting parameters and multiply-accumulates."""

import torch
from torch import nn

from nas_reid.network.complexity import Stage, count_macs, count_macs_of, count_parameters, stage_table


def small_network():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 5, padding=2, groups=8)),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))


def test_macs_by_hand():
    first, depthwise, linear = 27 * 8 * 16 * 8, 25 * 8 * 16 * 8, 80
    assert count_macs(small_network(), (32, 16)) == first + depthwise + linear


def test_parameters_are_counted_once_when_shared():
    layer = nn.Linear(3, 4)
    assert count_parameters(nn.Sequential(layer, nn.Linear(4, 3), layer)) == 16 + 15


def test_attention_products_are_not_counted():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x):
            return self.linear(x) @ x.mT @ x

    assert count_macs_of(Attention(), torch.empty(2, 7, 4, device="meta")) == 7 * 4 * 4


def test_counting_leaves_the_network_as_it_was():
    network = small_network().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    count_macs(network, (32, 16))
    assert network.training and all(torch.equal(tensor, before[name]) and not tensor.is_meta
                                    for name, tensor in network.state_dict().items())


def test_stages_add_up():
    network = small_network()
    table = stage_table(network, (32, 16))
    assert table[0] == Stage("0", (8, 16, 8), 216, 27648)
    assert [stage.name for stage in table] == ["0", "1", "2", "3", "4"]
    assert sum(stage.params for stage in table) == count_parameters(network)
    assert sum(stage.macs for stage in table) == count_macs(network, (32, 16))
    assert [stage.name for stage in stage_table(network, (32, 16), depth=2)] == [
        "0", "1.0", "1.1", "1.2", "2", "3", "4"]


def test_module_lists_are_not_a_level():
    class Stack(nn.Module):
        def __init__(self):
            super().__init__()
            self.cells = nn.ModuleList([nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)])

        def forward(self, x):
            return self.cells[1](self.cells[0](x))

    assert [stage.name for stage in stage_table(Stack(), (4, 4))] == ["cells.0", "cells.1"]
