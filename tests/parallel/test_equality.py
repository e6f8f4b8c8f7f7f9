"""Two processes with half a batch each are one process with all of it: in float64, up to the order of sums."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.parallel.pieces import run
from tests.parallel.search_steps import CASES, furthest

Found = dict[str, dict[str, dict[str, Tensor]]]


@pytest.fixture(scope="module")
def found(folder: Path) -> tuple[Found, Found, Found]:
    """What one process finds, and what each of two does."""
    first, second = (torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    return run(1), first, second


@pytest.mark.parametrize("piece", ["losses", "norms", "unequal", "draws", "training", "turns"])
def test_a_piece_finds_with_half_a_batch_each_what_it_finds_with_all(piece: str, found: tuple[Found, ...]) -> None:
    one, first, second = (result["pieces"][piece] for result in found)
    worst, name = furthest({key: value for key, value in one.items() if key != "loss"},
                           {key: value for key, value in first.items() if key != "loss"})
    assert worst < 1e-11, name
    if "loss" in one:
        assert torch.allclose(one["loss"], first["loss"], rtol=1e-6)  # a record is in float32
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("case", CASES)
def test_a_search_steps_as_in_one_process(case: str, found: tuple[Found, ...]) -> None:
    one, first, second = (result[case] for result in found)
    for part, tolerance in (("gradients", 1e-12), ("alphas", 1e-10), ("weights", 1e-10), ("losses", 1e-6)):
        worst, name = furthest(one[part], first[part])
        assert worst < tolerance, (part, name)
        assert all(torch.equal(first[part][key], second[part][key]) for key in first[part]), part
    assert any(value.abs().max() > 0 for value in one["alphas"].values())
