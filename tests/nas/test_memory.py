"""The estimate of a search step's memory: what real tensors keep, and what to do where it does not fit."""

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from nas_reid.modules.head import Head
from nas_reid.nas.memory import SavedTensors, advice, free_bytes, saved_bytes, step_bytes
from nas_reid.network.model import ReIDNetwork
from nas_reid.search_space import Mix
from tests.toy_space import ToySpace

IMAGES = (4, 3, 16, 8)


def make_network() -> tuple[ToySpace, ReIDNetwork]:
    space = ToySpace()
    trunk = space.supernet()
    return space, ReIDNetwork(trunk, Head(trunk.out_channels, 5, neck=True, running_stats=False))


def test_the_meta_device_says_what_real_tensors_keep() -> None:
    space, network = make_network()
    images = torch.randn(IMAGES)
    mixes = {d.name: Mix(torch.full((d.rows, len(d.choices)), 0.25, requires_grad=True)) for d in space.decisions()}
    saved = SavedTensors([*network.parameters(), *network.buffers()])
    with saved_tensors_hooks(saved.pack, lambda tensor: tensor):
        output = network(images, mixes)
    assert output.logits.requires_grad
    assert saved_bytes(network, space.decisions(), IMAGES) == saved.size() > images.numel() * 4
    assert all(parameter.device.type == "cpu" for parameter in network.parameters())


def test_a_compiled_network_is_counted_without_compiling_it() -> None:
    space, network = make_network()
    plain = saved_bytes(network, space.decisions(), IMAGES)
    network.trunk.compile(backend=lambda graph, inputs: pytest.fail("it was compiled"))
    assert saved_bytes(network, space.decisions(), IMAGES) == plain


def test_memory_grows_with_the_batch_the_samples_and_the_unrolled_step() -> None:
    space, network = make_network()
    weights = 4 * sum(parameter.numel() for parameter in network.parameters())
    one = saved_bytes(network, space.decisions(), IMAGES)
    assert saved_bytes(network, space.decisions(), (8, *IMAGES[1:])) > 1.8 * one
    arguments = (network, space.decisions(), IMAGES)
    assert step_bytes(*arguments, samples=2, scheme="first_order", sampled_only=False) == 2 * one + 3 * weights
    assert step_bytes(*arguments, samples=1, scheme="second_order", sampled_only=False) == one + 6 * weights


def test_advice_names_a_batch_that_fits() -> None:
    assert advice(2**30, 2**31, batch_size=64, instances=4) is None
    assert advice(2**40, None, batch_size=64, instances=4) is None
    message = advice(2**33, 2**32, batch_size=64, instances=4)
    assert "about 8.0 GiB and 4.0 GiB are free" in message and "batch.size=24, algorithm.relaxation=" in message
    assert "batch.size" not in advice(2**40, 2**30, batch_size=64, instances=4)


def test_free_memory_of_this_machine() -> None:
    free = free_bytes(torch.device("cpu"))
    assert free is None or free > 2**20
