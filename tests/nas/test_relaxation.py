import math

import pytest
import torch
from torch import Tensor

from nas_reid.errors import ConfigError
from nas_reid.nas.relaxation import RELAXATIONS, get_relaxation, gumbel_noise, require_gates
from nas_reid.search_space import Choice, Decision, Mix

RANDOM = ["gumbel", "gumbel_log_relu", "gumbel_hard", "gumbel_sampled", "gumbel_sampled_exact",
          "reinmax", "dirichlet", "binary_concrete", "hard_concrete"]
GATES = ["binary_concrete", "hard_concrete"]
HARD = ["gumbel_hard", "gumbel_sampled", "gumbel_sampled_exact", "reinmax"]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def alphas(rows: int = 5, choices: int = 4, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    names = ("reduce", "normal")
    return {n: torch.randn(rows, choices, generator=generator(7), dtype=dtype).requires_grad_() for n in names}


def relax(name: str, values: dict[str, Tensor], temperature: float | Tensor = 1.0, seed: int = 0) -> dict[str, Mix]:
    return get_relaxation(name)(values, temperature=temperature, generator=generator(seed))


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'argmax'.*dirichlet.*softmax"):
        get_relaxation("argmax")


@pytest.mark.parametrize("name", sorted(RELAXATIONS))
def test_every_row_is_a_mixture_that_carries_gradient(name: str) -> None:
    choices = 2 if name in GATES else 4
    values = alphas(choices=choices, dtype=torch.float32)
    mixes = relax(name, values)
    assert list(mixes) == ["normal", "reduce"]
    coefficients = torch.randn(5, choices, generator=generator(1))
    for decision, mix in mixes.items():
        assert mix.weights.shape == (5, choices) and mix.weights.dtype == torch.float32
        assert ((mix.weights >= 0) & (mix.weights <= 1)).all()
        if name != "sigmoid":
            torch.testing.assert_close(mix.weights.sum(-1), torch.ones(5))
        (gradient,) = torch.autograd.grad((coefficients * mix.weights).sum(), values[decision])
        # Under the published log-ReLU, a row with less than two positive alphas is dead: its weights are constant.
        alive = ((values[decision] > 0).sum(-1) >= 2) | (name != "gumbel_log_relu")
        if name == "hard_concrete":  # a gate that is shut or fully open
            alive = (mix.weights > 0).all(-1)
        assert gradient.isfinite().all() and (gradient != 0).any(-1)[alive].all() and alive.any()


@pytest.mark.parametrize("name", sorted(RELAXATIONS))
def test_order_of_the_mapping_does_not_matter(name: str) -> None:
    values = alphas(choices=2 if name in GATES else 4)
    one, other = relax(name, values), relax(name, dict(sorted(values.items())))
    assert all(torch.equal(one[decision].weights, other[decision].weights) for decision in values)


def test_closed_forms() -> None:
    values = {"cell": torch.tensor([[0.0, 1.0, -2.0]], dtype=torch.float64)}
    exponentials = torch.tensor([[1.0, 2.718281828459045, 0.1353352832366127]], dtype=torch.float64)
    torch.testing.assert_close(relax("softmax", values)["cell"].weights, exponentials / exponentials.sum())
    torch.testing.assert_close(relax("sigmoid", values)["cell"].weights, exponentials / (1 + exponentials))
    concentration = torch.tensor([[1.0, 2.0, 0.1353352832366127]], dtype=torch.float64)
    mean = RELAXATIONS["dirichlet"].probabilities(values)["cell"]
    torch.testing.assert_close(mean, concentration / concentration.sum())


def test_gumbel_formula_with_its_own_noise() -> None:
    value = alphas()["normal"]
    noise = gumbel_noise(value, generator())
    expected = ((value.log_softmax(-1) + noise) / 0.7).exp()
    mix = relax("gumbel", {"normal": value}, torch.tensor(0.7, dtype=torch.float64))["normal"]
    torch.testing.assert_close(mix.weights, expected / expected.sum(-1, keepdim=True))
    assert mix.index is None


@pytest.mark.parametrize(("weights", "temperature", "expected"), [
    ([1.0, 1.0, 1.0, 1.0], 10.0, [0.216435, 0.237326, 0.251606, 0.294633]),
    ([1.0, 1.0, 1.0, 1.0], 1.0, [0.033473, 0.084116, 0.150882, 0.731530]),
    ([2.0, 1.0, 0.5, -1.0], 10.0, [0.321001, 0.328414, 0.324859, 0.025725]),
    ([2.0, 1.0, 0.5, -1.0], 1.0, [0.295564, 0.371367, 0.333069, 0.0]),
])
def test_log_relu_mixes_as_the_published_osnet_ain(monkeypatch, weights, temperature, expected) -> None:
    noise = -torch.tensor([0.1, 0.4, 0.6, 0.9], dtype=torch.float64).log().neg().log()
    monkeypatch.setattr("nas_reid.nas.relaxation.gumbel_noise", lambda like, generator: noise.to(like))
    value = torch.tensor([weights], dtype=torch.float64, requires_grad=True)
    mix = relax("gumbel_log_relu", {"block": value}, temperature)["block"].weights
    torch.testing.assert_close(mix, torch.tensor([expected], dtype=torch.float64), atol=6e-7, rtol=0)
    (gradient,) = torch.autograd.grad(mix[0, 0], value)
    assert ((gradient == 0) == (value < 0)).all()


def test_log_relu_shares_are_how_often_each_choice_wins_and_keep_the_order_of_dead_ones() -> None:
    value = torch.tensor([[2.0, 1.0, 0.5, -1.0]], dtype=torch.float64)
    shares = RELAXATIONS["gumbel_log_relu"].probabilities({"block": value})["block"]
    torch.testing.assert_close(shares, value.relu() / 3.5)
    draws = relax("gumbel_log_relu", {"block": value.expand(40_000, 4)})["block"].weights.argmax(-1)
    torch.testing.assert_close(torch.bincount(draws, minlength=4) / 40_000, shares[0].float(), atol=0.01, rtol=0)
    rows = torch.randn(200, 4, generator=generator()) - 1
    shares = RELAXATIONS["gumbel_log_relu"].probabilities({"block": rows})["block"]
    assert torch.equal(shares.argsort(-1), rows.argsort(-1)) and (rows < 0).all(-1).any()


def test_two_way_gumbel_is_the_binary_concrete_gate() -> None:
    logits = torch.tensor([-1.0, 0.0, 2.0], dtype=torch.float64).repeat_interleave(20_000)
    gates = relax("gumbel", {"gate": torch.stack([torch.zeros_like(logits), logits], -1)}, 0.3)["gate"].weights[:, 1]
    opened = (gates > 0.5).double().view(3, -1).mean(-1)
    torch.testing.assert_close(opened, logits.view(3, -1)[:, 0].sigmoid(), atol=0.015, rtol=0)


def gates_of(name: str, logit: float, temperature: float, count: int = 100_000) -> Tensor:
    row = torch.tensor([[0.4, 0.4 + logit]], dtype=torch.float64)
    weights = relax(name, {"gate": row.expand(count, 2)}, temperature)["gate"].weights
    torch.testing.assert_close(weights.sum(-1), torch.ones(count, dtype=torch.float64))
    return weights[:, 1]


@pytest.mark.parametrize("logit", [0.0, 1.0])
@pytest.mark.parametrize("temperature", [0.1, 2 / 3, 5.0])
def test_binary_concrete_is_open_with_probability_sigmoid_at_every_temperature(logit: float, temperature: float):
    opened = (gates_of("binary_concrete", logit, temperature) > 0.5).double().mean().item()
    assert opened == pytest.approx(1 / (1 + math.exp(-logit)), abs=0.005)
    probabilities = RELAXATIONS["binary_concrete"].probabilities({"gate": torch.tensor([[0.0, logit]])})["gate"]
    assert probabilities[0, 1].item() == pytest.approx(1 / (1 + math.exp(-logit)))


def test_binary_concrete_is_the_published_formula_of_its_own_noise() -> None:
    uniform = torch.rand(1000, generator=generator(), dtype=torch.float64)
    gates = gates_of("binary_concrete", 1.0, 0.7, count=1000)
    torch.testing.assert_close(gates, 1 / (1 + (-(1 + (uniform / (1 - uniform)).log()) / 0.7).exp()))


def test_hard_concrete_closes_and_opens_fully_as_often_as_published() -> None:
    gates = gates_of("hard_concrete", 0.0, 2 / 3)
    assert (gates > 0).double().mean().item() == pytest.approx(0.832, abs=0.005)
    assert (gates == 1).double().mean().item() == pytest.approx(0.168, abs=0.005)
    value = torch.tensor([[0.0, 0.0], [0.0, -5.0], [3.0, 3.2]])
    probabilities = RELAXATIONS["hard_concrete"].probabilities({"gate": value})["gate"]
    shift = 2 / 3 * math.log(0.1 / 1.1)
    expected = [1 / (1 + math.exp(-logit + shift)) for logit in (0.0, -5.0, 0.2)]
    assert probabilities[:, 1].tolist() == pytest.approx(expected) and expected[0] == pytest.approx(0.832, abs=5e-4)


def test_hard_concrete_is_evaluated_at_the_published_estimate() -> None:
    value = {"gate": torch.tensor([[0.0, 0.0], [0.0, -5.0], [0.0, 5.0]])}
    gates = RELAXATIONS["hard_concrete"].evaluation_mixes(value)["gate"].weights[:, 1]
    torch.testing.assert_close(gates, torch.tensor([0.5, 0.0, 1.0]))


@pytest.mark.parametrize("name", GATES)
def test_a_gate_needs_two_choices(name: str) -> None:
    cell = Decision("cell", 2, (Choice("a"), Choice("b"), Choice("c")))
    with pytest.raises(ConfigError, match=f"algorithm.relaxation={name} is a gate .*'cell' has 3"):
        require_gates(name, [cell])
    require_gates("gumbel", [cell])
    require_gates(name, [Decision("g", 9, (Choice("a"), Choice("b")))])


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("temperature", [0.1, 1.0, 10.0])
def test_hard_weights_are_exactly_one_hot(name: str, temperature: float) -> None:
    values = {"cell": torch.randn(5000, 7, generator=generator(2)).requires_grad_()}
    mix = relax(name, values, temperature)["cell"]
    assert torch.equal(mix.weights.sum(-1), torch.ones(5000))
    assert ((mix.weights == 0) | (mix.weights == 1)).all()
    assert torch.equal(mix.weights.argmax(-1), mix.index)
    assert mix.sampled_only == name.startswith("gumbel_sampled")


def test_hard_gradient_is_the_gradient_of_the_soft_sample() -> None:
    values = alphas()
    coefficients = torch.randn(5, 4, generator=generator(3), dtype=torch.float64)

    def gradient(name: str) -> Tensor:
        mix = relax(name, values, 0.5)["normal"]
        return torch.autograd.grad((coefficients * mix.weights).sum(), values["normal"])[0]

    assert torch.equal(gradient("gumbel_hard"), gradient("gumbel"))
    assert torch.equal(gradient("gumbel_sampled"), gradient("gumbel"))


@pytest.mark.parametrize("temperature", [0.1, 1.0, 10.0])
def test_sampling_frequencies_follow_softmax(temperature: float) -> None:
    row = torch.tensor([0.5, -1.0, 2.0, 0.0])
    draws = 10_000
    index = relax("gumbel_hard", {"cell": row.expand(draws, 4)}, temperature, seed=11)["cell"].index
    expected = draws * row.softmax(-1)
    chi_square = ((index.bincount(minlength=4) - expected) ** 2 / expected).sum().item()
    assert chi_square < 16.27  # three degrees of freedom, p = 0.001
    biased = draws * (row / 2).softmax(-1)
    assert ((index.bincount(minlength=4) - biased) ** 2 / biased).sum().item() > 16.27


def test_noise_is_finite_and_has_the_moments_of_a_gumbel() -> None:
    noise = gumbel_noise(torch.empty(200_000), generator())
    assert noise.dtype == torch.float32 and noise.isfinite().all()
    assert noise.mean().item() == pytest.approx(0.5772, abs=0.015)
    assert noise.var().item() == pytest.approx(1.6449, abs=0.03)


def test_noise_survives_the_extreme_uniforms(monkeypatch: pytest.MonkeyPatch) -> None:
    extremes = torch.tensor([0.0, 1 - 2.0**-53], dtype=torch.float64)
    monkeypatch.setattr(torch, "rand", lambda *_, **__: extremes)
    noise = gumbel_noise(torch.empty(2), generator())
    assert noise.isfinite().all() and noise[0] < -6 and noise[1] > 36


def test_dirichlet_moments_and_gradient_of_the_mean() -> None:
    row = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64, requires_grad=True)
    draws = 200_000
    weights = relax("dirichlet", {"cell": row.expand(draws, 3)})["cell"].weights
    mean = RELAXATIONS["dirichlet"].probabilities({"cell": row.view(1, 3)})["cell"][0]
    torch.testing.assert_close(weights.mean(0), mean, atol=3e-3, rtol=0)
    total = (1.5 + torch.tensor(-1.0, dtype=torch.float64).exp() + 3.0).item()
    torch.testing.assert_close(weights.var(0), mean * (1 - mean) / (total + 1), atol=2e-3, rtol=0)
    (sampled,) = torch.autograd.grad(weights[:, 0].mean(), row, retain_graph=True)
    (exact,) = torch.autograd.grad(mean[0], row)
    torch.testing.assert_close(sampled, exact, atol=3e-3, rtol=0)


def test_dirichlet_survives_vanishing_concentrations() -> None:
    value = torch.full((50, 3), -80.0, requires_grad=True)
    mix = relax("dirichlet", {"cell": value})["cell"]
    (gradient,) = torch.autograd.grad(mix.weights[:, 0].sum(), value)
    assert mix.weights.isfinite().all() and gradient.isfinite().all()


@pytest.mark.parametrize("name", sorted(RELAXATIONS))
def test_evaluation_has_no_noise_and_no_gradient(name: str) -> None:
    values = alphas(choices=2 if name in GATES else 4)
    mixes = RELAXATIONS[name].evaluation_mixes(values)
    probabilities = RELAXATIONS[name].probabilities(values)
    for decision, mix in mixes.items():
        assert not mix.weights.requires_grad and probabilities[decision].requires_grad
        if name in HARD:
            assert torch.equal(mix.index, values[decision].argmax(-1))
            assert torch.equal(mix.weights, torch.nn.functional.one_hot(mix.index, 4).double())
            assert mix.sampled_only == name.startswith("gumbel_sampled")
        elif name != "hard_concrete":
            assert torch.equal(mix.weights, probabilities[decision]) and mix.index is None


@pytest.mark.parametrize("name", RANDOM)
def test_noise_comes_from_the_generator_alone(name: str) -> None:
    values = alphas()
    torch.manual_seed(0)
    one = relax(name, values, seed=5)["normal"].weights
    torch.manual_seed(1)
    assert torch.equal(one, relax(name, values, seed=5)["normal"].weights)
    assert not torch.equal(relax("gumbel", values, seed=5)["normal"].weights, relax("gumbel", values)["normal"].weights)
    with pytest.raises(ConfigError, match=r"torch\.Generator"):
        get_relaxation(name)(values, temperature=1.0, generator=None)
