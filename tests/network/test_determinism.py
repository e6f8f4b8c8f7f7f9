"""Equal bits on request, and what has no such form."""

import os

import pytest
import torch

from nas_reid.errors import ConfigError
from nas_reid.modules.pooling import AverageAndMax, Max
from nas_reid.network.determinism import deterministic


@pytest.fixture(autouse=True)
def no_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # so that it is put back
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")


def test_it_holds_within_the_block_alone() -> None:
    with deterministic(False):
        assert not torch.are_deterministic_algorithms_enabled() and "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    with deterministic():
        assert torch.are_deterministic_algorithms_enabled() and os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        assert not torch.utils.deterministic.fill_uninitialized_memory
    assert not torch.are_deterministic_algorithms_enabled() and torch.utils.deterministic.fill_uninitialized_memory


def test_what_has_no_deterministic_form_is_named() -> None:
    with pytest.raises(ConfigError, match=r"deterministic=true: put_ has no deterministic form.*deterministic=false"), \
            deterministic():
        torch.zeros(3).put_(torch.tensor([0]), torch.ones(1))
    assert not torch.are_deterministic_algorithms_enabled()


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="must match"), deterministic():
        torch.zeros(3) + torch.zeros(2)


def test_a_workspace_that_does_not_do_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":0:0")
    with pytest.raises(ConfigError, match=r"CUBLAS_WORKSPACE_CONFIG=:0:0 leaves products of matrices to chance"), \
            deterministic():
        raise RuntimeError("Deterministic behavior was enabled ... set CUBLAS_WORKSPACE_CONFIG=:4096:8")


@pytest.mark.parametrize("pooling", [Max, AverageAndMax])
def test_maxima_are_pooled_alike_either_way(pooling: type[torch.nn.Module]) -> None:
    """Values, and gradients where several positions have the maximum."""
    maps = torch.randint(3, (2, 3, 4, 2), generator=torch.Generator().manual_seed(0)).float()
    found = []
    for wanted in (False, True):
        x = maps.clone().requires_grad_()
        with deterministic(wanted):
            y = pooling()(x)
            found.append((y.detach(), *torch.autograd.grad(y.square().sum(), x)))
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))
