"""The architecture gradients on a small smooth problem, against double backward and against known mistakes."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from nas_reid.errors import ConfigError
from nas_reid.nas.architect import first_order, second_order
from nas_reid.nas.relaxation import RELAXATIONS
from tests.oracles.unrolled import unrolled_gradient

Tensors = dict[str, Tensor]
OPS = (torch.tanh, torch.sin, torch.sigmoid)
TOLERANCE = 1e-6
STEP = {"xi": 0.3, "momentum": 0.9, "weight_decay": 0.05}


def normal(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def loss_on(seed: int) -> Callable[[Tensors, Tensors], Tensor]:
    """Mean squared error of two mixed layers of three smooth ops on its own random batch."""
    images, targets = normal(seed, 16, 4), normal(seed + 1, 16, 4)

    def loss(weights: Tensors, alphas: Tensors) -> Tensor:
        features = images
        for row, mix in enumerate(alphas["cell"].softmax(-1)):
            features = sum(mix[k] * op(features @ weights[f"{row}.{k}"]) for k, op in enumerate(OPS))
        return (features * alphas["gate"].sigmoid() - targets).square().mean()

    return loss


TRAIN, VAL = loss_on(100), loss_on(200)


def problem() -> tuple[Tensors, Tensors, Tensors]:
    weights = {f"{row}.{k}": normal(3 * row + k, 4, 4).requires_grad_() for row in range(2) for k in range(3)}
    buffers = {name: normal(50 + i, 4, 4) for i, name in enumerate(weights)}
    alphas = {"cell": normal(70, 2, 3).requires_grad_(), "gate": normal(71, 4).requires_grad_()}
    return weights, buffers, alphas


def relative_error(gradient: Tensors, reference: Tensors) -> float:
    one, other = (torch.cat([g[name].flatten() for name in sorted(g)]) for g in (gradient, reference))
    return ((one - other).norm() / other.norm()).item()


def reference() -> Tensors:
    weights, buffers, alphas = problem()
    return unrolled_gradient(TRAIN, VAL, weights, alphas, momentum_buffers=buffers, **STEP)


@pytest.mark.parametrize(
    ("hessian", "epsilon", "tolerance"),
    [("finite_difference", 0.01, TOLERANCE), ("finite_difference", 1e-3, 1e-8), ("exact", 0.01, 1e-12)],
)
def test_second_order_is_the_unrolled_gradient(hessian: str, epsilon: float, tolerance: float) -> None:
    weights, buffers, alphas = problem()
    loss, gradient = second_order(
        TRAIN, VAL, weights, alphas, momentum_buffers=buffers, hessian=hessian, epsilon=epsilon, **STEP
    )
    assert relative_error(gradient, reference()) < tolerance
    assert not loss.requires_grad and loss.item() != VAL(weights, alphas).item()


def textbook(fault: str | None) -> Tensors:
    """Liu et al.'s recipe written out, with one of the mistakes found in public code."""
    weights, buffers, alphas = problem()
    names, w = list(weights), list(weights.values())
    a = list(alphas.values())
    if fault == "first order":
        return dict(zip(alphas, torch.autograd.grad(VAL(weights, alphas), a), strict=True))
    momentum = 0.0 if fault == "no momentum" else STEP["momentum"]
    decay = 0.0 if fault == "no weight decay" else STEP["weight_decay"]
    moved = []
    for name, value, slope in zip(names, w, torch.autograd.grad(TRAIN(weights, alphas), w), strict=True):
        stepped = value - STEP["xi"] * (momentum * buffers[name] + slope + decay * value)
        moved.append((value if fault == "virtual step stays" else stepped).detach().requires_grad_())
    gradients = torch.autograd.grad(VAL(dict(zip(names, moved, strict=True)), alphas), moved + a)
    vector, direct = gradients[: len(w)], gradients[len(w) :]
    eps = 1e-3 / torch.cat([v.flatten() for v in vector]).norm()
    centre = moved if fault == "perturbs w'" else w

    def slope_at(sign: int) -> tuple[Tensor, ...]:
        shifted = [c + sign * eps * v for c, v in zip(centre, vector, strict=True)]
        return torch.autograd.grad(TRAIN(dict(zip(names, shifted, strict=True)), alphas), a)

    plus, minus = slope_at(+1), slope_at(+1 if fault == "equal differences" else -1)
    scale = eps / 2 if fault == "/ 2. * eps" else 1 / (2 * eps)
    curvature = [(p - n) * scale for p, n in zip(plus, minus, strict=True)]
    xi = 1.0 if fault == "curvature without xi" else STEP["xi"]
    sign = -1 if fault == "curvature added" else 1
    return {name: d - sign * xi * c for name, d, c in zip(alphas, direct, curvature, strict=True)}


FAULTS = [
    "/ 2. * eps",
    "first order",
    "virtual step stays",
    "perturbs w'",
    "no momentum",
    "no weight decay",
    "equal differences",
    "curvature without xi",
    "curvature added",
]


def test_textbook_recipe_passes() -> None:
    assert relative_error(textbook(None), reference()) < TOLERANCE


@pytest.mark.parametrize("fault", FAULTS)
def test_known_mistakes_fail(fault: str) -> None:
    assert relative_error(textbook(fault), reference()) > 100 * TOLERANCE


def test_virtual_step_is_a_step_of_sgd() -> None:
    """The weights at which the validation loss is asked, after two real steps that filled the buffers."""
    weights, _, alphas = problem()
    parameters = {name: nn.Parameter(weight.detach().clone()) for name, weight in weights.items()}
    sgd = torch.optim.SGD(parameters.values(), lr=0.3, momentum=0.9, weight_decay=0.05)
    seen: list[Tensors] = []

    def val_loss(w: Tensors, a: Tensors) -> Tensor:
        seen.append({name: value.detach().clone() for name, value in w.items()})
        return VAL(w, a)

    for _ in range(3):
        buffers = {n: sgd.state[p]["momentum_buffer"] for n, p in parameters.items() if p in sgd.state}
        second_order(
            TRAIN, val_loss, parameters, alphas, momentum_buffers=buffers, hessian="finite_difference", **STEP
        )
        sgd.zero_grad()
        TRAIN(parameters, alphas).backward()
        sgd.step()
        for name, parameter in parameters.items():
            torch.testing.assert_close(seen[-1][name], parameter.detach(), rtol=1e-12, atol=1e-14)
    assert len(seen) == 3


def test_first_order_is_the_partial_gradient() -> None:
    weights, _, alphas = problem()
    loss, gradient = first_order(VAL, weights, alphas)
    assert relative_error(gradient, textbook("first order")) == 0
    assert loss.item() == VAL(weights, alphas).item() and not loss.requires_grad


def test_first_order_saves_nothing_for_the_weights() -> None:
    weights, _, alphas = problem()

    def val_loss(w: Tensors, a: Tensors) -> Tensor:
        assert not any(weight.requires_grad for weight in w.values())
        return VAL(w, a)

    assert (first_order(val_loss, weights, alphas)[1]["cell"] != 0).all()


class Network(nn.Module):
    """A mixed convolution with batch statistics, as in a supernet."""

    def __init__(self, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.activation = activation
        self.ops = nn.ModuleList([nn.Conv2d(3, 4, 1, bias=False), nn.Conv2d(3, 4, 3, padding=1, bias=False)])
        self.norm = nn.BatchNorm2d(4, track_running_stats=False)
        self.classifier = nn.Linear(4, 5)

    def forward(self, images: Tensor, weights: Tensor) -> Tensor:
        features = sum(w * op(images) for w, op in zip(weights[0], self.ops, strict=True))
        return self.classifier(self.activation(self.norm(features)).mean((2, 3)))


def network_losses(dtype: torch.dtype, activation: Callable[[Tensor], Tensor] = nn.functional.silu
                   ) -> tuple[Network, Callable, Callable]:
    network = Network(activation).to(dtype)
    for i, parameter in enumerate(network.parameters()):
        parameter.data = 0.5 * normal(i, *parameter.shape, dtype=dtype)

    def loss_of(seed: int) -> Callable[[Tensors, Tensors], Tensor]:
        images, labels = normal(seed, 8, 3, 6, 5, dtype=dtype), torch.arange(8) % 5

        def loss(weights: Tensors, alphas: Tensors) -> Tensor:
            mixes = RELAXATIONS["softmax"](alphas, temperature=1.0, generator=None)
            output = functional_call(network, dict(weights), (images, mixes["cell"].weights.to(dtype)))
            return nn.functional.cross_entropy(output, labels)

        return loss

    return network, loss_of(300), loss_of(400)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-5), (torch.float32, 2e-3)])
def test_network_with_batch_norm(dtype: torch.dtype, tolerance: float) -> None:
    network, train, val = network_losses(dtype)
    weights, alphas = dict(network.named_parameters()), {"cell": torch.zeros(1, 2, dtype=dtype, requires_grad=True)}
    buffers = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    expected = unrolled_gradient(train, val, weights, alphas, momentum_buffers=buffers, **STEP)
    assert relative_error(first_order(val, weights, alphas)[1], expected) > 10 * tolerance
    for hessian in ("exact", "finite_difference"):
        _, gradient = second_order(train, val, weights, alphas, momentum_buffers={}, hessian=hessian, **STEP)
        assert relative_error(gradient, expected) < tolerance


def test_finite_differences_cross_the_kinks_of_relus_and_the_exact_hessian_does_not() -> None:
    errors = {}
    for activation in (nn.functional.silu, nn.functional.relu):
        network, train, val = network_losses(torch.float64, activation)
        weights = dict(network.named_parameters())
        alphas = {"cell": torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)}
        buffers = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        expected = unrolled_gradient(train, val, weights, alphas, momentum_buffers=buffers, **STEP)
        for hessian in ("exact", "finite_difference"):
            _, gradient = second_order(train, val, weights, alphas, momentum_buffers={}, hessian=hessian, **STEP)
            errors[activation.__name__, hessian] = relative_error(gradient, expected)
    assert max(errors["silu", "exact"], errors["relu", "exact"]) < 1e-12
    assert errors["silu", "finite_difference"] < 1e-7 and errors["relu", "finite_difference"] > 1e-4, errors


@pytest.mark.parametrize("scheme", ["first_order", "finite_difference", "exact"])
def test_live_tensors_are_left_alone(scheme: str) -> None:
    network, train, val = network_losses(torch.float64)
    weights, alphas = dict(network.named_parameters()), {"cell": normal(9, 1, 2).requires_grad_()}
    marks = {name: torch.full_like(weight, 7.0) for name, weight in weights.items()}
    for name, weight in weights.items():
        weight.grad = marks[name]
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    if scheme == "first_order":
        first_order(val, weights, alphas)
    else:
        second_order(train, val, weights, alphas, momentum_buffers={}, hessian=scheme, **STEP)
    assert alphas["cell"].grad is None
    for name, weight in network.named_parameters():
        assert weight.grad is marks[name] and (weight.grad == 7).all() and torch.equal(weight.detach(), before[name])


def test_alpha_that_is_not_used_gets_zero() -> None:
    weights, _, alphas = problem()
    alphas["other"] = torch.ones(2, 2, requires_grad=True)
    results = [first_order(VAL, weights, alphas)]
    for hessian in ("exact", "finite_difference"):
        results.append(second_order(TRAIN, VAL, weights, alphas, momentum_buffers={}, hessian=hessian, **STEP))
    for _, gradient in results:
        assert torch.equal(gradient["other"], torch.zeros(2, 2)) and (gradient["cell"] != 0).all()


def test_flat_validation_loss_gives_zero_not_nan() -> None:
    weights, _, alphas = problem()

    def flat(w: Tensors, a: Tensors) -> Tensor:
        return 0 * VAL(w, a)

    _, gradient = second_order(TRAIN, flat, weights, alphas, momentum_buffers={}, hessian="finite_difference", **STEP)
    assert all(torch.equal(value, torch.zeros_like(value)) for value in gradient.values())


def test_differences_run_outside_autocast() -> None:
    weights, _, alphas = problem()
    weights, alphas = ({n: t.detach().float().requires_grad_() for n, t in g.items()} for g in (weights, alphas))
    seen: list[bool] = []

    def train(w: Tensors, a: Tensors) -> Tensor:
        seen.append(torch.is_autocast_enabled("cpu"))
        return sum((w[name] ** 3).mean() for name in w) * a["cell"].sum()

    with torch.autocast("cpu", dtype=torch.bfloat16):
        second_order(train, train, weights, alphas, momentum_buffers={}, hessian="finite_difference", **STEP)
        assert torch.is_autocast_enabled("cpu")
    assert seen == [False] * 4


@pytest.fixture
def tf32() -> Iterator[list]:
    """The two switches, both on."""
    backends = [torch.backends.cudnn, torch.backends.cuda.matmul]
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = True
    yield backends
    for backend, value in zip(backends, before, strict=True):
        backend.allow_tf32 = value


@pytest.mark.parametrize("hessian", ["exact", "finite_difference"])
def test_second_order_is_without_tf32_and_restores_it(hessian: str, tf32: list) -> None:
    weights, _, alphas = problem()
    seen: list[bool] = []

    def val(w: Tensors, a: Tensors) -> Tensor:
        seen.extend(backend.allow_tf32 for backend in tf32)
        if len(seen) > 4:
            raise KeyboardInterrupt
        return VAL(w, a)

    second_order(TRAIN, val, weights, alphas, momentum_buffers={}, hessian=hessian, **STEP)
    assert [backend.allow_tf32 for backend in tf32] == [True, True]
    torch.backends.cuda.matmul.allow_tf32 = False
    second_order(TRAIN, val, weights, alphas, momentum_buffers={}, hessian=hessian, **STEP)
    with pytest.raises(KeyboardInterrupt):
        second_order(TRAIN, val, weights, alphas, momentum_buffers={}, hessian=hessian, **STEP)
    assert [backend.allow_tf32 for backend in tf32] == [True, False] and not any(seen)


def test_illegal_second_order() -> None:
    weights, _, alphas = problem()
    with pytest.raises(ConfigError, match=r"'diagonal'.*finite_difference"):
        second_order(TRAIN, VAL, weights, alphas, momentum_buffers={}, hessian="diagonal", **STEP)
    half = {name: weight.detach().bfloat16() for name, weight in weights.items()}
    with pytest.raises(ConfigError, match=r"bfloat16.*first_order"):
        second_order(TRAIN, VAL, half, alphas, momentum_buffers={}, hessian="exact", **STEP)
