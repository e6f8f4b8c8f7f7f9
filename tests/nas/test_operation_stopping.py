"""OLES: agreements computed by hand, what is frozen when, and that a frozen op stays as it is."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from nas_reid.nas.bilevel import Bilevel, Moment
from nas_reid.nas.operation_stopping import OperationStopping, agreement, build_stopping
from nas_reid.registry import create_searchable
from nas_reid.search import step_alphas, step_weights
from tests.nas.test_bilevel import make_batch, make_bilevel
from tests.nas.test_search_epoch import algorithm
from tests.toy_space import ToySpace


def test_the_agreement_is_a_cosine_along_the_first_dimension() -> None:
    training = torch.tensor([[3.0, 1.0], [4.0, 0.0]])
    validation = torch.tensor([[4.0, -2.0], [3.0, 0.0]])
    assert agreement(training, validation).item() == pytest.approx((24 / 25 - 1) / 2)  # columns: 0.96 and -1
    assert agreement(training[:, 0], validation[:, 0]).item() == pytest.approx(0.96)   # a bias: one cosine


class Ops(nn.Module):
    """Two ops: one of two tensors, one of one."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Parameter(torch.zeros(2)) for _ in range(3))


def stopping(window: int = 2) -> tuple[Ops, OperationStopping]:
    network = Ops()
    return network, OperationStopping(network, [["a", "b"], ["c"]], threshold=0.4, window=window)


def step(network: Ops, stops: OperationStopping, training: dict, validation: dict, *, epoch: int = 0) -> int:
    stops.remember(epoch, {name: torch.tensor(value) for name, value in validation.items() if name in stops.watched})
    for name, value in training.items():
        parameter = getattr(network, name)
        parameter.grad = torch.tensor(value) if parameter.requires_grad else None
    return stops.compare(epoch)


X, Y, NEAR = [1.0, 0.0], [0.0, 1.0], [0.6, 0.8]


def test_an_op_is_frozen_when_its_mean_over_the_window_is_low() -> None:
    network, stops = stopping()
    # Op 0: (1 + 0.6) / 2 = 0.8, then (0 - 1) / 2 = -0.5; in the mean 0.15. Op 1: 0.6, then 0.2 more than is needed.
    assert step(network, stops, {"a": X, "b": X, "c": X}, {"a": X, "b": NEAR, "c": NEAR}) == 0
    assert stops.sums.tolist() == pytest.approx([0.8, 0.6]) and stops.counts.tolist() == [1, 1]
    assert step(network, stops, {"a": X, "b": X, "c": Y}, {"a": Y, "b": [-1.0, 0.0], "c": NEAR}) == 1
    assert stops.frozen.tolist() == [True, False] and stops.watched == {"c"}
    assert [parameter.requires_grad for parameter in network.parameters()] == [False, False, True]
    assert network.a.grad is None and network.c.grad is not None
    assert stops.counts.tolist() == [0, 0]  # the next window begins, for the other one too


def test_a_step_in_which_an_op_did_not_run_does_not_count() -> None:
    network, stops = stopping(window=1)
    assert step(network, stops, {"a": [0.0, 0.0], "b": [0.0, 0.0], "c": X}, {"a": X, "b": X, "c": X}) == 0
    assert step(network, stops, {"c": X}, {"a": [0.0, 0.0], "b": [0.0, 0.0], "c": X}) == 0
    assert stops.counts.tolist() == [0, 0] and not stops.frozen.any()


def test_gradients_of_another_epoch_are_not_compared() -> None:
    network, stops = stopping(window=1)
    stops.remember(0, {"a": torch.tensor(X), "b": torch.tensor(X), "c": torch.tensor(X)})
    network.c.grad = torch.tensor(Y)
    assert stops.compare(1) == 0 and stops.compare(0) == 0  # neither now nor later


def with_stopping(threshold: float) -> Bilevel:
    bilevel = make_bilevel()
    stops = build_stopping(ToySpace(), bilevel.network, threshold=threshold, window=2)
    return Bilevel(**{**vars(bilevel), "stopping": stops})


def epoch(bilevel: Bilevel, number: int) -> None:
    for position in range(3):
        moment = Moment(number, position, epochs=5, temperature=1.0)
        step_alphas(bilevel, make_batch(1), make_batch(2), moment, algorithm())
        step_weights(bilevel, make_batch(1), moment, clip=0.0, joint=False)


def convs(bilevel: Bilevel) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in bilevel.network.state_dict().items() if "convs" in name}


def test_a_search_freezes_ops_and_continues_with_them_bit_for_bit() -> None:
    whole = with_stopping(1.0)  # nothing agrees so well
    epoch(whole, 0)
    assert whole.stopping.frozen.all()
    frozen, saved = convs(whole), deepcopy(whole.state_dict())
    again = with_stopping(1.0)
    again.load_state_dict(saved)
    for bilevel in (whole, again):
        epoch(bilevel, 1)
    assert all(torch.equal(value, frozen[name]) for name, value in convs(whole).items())
    assert all(torch.equal(value, again.network.state_dict()[name])
               for name, value in whole.network.state_dict().items())
    assert not torch.equal(whole.network.state_dict()["trunk.stem.weight"], make_bilevel().network.trunk.stem.weight)


def test_ops_that_agree_are_trained_as_without() -> None:
    plain, watched = make_bilevel(), with_stopping(-1.0)
    for bilevel in (plain, watched):
        epoch(bilevel, 0)
    assert not watched.stopping.frozen.any()
    assert all(torch.equal(value, watched.network.state_dict()[name])
               for name, value in plain.network.state_dict().items())


@pytest.mark.parametrize(("space", "arguments", "count"), [
    # Two cells of two nodes (5 edges): the parametric ops, and in the reduction the skips of the 4 edges of stride 2.
    ("auto_reid", {"channels": 3, "layers": [1, 1], "nodes": 2, "primitives": "reid", "parts": 4,
                   "part_attention": "published", "stem": "reid"}, 2 * 5 * 3 + 4),
    ("osnet_ain", {"width": 0.25, "streams": 1, "stream_depth": 0, "convolution": "lite", "fusion": "addition",
                   "stem": "batch", "candidates": "separate"}, 6 * 4),
    ("norm_sites", {"depth": 18, "width": 0.0625, "last_stride": 1}, 20 * 2),
])
def test_a_space_names_what_its_supernet_has(space: str, arguments: dict, count: int) -> None:
    built = create_searchable({"name": space, **arguments})
    ops, names = built.op_parameters(), [name for name, _ in built.supernet().named_parameters()]
    listed = [name for group in ops.values() for name in group]
    assert len(ops) == count and len(set(listed)) == len(listed) and all(ops.values())
    assert set(listed) < {f"trunk.{name}" for name in names}
    choices = {(decision.name, row, choice.name) for decision in built.decisions() for row in range(decision.rows)
               for choice in decision.choices}
    assert set(ops) <= choices
