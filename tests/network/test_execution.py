"""Where and how a network runs."""

from types import SimpleNamespace

import pytest
import torch

from nas_reid.errors import ConfigError
from nas_reid.modules.head import Head
from nas_reid.network.execution import place, select_device, trunk_dtype
from nas_reid.network.model import ReIDNetwork, WithMixes
from nas_reid.parallel import whole_batch
from nas_reid.search_space import Mix
from tests.toy_space import ToySpace

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
plain = torch.nn.Module.compile


def make_network() -> tuple[ReIDNetwork, dict[str, Mix]]:
    torch.manual_seed(0)
    space = ToySpace()
    trunk = space.supernet()
    mixes = {d.name: Mix(torch.full((d.rows, len(d.choices)), 0.3, requires_grad=True)) for d in space.decisions()}
    return ReIDNetwork(trunk, Head(trunk.out_channels, 5, neck=True, running_stats=False)), mixes


@pytest.mark.parametrize(("precision", "device", "supported", "expected"), [
    ("auto", CPU, True, torch.float32), ("auto", GPU, True, torch.bfloat16), ("auto", GPU, False, torch.float32),
    ("bfloat16", CPU, False, torch.bfloat16), ("bfloat16", GPU, True, torch.bfloat16),
    ("float32", GPU, True, torch.float32),
])
def test_which_format(precision: str, device: torch.device, supported: bool, expected: torch.dtype,
                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert trunk_dtype(precision, device) == expected


def test_a_gpu_that_cannot_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "an old one")
    with pytest.raises(ConfigError, match="an old one does not compute it; use float32, or auto"):
        trunk_dtype("bfloat16", GPU)


def test_only_the_trunk_computes_in_bfloat16() -> None:
    images = torch.randn(4, 3, 16, 8)
    network, mixes = make_network()
    exact = network(images, mixes)
    maps = []
    network.trunk.register_forward_hook(lambda _, __, output: maps.append(output.dtype))
    output = place(network, CPU, channels_last=True, precision="bfloat16")(images, mixes)
    assert maps == [torch.bfloat16]
    assert output.features.dtype == output.logits.dtype == torch.float32
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert not torch.equal(output.features, exact.features)
    torch.testing.assert_close(output.features, exact.features, rtol=0.05, atol=0.05)
    output.logits.square().sum().backward()
    assert all(mix.weights.grad.dtype == torch.float32 and mix.weights.grad.any() for mix in mixes.values())


def test_what_is_not_trained_computes_in_float32() -> None:
    images, (network, mixes) = torch.randn(4, 3, 16, 8), make_network()
    judged = WithMixes(network.eval(), mixes)
    exact = judged(images)
    place(network, CPU, channels_last=False, precision="bfloat16")
    assert torch.equal(judged(images), exact)
    network.judged_dtype = torch.bfloat16  # as nas_reid.select may ask
    assert not torch.equal(judged(images), exact)


def test_compiling_changes_neither_names_nor_results(monkeypatch: pytest.MonkeyPatch) -> None:
    network, mixes = make_network()
    names, images = list(network.state_dict()), torch.randn(4, 3, 16, 8)
    exact = network(images, mixes)
    modes = []
    monkeypatch.setattr(torch.nn.Module, "compile",  # inductor needs a compiler of its own and half a minute
                        lambda module, mode: modes.append(mode) or plain(module, backend="eager"))
    output = place(network, CPU, channels_last=False, compile="reduce-overhead")(images, mixes)
    assert modes == ["reduce-overhead"] and list(network.state_dict()) == names
    torch.testing.assert_close(output, exact)


def test_a_compiled_trunk_is_whole_in_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    network, mixes = make_network()
    exact = network(images := torch.randn(4, 3, 16, 8), mixes)
    monkeypatch.setattr(whole_batch, "world", lambda: 2)
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, mode: plain(module, backend="eager", fullgraph=True))
    output = place(network, CPU, channels_last=False, compile="default", sync_norms=False)(images, mixes)
    torch.testing.assert_close(output, exact)


def test_auto_is_the_cpu_without_a_gpu_and_spreads_jobs_over_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert select_device("auto", job=3) == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    current: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr(torch, "ones", lambda size, device: SimpleNamespace(device=torch.device(device), is_cuda=True,
                                                                            item=lambda: 1.0))
    assert [select_device("auto", job=job).index for job in range(4)] == [0, 1, 0, 1]
    assert current == [torch.device("cuda", 0), torch.device("cuda", 1)] * 2


def test_apples_gpus_are_refused() -> None:
    with pytest.raises(ConfigError, match="device=mps: Apple's GPUs have no float64"):
        select_device("mps")


def test_a_named_device_is_taken_as_it_is() -> None:
    assert select_device("cpu", job=3) == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "", "cpu,cuda"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"device='{name}' cannot be used by torch .*; use auto, cpu"):
        select_device(name)
