"""A network prepared for inference computes the same; norms are folded where that is exact and nowhere else."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nas_reid.deploy.inference import fold, folded_norms
from nas_reid.modules.head import Head, head_arguments
from nas_reid.network.model import ReIDNetwork
from nas_reid.registry import load_genotype, space_of

SIZE = (64, 32)
CELLS = {"channels": 6, "layers": [1, 1]}


def unlike_new(network: nn.Module) -> nn.Module:
    """Give norms statistics, scales and shifts that matter; float64, evaluation mode."""
    generator = torch.Generator().manual_seed(0)
    network = network.double().eval()
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and tensor.ndim == 1:
            random = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
            tensor.copy_(0.5 + random if name.endswith(("weight", "running_var")) else random - 0.5)
    return network


def network(reference: str, *, neck: bool = False, **changes) -> ReIDNetwork:
    genotype = load_genotype(reference)
    space = space_of(genotype, changes)
    trunk = space.network(genotype)
    return unlike_new(ReIDNetwork(trunk, Head(trunk.out_channels, 5, **head_arguments({"neck": neck}, space))))


def images(batch: int = 2, size: tuple[int, int] = SIZE) -> Tensor:
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def norms(module: nn.Module) -> list[str]:
    return [name for name, child in module.named_modules() if isinstance(child, nn.modules.batchnorm._BatchNorm)]


def difference(plain: nn.Module, other: nn.Module, x: Tensor) -> float:
    """Largest difference relative to the largest value."""
    with torch.no_grad():
        expected, found = plain(x), other(x)
    assert expected.shape == found.shape and expected.isfinite().all() and expected.std() > 0
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize(("reference", "changes"), [
    ("osnet_ain/plain", {"width": 0.25}),
    ("osnet_ain/ibn", {"width": 0.25}),
    ("osnet_ain/paper", {"width": 0.25}),
    *[("osnet_ain/paper", {"width": 0.25, "fusion": fusion})
      for fusion in ("stream_wise", "separate", "static", "addition", "concatenation")],
    ("osnet_ain/plain", {"width": 0.25, "convolution": "full"}),
    ("osnet_ain/plain", {"width": 0.25, "streams": 2, "stream_depth": 2}),
    ("osnet_ain/plain", {"width": 0.25, "streams": 1}),
    ("auto_reid/retrieval", CELLS),
    ("auto_reid/retrieval", {**CELLS, "part_attention": "qkv"}),
    ("auto_reid/baseline", CELLS),
    ("resnet/resnet50_ibn_a", {"channels": 8}),
    ("resnet/resnest50", {"channels": 8}),
])
def test_every_fixed_network_computes_the_same(reference: str, changes: dict) -> None:
    plain = network(reference, **changes)
    before = deepcopy(plain.state_dict())
    prepared = fold(plain, image_size=SIZE)
    assert not norms(prepared) and not prepared.training
    assert not any(parameter.requires_grad for parameter in prepared.parameters())
    assert difference(plain, prepared, images()) < 1e-10
    assert difference(plain, prepared, images(1, (66, 38))) < 1e-10  # the wiring does not depend on the size
    assert all(torch.equal(before[name], tensor) for name, tensor in plain.state_dict().items())


@pytest.mark.parametrize("reference", ["osnet_ain/paper", "auto_reid/retrieval"])
def test_a_neck_behind_a_linear_layer_is_folded_and_one_behind_a_pool_or_a_relu_stays(reference: str) -> None:
    changes = {"width": 0.25} if "osnet" in reference else CELLS
    plain = network(reference, neck=True, **changes)
    folded = fold(plain, image_size=SIZE)
    assert norms(folded) == ["head.neck"]  # behind OSNet's ReLU; behind the pool of the cells
    assert difference(plain, folded, images()) < 1e-10
    trunk = plain.trunk
    behind_linear = unlike_new(ReIDNetwork(trunk, Head(trunk.out_channels, 5, embedding=8, neck=True)))
    folded = fold(behind_linear, image_size=SIZE)
    assert not norms(folded)
    assert difference(behind_linear, folded, images()) < 1e-10


def test_with_norms_folded_alone_the_modules_stay_what_they_are() -> None:
    plain = network("osnet_ain/paper", width=0.25)
    folded = folded_norms(plain, image_size=SIZE)
    assert not norms(folded) and difference(plain, folded, images()) < 1e-10
    assert [name for name, _ in folded.named_modules()] == [name for name, _ in plain.named_modules()]


def test_a_trunk_alone_and_single_precision() -> None:
    trunk = network("osnet_ain/paper", width=0.25).trunk
    assert difference(trunk, fold(trunk, image_size=SIZE), images()) < 1e-10
    trunk = trunk.float()
    assert difference(trunk, fold(trunk, image_size=SIZE), images().float()) < 1e-4


class Devices(TorchDispatchMode):
    """Where results lie."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        result = op(*args, **(kwargs or {}))
        self.seen |= {leaf.device.type for leaf in tree_leaves(result) if isinstance(leaf, Tensor)}
        return result


def test_nothing_runs_on_the_meta_device_which_would_import_a_compiler() -> None:
    with Devices() as devices:
        fold(network("osnet_ain/paper", width=0.25), image_size=SIZE)
    assert devices.seen == {"cpu"}


class Wired(nn.Module):
    """A convolution, a norm, and a forward that says how they are wired."""

    def __init__(self, forward, **modules: nn.Module) -> None:
        super().__init__()
        self.wiring = forward
        for name, module in {"conv": nn.Conv2d(3, 6, 3, padding=1), "norm": nn.BatchNorm2d(6), **modules}.items():
            setattr(self, name, module)

    def forward(self, x: Tensor) -> Tensor:
        return self.wiring(self, x)


WITHOUT_STATISTICS = nn.BatchNorm2d(6, track_running_stats=False)


@pytest.mark.parametrize(("wiring", "modules", "left"), [
    (lambda m, x: m.norm(m.conv(x)).relu(), {}, []),
    (lambda m, x: m.second(m.norm(m.conv(x))), {"second": nn.BatchNorm2d(6, affine=False)}, []),
    (lambda m, x: m.norm(torch.cat([m.conv(x), m.other(x)], dim=1)),
     {"other": nn.Conv2d(3, 2, 3, padding=1, bias=False), "norm": nn.BatchNorm2d(8)}, []),
    (lambda m, x: torch.cat([part(piece.contiguous()) for part, piece in zip(
        (m.instance, m.norm), torch.split(m.conv(x), 3, 1), strict=True)], 1),
     {"instance": nn.InstanceNorm2d(3, affine=True), "norm": nn.BatchNorm2d(3)}, []),
    (lambda m, x: m.norm(m.linear(x.mean((2, 3)))), {"linear": nn.Linear(3, 6), "norm": nn.BatchNorm1d(6)}, []),
    # What must stay: the sum reads the convolution too, here and in place; the convolution runs twice; the norm runs
    # twice; the weight has two owners; a ReLU is in between; the norm comes first; the norm has no statistics.
    (lambda m, x: m.norm(y := m.conv(x)) + y, {}, ["norm"]),
    (lambda m, x: m.norm(m.conv(x).relu_()), {}, ["norm"]),
    (lambda m, x: m.norm(m.conv(x)) + m.conv(x.flip(3)), {}, ["norm"]),
    (lambda m, x: m.norm(m.conv(x)) + m.norm(m.conv(x.flip(3))), {}, ["norm"]),
    (lambda m, x: m.norm(m.conv(x)) + m.other(x), {"other": nn.Conv2d(3, 6, 3, padding=1)}, ["norm"]),
    (lambda m, x: m.norm(m.conv(x).relu()), {}, ["norm"]),
    (lambda m, x: m.conv(m.norm(x)), {"norm": nn.BatchNorm2d(3)}, ["norm"]),
    (lambda m, x: m.norm(m.conv(x)), {"norm": WITHOUT_STATISTICS}, ["norm"]),
    (lambda m, x: m.norm(torch.cat([y := m.conv(x), y], 1)), {"norm": nn.BatchNorm2d(12)}, ["norm"]),
])
def test_a_norm_is_folded_exactly_where_nothing_else_reads_its_input(wiring, modules: dict, left: list) -> None:
    plain = Wired(wiring, **modules)
    if left and "other" in modules:
        plain.other.weight = plain.conv.weight
    plain = unlike_new(plain)
    folded = fold(plain, image_size=SIZE)
    assert norms(folded) == left
    assert difference(plain, folded, images()) < 1e-12


class Count(TorchDispatchMode):
    """Counts dispatched operations that are no views."""

    operations = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.operations += not func.is_view
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("reference", "changes", "most"), [
    ("osnet_ain/plain", {"width": 0.25}, 0.6), ("osnet_ain/paper", {"width": 0.25}, 0.7),
    ("auto_reid/retrieval", CELLS, 0.85)])
def test_fewer_operations_are_dispatched(reference: str, changes: dict, most: float) -> None:
    plain = network(reference, **changes)
    counts = []
    for module in (plain, fold(plain, image_size=SIZE)):
        with torch.inference_mode(), Count() as count:
            module(images(1))
        counts.append(count.operations)
    assert counts[1] <= most * counts[0], counts
