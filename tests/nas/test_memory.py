"""The estimate of a search step's memory: what real tensors keep, and what to do where it does not fit."""

from types import SimpleNamespace

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

import nas_reid.nas.memory
from nas_reid.errors import ConfigError
from nas_reid.modules.head import Head
from nas_reid.nas.memory import SavedTensors, advice, foresee, require_room, saved_bytes, step_bytes
from nas_reid.network.free_memory import Memory
from nas_reid.network.model import ReIDNetwork
from nas_reid.registry import load_genotype, space_of
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
    second = {"samples": 1, "scheme": "second_order", "sampled_only": False}
    assert step_bytes(*arguments, **second) == one + 6 * weights
    assert step_bytes(*arguments, **second, hessian="exact") == 3 * one + 6 * weights


def test_an_exact_hessian_keeps_the_gradients_graph_too() -> None:
    """What the estimate counts as three forward passes: the training loss's with its gradient's graph, about two."""
    space, network = make_network()
    images, weights = torch.randn(IMAGES), list(network.parameters())
    mixes = {d.name: Mix(torch.full((d.rows, len(d.choices)), 0.25, requires_grad=True)) for d in space.decisions()}
    saved = SavedTensors([*weights, *network.buffers()])
    with saved_tensors_hooks(saved.pack, lambda tensor: tensor):
        loss = network(images, mixes).features.square().mean()
        gradients = torch.autograd.grad(loss, weights, create_graph=True, materialize_grads=True)
    assert gradients[0].requires_grad
    assert saved.size() / saved_bytes(network, space.decisions(), IMAGES) == pytest.approx(2, abs=0.6)


def test_advice_names_a_batch_that_fits() -> None:
    assert advice(2**30, 2**31, batch_size=64, instances=4) is None
    assert advice(2**40, None, batch_size=64, instances=4) is None
    message = advice(2**33, 2**32, batch_size=64, instances=4)
    assert "about 8.0 GiB and 4.0 GiB are free" in message and "batch.size=24, algorithm.relaxation=" in message
    assert "batch.size" not in advice(2**40, 2**30, batch_size=64, instances=4)


def test_the_temporaries_have_to_fit_too() -> None:
    assert advice(100 * 2**30, int(129.9 * 2**30), batch_size=64, instances=4) is not None
    assert advice(100 * 2**30, int(130.1 * 2**30), batch_size=64, instances=4) is None


STEP = {"instances": 2, "samples": 1, "scheme": "first_order", "sampled_only": False, "device": torch.device("cpu")}


def test_a_search_is_foreseen_without_building_it(monkeypatch: pytest.MonkeyPatch,
                                                  caplog: pytest.LogCaptureFixture) -> None:
    space = ToySpace()
    with torch.device("meta"):
        needed = step_bytes(space.supernet(), space.decisions(), IMAGES, samples=1, scheme="first_order",
                            sampled_only=False)
    state = torch.random.get_rng_state()
    for free, total, expected in ((2**40, 2**40, "keeps about"), (needed, 2**40, "needs about"), (None, None, "keeps")):
        monkeypatch.setattr(nas_reid.nas.memory, "memory_of", lambda _, free=free, total=total: Memory(free, total))
        caplog.clear()
        with caplog.at_level("INFO"):
            foresee(space, IMAGES, **STEP)
        assert expected in caplog.text
    monkeypatch.setattr(nas_reid.nas.memory, "memory_of", lambda _: Memory(needed // 2 - 1, needed // 2 - 1))
    with pytest.raises(ConfigError, match=r"^cpu has 0\.0 GiB in all, too little for space=\S+ as it is configured: a "
                                          r"search step needs about .* a smaller space$"):
        foresee(space, IMAGES, **STEP)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_network_beyond_all_memory_is_refused_before_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    space, genotype = SimpleNamespace(network=lambda _: torch.nn.Linear(1000, 1000, bias=False)), None
    for total, refused in ((16_000_000, False), (15_999_999, True), (None, False)):
        monkeypatch.setattr(nas_reid.nas.memory, "memory_of", lambda _, total=total: Memory(total, total))
        if refused:
            with pytest.raises(ConfigError, match=r"has 1,000,000 parameters: .* cpu has 0\.0 GiB in all.*network\."):
                require_room(space, genotype, torch.device("cpu"), (8, 4))
        else:
            require_room(space, genotype, torch.device("cpu"), (8, 4))


def test_images_that_are_too_small_are_refused_before_there_are_any() -> None:
    genotype = load_genotype("auto_reid/retrieval")
    space = space_of(genotype, {"channels": 4})
    with pytest.raises(ConfigError, match=r"^images of 32 x 16 pixels \(data.image_size\): part_aware .* 4 stripes"):
        require_room(space, genotype, torch.device("cpu"), (32, 16))
    require_room(space, genotype, torch.device("cpu"), (64, 32))
