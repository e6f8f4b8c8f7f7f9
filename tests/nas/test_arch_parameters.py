import pytest
import torch

from nas_reid.errors import ConfigError
from nas_reid.nas.arch_parameters import ArchParameters
from nas_reid.search_space import Choice, Decision


def decision(name: str, rows: int = 2, choices: int = 3, **options) -> Decision:
    return Decision(name, rows, tuple(Choice(f"op{k}") for k in range(choices)), **options)


def build(*decisions: Decision, seed: int = 0, init_scale: float = 1e-3, **options) -> ArchParameters:
    return ArchParameters(decisions, init_scale=init_scale, generator=torch.Generator().manual_seed(seed), **options)


def test_alphas_are_sorted_whatever_the_declared_order() -> None:
    normal, reduce = decision("normal", 14, 7), decision("reduce", 14, 7)
    one, other = build(reduce, normal), build(normal, reduce)
    assert list(one.alphas()) == list(other.alphas()) == ["normal", "reduce"]
    assert all(torch.equal(one.alphas()[name], other.alphas()[name]) for name in one.alphas())
    assert [name for name, _ in one.named_parameters()] == ["values.normal", "values.reduce"]
    assert sum(value.numel() for value in one.alphas().values()) == 196


def test_alphas_are_live_float32_parameters() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        arch = build(decision("cell"))
    finally:
        torch.set_default_dtype(torch.float32)
    alpha = arch.alphas()["cell"]
    assert alpha.dtype == torch.float32 and alpha.requires_grad
    assert alpha is next(arch.parameters())


def test_a_choice_may_begin_above_the_others() -> None:
    gate = Decision("gate", 3, (Choice("drop"), Choice("keep", initial=2.0)))
    plain, own = build(decision("gate", 3, 2)), build(gate)
    torch.testing.assert_close(own.alphas()["gate"] - plain.alphas()["gate"], torch.tensor([[0.0, 2.0]] * 3))


def test_initial_spread_is_the_asked_one() -> None:
    alpha = build(decision("cell", 1000, 10), init_scale=0.5).alphas()["cell"]
    assert alpha.std().item() == pytest.approx(0.5, rel=0.03)
    assert alpha.mean().abs().item() < 0.02


def test_initial_mean_is_the_asked_one() -> None:
    assert (build(decision("cell"), init_mean=1.0, init_scale=0.0).alphas()["cell"] == 1).all()
    shifted, plain = (build(decision("cell"), init_mean=mean).alphas()["cell"] for mean in (1.0, 0.0))
    torch.testing.assert_close(shifted, plain + 1)


def test_seed_decides_the_values() -> None:
    same, other = build(decision("cell"), seed=3), build(decision("cell"), seed=4)
    assert torch.equal(build(decision("cell"), seed=3).alphas()["cell"], same.alphas()["cell"])
    assert not torch.equal(same.alphas()["cell"], other.alphas()["cell"])


def test_state_dict_round_trip() -> None:
    source, target = build(decision("cell"), seed=1), build(decision("cell"), seed=2)
    target.load_state_dict(source.state_dict())
    assert torch.equal(source.alphas()["cell"], target.alphas()["cell"])


@pytest.mark.parametrize("name", ["", "stage.1", "keys", "training"])
def test_illegal_names(name: str) -> None:
    with pytest.raises(ConfigError, match=r"rename it"):
        build(decision(name))


def test_illegal_decisions() -> None:
    with pytest.raises(ConfigError, match="no decision"):
        build()
    with pytest.raises(ConfigError, match=r"\['cell'\] are repeated"):
        build(decision("cell"), decision("cell"))
    with pytest.raises(ConfigError, match="0 rows"):
        build(decision("cell", rows=0))
    with pytest.raises(ConfigError, match="each named once"):
        build(Decision("cell", 1, (Choice("op"), Choice("op"))))
    with pytest.raises(ConfigError, match="1 groups for 2 rows"):
        build(decision("cell", groups=(0,)))
