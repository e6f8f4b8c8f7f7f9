"""Which gradients a sampled op gives: exact for the weights, one of three for the alphas.

Three estimators go under the name of GDAS. With u_k = <dL/dout, op_k(x)>, s the sampled op and S the sum of all
entries of dL/dout, the softmax Jacobian is fed (u_1 .. u_K) by the full straight-through estimator, u_s at s and
0 elsewhere by "sampled only", and u_s at s and S elsewhere by the official code, which adds the unsampled ops'
weights as scalars. The Jacobian annihilates constants, so the third is a rescaled second.
"""

import torch
from torch import Tensor, nn

from nas_reid.modules.sampled import sampled_mixture
from nas_reid.nas.relaxation import RELAXATIONS
from nas_reid.search_space import Mix

ROWS, CHOICES = 6, 4
DATA = torch.randn(8, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Edges(nn.Module):
    """``ROWS`` parallel edges of linear ops on the same input."""

    def __init__(self) -> None:
        super().__init__()
        self.ops = nn.ModuleList(nn.Linear(5, 5, dtype=torch.float64) for _ in range(ROWS * CHOICES))
        generator = torch.Generator().manual_seed(1)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)

    def forward(self, x: Tensor, mix: Mix, add_unsampled_weights: bool = False) -> list[Tensor]:
        return [self._edge(x, row, mix, add_unsampled_weights) for row in range(ROWS)]

    def _edge(self, x: Tensor, row: int, mix: Mix, add_unsampled_weights: bool) -> Tensor:
        ops, weights = self.ops[row * CHOICES : (row + 1) * CHOICES], mix.weights[row]
        if not mix.sampled_only:
            return sum(w * op(x) for w, op in zip(weights, ops, strict=True))
        sampled = int(mix.index[row])
        out = sampled_mixture(weights, [lambda op=op: op(x) for op in ops], sampled, all_gradients=mix.all_gradients)
        if add_unsampled_weights:
            out = out + sum(weights[k] for k in range(CHOICES) if k != sampled)
        return out


def run(relaxation: str, add_unsampled_weights: bool = False) -> tuple[Edges, Mix, Tensor, list[Tensor]]:
    generator = torch.Generator().manual_seed(2)
    alphas = torch.randn(ROWS, CHOICES, generator=generator, dtype=torch.float64).requires_grad_()
    mix = RELAXATIONS[relaxation]({"cell": alphas}, temperature=2.0, generator=generator)["cell"]
    network = Edges()
    return network, mix, alphas, network(DATA, mix, add_unsampled_weights)


def loss(outputs: list[Tensor]) -> Tensor:
    return sum((out.tanh() * (row + DATA)).sum() for row, out in enumerate(outputs))


def alpha_gradient(relaxation: str, add_unsampled_weights: bool = False) -> Tensor:
    _, _, alphas, outputs = run(relaxation, add_unsampled_weights)
    return torch.autograd.grad(loss(outputs), alphas)[0]


def test_forward_of_the_sampled_op_equals_all_ops() -> None:
    every, sampled = run("gumbel_hard")[3], run("gumbel_sampled")[3]
    assert all(torch.equal(one, other) for one, other in zip(every, sampled, strict=True))


def test_weight_gradients_are_equal_and_zero_where_unsampled() -> None:
    networks = []
    for relaxation in ("gumbel_hard", "gumbel_sampled"):
        network, mix, _, outputs = run(relaxation)
        loss(outputs).backward()
        networks.append(network)
    chosen = {row * CHOICES + int(mix.index[row]) for row in range(ROWS)}
    for position, (every, sampled) in enumerate(zip(networks[0].ops, networks[1].ops, strict=True)):
        if position in chosen:
            torch.testing.assert_close(sampled.weight.grad, every.weight.grad, rtol=1e-12, atol=1e-12)
            assert (sampled.weight.grad != 0).any()
        else:
            assert sampled.weight.grad is None and (every.weight.grad == 0).all()


def test_three_alpha_gradients() -> None:
    full, sampled = alpha_gradient("gumbel_hard"), alpha_gradient("gumbel_sampled")
    official = alpha_gradient("gumbel_sampled", add_unsampled_weights=True)
    torch.testing.assert_close(torch.cosine_similarity(official, sampled).abs(), torch.ones(ROWS, dtype=torch.float64))
    assert (torch.cosine_similarity(full, sampled).abs() < 0.99).all()
    # The factor is (u_s - S) / u_s per edge, and it can turn the direction round.
    network, mix, _, outputs = run("gumbel_sampled")
    slopes = torch.autograd.grad(loss(outputs), outputs)
    for row, slope in enumerate(slopes):
        u = (slope * network.ops[row * CHOICES + int(mix.index[row])](DATA)).sum()
        torch.testing.assert_close(official[row], (u - slope.sum()) / u * sampled[row], rtol=1e-9, atol=1e-12)


def test_the_exact_estimator_costs_no_gradient_inside_unsampled_ops() -> None:
    torch.testing.assert_close(alpha_gradient("gumbel_sampled_exact"), alpha_gradient("gumbel_hard"), rtol=1e-12,
                               atol=1e-12)
    network, mix, _, outputs = run("gumbel_sampled_exact")
    loss(outputs).backward()
    chosen = {row * CHOICES + int(mix.index[row]) for row in range(ROWS)}
    assert {position for position, op in enumerate(network.ops) if op.weight.grad is not None} == chosen


def test_unsampled_ops_are_left_alone_where_no_weight_wants_a_gradient() -> None:
    ran = []
    ops = [lambda k=k: ran.append(k) or torch.full((2,), float(k)) for k in range(3)]
    assert sampled_mixture(torch.tensor([0.0, 1.0, 0.0]), ops, 1, all_gradients=True).tolist() == [1.0, 1.0]
    assert ran == [1]
