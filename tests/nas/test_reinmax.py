"""ReinMax against hand-computed gradients, and its mean against the exact gradient of an expectation."""

import pytest
import torch
from torch import Tensor

from nas_reid.nas.relaxation import get_relaxation


def gradient_at(sample: int, alphas: Tensor, slopes: Tensor, monkeypatch: pytest.MonkeyPatch,
                temperature: float = 1.0) -> Tensor:
    """The estimate for the alphas [K] when ``sample`` is drawn and the loss has these slopes [K] there."""
    noise = torch.nn.functional.one_hot(torch.tensor(sample), len(alphas)).double() * 1e3
    monkeypatch.setattr("nas_reid.nas.relaxation.gumbel_noise", lambda like, generator: noise.expand_as(like))
    row = alphas[None].clone().requires_grad_()
    mix = get_relaxation("reinmax")({"cell": row}, temperature=temperature, generator=None)["cell"]
    assert mix.index.tolist() == [sample] and not mix.sampled_only
    return torch.autograd.grad((mix.weights[0] * slopes).sum(), row)[0][0]


def test_two_choices_by_hand(monkeypatch) -> None:
    # p = (1/4, 3/4), D = (1, 0): π1 = (5/8, 3/8). Slopes (1, 0): 2 · 5/8 · 3/8 - 1/2 · 1/4 · 3/4 = 3/8.
    alphas = torch.tensor([0.0, 3.0], dtype=torch.float64)
    alphas[1] = alphas[1].log()
    slopes = torch.tensor([1.0, 0.0], dtype=torch.float64)
    expected = torch.tensor([3 / 8, -3 / 8], dtype=torch.float64)
    torch.testing.assert_close(gradient_at(0, alphas, slopes, monkeypatch), expected)
    # D = (0, 1): π1 = (1/8, 7/8), 2 · 7/64 - 3/32 = 1/8.
    torch.testing.assert_close(gradient_at(1, alphas, slopes, monkeypatch), expected / 3)
    # τ = 2 leaves π0 alone: softmax(α / 2) = (1, √3) / (1 + √3), D = (1, 0).
    first = (1 + 1 / (1 + 3**0.5)) / 2
    hotter = gradient_at(0, alphas, slopes, monkeypatch, temperature=2.0)[0]
    assert hotter.item() == pytest.approx(2 * first * (1 - first) - 3 / 32)


@pytest.mark.parametrize("choices", [2, 3, 5])
def test_the_mean_is_exact_for_quadratics_where_straight_through_is_not(choices: int, monkeypatch) -> None:
    generator = torch.Generator().manual_seed(choices)
    alphas, linear = torch.randn(2, choices, generator=generator, dtype=torch.float64)
    matrix = torch.randn(choices, choices, generator=generator, dtype=torch.float64)
    matrix = matrix + matrix.mT

    def loss(point: Tensor) -> Tensor:
        return point @ matrix @ point / 2 + linear @ point

    live, corners = alphas.clone().requires_grad_(), torch.eye(choices, dtype=torch.float64)
    chances = live.softmax(-1)
    (exact,) = torch.autograd.grad(torch.stack([loss(corner) for corner in corners]) @ chances, live)
    slopes = [matrix @ corner + linear for corner in corners]
    mean = sum(chance * gradient_at(sample, alphas, slopes[sample], monkeypatch)
               for sample, chance in enumerate(chances.detach()))
    torch.testing.assert_close(mean, exact)
    jacobian = chances.detach().diag() - chances.detach().outer(chances.detach())
    straight_through = jacobian @ sum(chance * slope for chance, slope in zip(chances.detach(), slopes, strict=True))
    assert not torch.allclose(straight_through, exact, rtol=1e-2)


def test_alphas_that_have_decided_keep_a_finite_gradient(monkeypatch) -> None:
    alphas = torch.tensor([0.0, -1e4, 5.0], dtype=torch.float64)
    gradient = gradient_at(2, alphas, torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64), monkeypatch)
    assert gradient.isfinite().all() and gradient[1] == 0 and gradient[0] != 0
