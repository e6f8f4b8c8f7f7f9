"""Genotypes by lot: uniform, from probabilities, changed a little, within a bound."""

import pytest
import torch
from torch import Generator

from nas_reid.errors import ConfigError
from nas_reid.nas.bounds import Bounds, costs_of
from nas_reid.nas.candidates import balanced_probabilities, mutated, sampled_probabilities, uniform_probabilities
from nas_reid.nas.lots import draw_admitted, draw_uniform
from nas_reid.registry import create_space
from nas_reid.search_space import Choice, Decision
from tests.toy_space import ToySpace

ANY = Bounds(None, None, (32, 16))
DECISIONS = [Decision("b", 2, (Choice("x"), Choice("y"), Choice("z"))), Decision("a", 1, (Choice("x"), Choice("y")))]


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def test_uniform_rows_are_flat_on_the_simplex() -> None:
    decision = Decision("a", 20_000, tuple(map(Choice, "xyz")))
    rows = uniform_probabilities([decision], seeded())["a"]
    assert torch.allclose(rows.sum(1), torch.ones(20_000, dtype=torch.float64))
    wins = torch.bincount(rows.argmax(1), minlength=3) / 20_000
    assert torch.allclose(wins, torch.full((3,), 1 / 3), atol=0.015)
    # The largest of a flat Dirichlet with K = 3 has mean (1 + 1/2 + 1/3) / 3, any component variance 2 / 36.
    assert rows.max(1).values.mean().item() == pytest.approx(11 / 18, abs=0.01)
    assert rows[:, 0].var().item() == pytest.approx(2 / 36, abs=0.003)


def test_draws_do_not_depend_on_the_order_of_the_decisions() -> None:
    first, second = (uniform_probabilities(order, seeded()) for order in (DECISIONS, DECISIONS[::-1]))
    assert all(torch.equal(first[name], second[name]) for name in ("a", "b"))


COSTED = Decision("a", 3, (Choice("off", frozenset({"none"})), Choice("dear", cost=2.0), Choice("cheap", cost=0.5),
                           Choice("as_cheap", cost=0.5), Choice("dearest", cost=3.0)))


def test_balanced_genotypes_have_any_number_of_cheap_rows_alike_and_the_others_uniform() -> None:
    generator, numbers, wins = seeded(), torch.zeros(4), torch.zeros(5)
    for _ in range(8000):
        rows = balanced_probabilities([COSTED], generator)["a"]
        assert torch.allclose(rows.sum(1), torch.ones(3, dtype=torch.float64))
        winners = rows[:, 1:].argmax(1) + 1  # a genotype never takes `off`
        numbers[((winners == 2) | (winners == 3)).sum()] += 1
        wins += torch.bincount(winners, minlength=5)
    assert torch.allclose(numbers / 8000, torch.full((4,), 1 / 4), atol=0.02)
    assert torch.allclose(wins / 24_000, torch.tensor([0, 0.25, 0.25, 0.25, 0.25]), atol=0.015)


def test_choices_of_equal_cost_are_balanced_as_they_are() -> None:
    plain, balanced = (draw(DECISIONS, seeded()) for draw in (uniform_probabilities, balanced_probabilities))
    assert all(torch.equal(plain[name], balanced[name]) for name in plain)


def test_sampled_winners_are_distributed_as_the_probabilities() -> None:
    probabilities = torch.tensor([[0.7, 0.3, 0.0]]).expand(20_000, 3)
    drawn = sampled_probabilities({"a": probabilities}, seeded())["a"]
    wins = torch.bincount(drawn.argmax(1), minlength=3) / 20_000
    assert torch.allclose(wins, torch.tensor([0.7, 0.3, 0.0]), atol=0.015) and wins[2] == 0


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_mutation_draws_so_many_rows_anew(rows: int) -> None:
    before = uniform_probabilities(DECISIONS, seeded())
    after = mutated(before, seeded(1), rows=rows)
    changed = sum((before[name] != after[name]).any(1).sum().item() for name in before)
    assert changed == rows
    assert all(torch.allclose(table.sum(1), torch.ones(len(table), dtype=torch.float64)) for table in after.values())


def test_every_row_of_every_decision_is_mutated_sometimes() -> None:
    before, generator = uniform_probabilities(DECISIONS, seeded()), seeded(1)
    touched = {(name, row) for _ in range(60) for name, table in mutated(before, generator).items()
               for row in (table != before[name]).any(1).nonzero().flatten().tolist()}
    assert touched == {("a", 0), ("b", 0), ("b", 1)}


def test_a_uniform_cell_wires_every_source_alike() -> None:
    """One-hot draws would give each node its first two sources: ties go to the lowest index."""
    space = create_space("auto_reid", {"channels": 4, "layers": [1, 1], "nodes": 3, "primitives": "reid", "parts": 2,
                                       "part_attention": "published", "stem": "reid"})
    generator, counts = seeded(), dict.fromkeys(("input0", "input1", "node2", "node3"), 0)
    for _ in range(600):
        last = draw_uniform(space, generator, ANY).body["normal"][-1]
        for entry in last["inputs"]:
            counts[entry["source"]] += 1
    assert len(counts) == 4 and all(abs(count - 300) < 60 for count in counts.values()), counts


def test_a_bound_is_met_and_its_miss_explained() -> None:
    space = ToySpace()
    costs = {tuple(genotype.body["path"]): costs_of(space, genotype, (32, 16)) for genotype in
             (draw_uniform(space, seeded(seed), ANY) for seed in range(20))}
    assert costs["skip", "skip"]["params"] == 4 * 3 * 9 + 4
    assert costs["conv", "conv"]["macs"] - costs["skip", "conv"]["macs"] == 4 * 4 * 9 * 16 * 8
    most = costs["skip", "conv"]["params"]
    for seed in range(20):
        body = draw_uniform(space, seeded(seed), Bounds((most, most), None, (32, 16))).body
        assert sorted(body["path"]) == ["conv", "skip"]
    with pytest.raises(ConfigError, match=r"none of 1000 genotypes of toy .* within macs 0 to 1; .*112 to 408 param"):
        draw_uniform(space, seeded(), Bounds(None, (0, 1), (32, 16)))


def test_a_bound_of_the_declared_cost_is_met() -> None:
    space = create_space("norm_sites", {"depth": 18, "width": 0.25, "last_stride": 1})
    for seed in range(5):
        body = draw_uniform(space, seeded(seed), Bounds(None, None, (32, 16), (8, 8))).body
        assert sorted(body.values()) == 12 * ["share"] + 8 * ["split"]
    with pytest.raises(ConfigError, match=r"is within cost 20.5 to 30; .* and a declared cost of \d+ to \d+\. Widen"):
        draw_uniform(space, seeded(), Bounds(None, None, (32, 16), (20.5, 30)))


def test_a_bound_of_the_cost_needs_a_space_that_declares_one() -> None:
    with pytest.raises(ConfigError, match=r"bounds\.cost=\[0, 1\] .* declares no cost .*; bound params or macs"):
        draw_uniform(ToySpace(), seeded(), Bounds(None, None, (32, 16), (0, 1)))


def test_what_was_seen_is_drawn_again_only_when_nothing_is_new() -> None:
    space, seen = ToySpace(), set()
    draw = lambda g: uniform_probabilities(space.decisions(), g)  # noqa: E731
    for seed in range(6):
        drawn = draw_admitted(space, draw, seeded(seed), ANY, is_new=lambda g: tuple(g.body["path"]) not in seen)
        seen.add(tuple(drawn.genotype.body["path"]))
    assert len(seen) == 4  # of the four genotypes all, then one of them again
