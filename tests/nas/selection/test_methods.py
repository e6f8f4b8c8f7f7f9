"""Selection on a supernet whose score is known in closed form: what each method looks at, and what it finds."""

from collections.abc import Mapping

import pytest
import torch
from torch import Generator, Tensor

from nas_reid.errors import ConfigError
from nas_reid.genotype import Genotype
from nas_reid.nas.bounds import Bounds
from nas_reid.nas.path import path_of
from nas_reid.nas.selection.judge import Judge
from nas_reid.nas.selection.methods import evolution, halving, random_search, sampling
from nas_reid.nas.selection.perturbation import perturbation
from nas_reid.search_space import Choice, Decision, Mix
from tests.toy_space import ToySpace

ANY = Bounds(None, None, (32, 16))
ROWS, CHOICES = 12, 4


class Rows:
    """Twelve rows of four choices; the score counts the rows on choice 2."""

    name, version = "rows", 1

    def decisions(self) -> list[Decision]:
        return [Decision("path", ROWS, tuple(map(Choice, "wxyz")))]

    def derive(self, probs: Mapping[str, Tensor]) -> Genotype:
        return Genotype("rows", 1, {"path": probs["path"].argmax(1).tolist()})


class Recorder:
    """Scores a path, and remembers on which share of the people it was asked."""

    def __init__(self) -> None:
        self.shares: list[float] = []

    def __call__(self, mixes: Mapping[str, Mix], share: float) -> float:
        self.shares.append(share)
        assert mixes["path"].sampled_only and torch.equal(mixes["path"].weights.argmax(1), mixes["path"].index)
        return (mixes["path"].index == 2).float().mean().item()


def judged() -> tuple[Judge, Recorder]:
    recorder = Recorder()
    return Judge(Rows(), recorder, ANY), recorder


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def best(judge: Judge) -> float:
    return max(candidate.mAP for candidate in judge.seen)


def test_random_scores_so_many_different_genotypes() -> None:
    judge, recorder = judged()
    random_search(judge, seeded(), candidates=30)
    assert len({str(candidate.genotype.body) for candidate in judge.seen}) == 30 and recorder.shares == [1.0] * 30


def test_evolution_beats_random_at_equal_looks() -> None:
    found = {}
    for method, options in ((random_search, {}), (evolution, {"population": 20, "tournament": 5, "rows": 1})):
        scores = []
        for seed in range(5):
            judge, recorder = judged()
            method(judge, seeded(seed), candidates=150, **options)
            scores.append(best(judge))
            assert len(recorder.shares) == 150
        found[method] = sum(scores) / 5
    assert found[evolution] > found[random_search] + 0.15


def test_in_evolution_the_oldest_dies() -> None:
    """With the whole population as tournament, every child is one row away from a best one of the last four."""
    judge, _ = judged()
    evolution(judge, seeded(), candidates=40, population=4, tournament=4, rows=1)
    scores = [candidate.mAP for candidate in judge.seen]
    paths = [torch.tensor(candidate.genotype.body["path"]) for candidate in judge.seen]
    for position in range(4, 40):
        parents = [member for member in range(position - 4, position)
                   if scores[member] == max(scores[position - 4:position])]
        assert any((paths[position] != paths[parent]).sum() == 1 for parent in parents)


def test_halving_doubles_the_people_and_halves_the_candidates() -> None:
    judge, recorder = judged()
    halving(judge, seeded(), candidates=16, rounds=3)
    assert recorder.shares == [0.25] * 16 + [0.5] * 8 + [1.0] * 4
    assert len(judge.seen) == 4


def test_sampling_begins_with_the_searchs_own_choice() -> None:
    judge, _ = judged()
    probabilities = torch.full((ROWS, CHOICES), 0.1)
    probabilities[:, 2] = 0.7
    sampling(judge, seeded(), candidates=50, probabilities={"path": probabilities})
    assert judge.seen[0].mAP == 1.0
    assert sum(candidate.mAP for candidate in judge.seen[1:]) / 49 == pytest.approx(0.7, abs=0.06)


@pytest.mark.parametrize(("method", "options", "message"), [
    (evolution, {"candidates": 5, "population": 6, "tournament": 2, "rows": 1}, "1 <= tournament <= population"),
    (evolution, {"candidates": 9, "population": 4, "tournament": 5, "rows": 1}, "tournament=5"),
    (halving, {"candidates": 7, "rounds": 4}, r"at least 2\^\(rounds - 1\) = 8 candidates"),
])
def test_too_few_candidates_are_refused(method, options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        method(judged()[0], seeded(), **options)


def test_a_path_is_the_spaces_own_one_hot_else_the_likeliest_choices() -> None:
    space, probabilities = ToySpace(), {"path": torch.tensor([[0.8, 0.15, 0.05], [0.1, 0.2, 0.7]])}
    mix = path_of(space, space.derive(probabilities), probabilities)["path"]
    assert mix.index.tolist() == [1, 2]  # never `none`, which the space does not derive
    probabilities = {"path": torch.tensor([[0.7, 0.15, 0.05, 0.1], [0.1, 0.2, 0.6, 0.1]])}
    rows = path_of(Rows(), Rows().derive(probabilities), probabilities)["path"]
    assert rows.index.tolist() == [0, 2] and rows.weights.tolist() == [[1, 0, 0, 0], [0, 0, 1, 0]]


def test_perturbation_keeps_what_is_missed_most() -> None:
    """The score is linear in the mixing weights, so the choice that is missed most is the one with the largest
    product of weight and worth: not the likeliest one, where another is worth more."""
    worth = torch.tensor([[1.0, 0.0, 3.0], [0.5, 0.4, 0.1], [0.2, 0.0, 0.1]])
    given = torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.1, 0.1, 0.8]])
    tuned: list[Mapping[str, Mix]] = []
    found = perturbation(lambda mixes: (mixes["path"].weights * worth).sum().item(), {"path": given}, seeded(),
                         tune=tuned.append, every=2)["path"]
    assert found.argmax(1).tolist() == [2, 1, 2]
    assert torch.allclose(found.sum(1), torch.ones(3, dtype=torch.float64))
    # Rows by what they are worth once decided: 3.0, 0.4, 0.1.
    strongest = found.max(1).values
    assert strongest[0] > strongest[1] > strongest[2] > 0.5
    assert len(tuned) == 1 and (tuned[0]["path"].weights.max(1).values == 1).sum() == 2


def test_perturbation_refuses_what_nobody_waits_for() -> None:
    with pytest.raises(ConfigError, match=r"looks at the supernet 30,000 times"):
        perturbation(lambda _: 0.0, {"path": torch.full((10_000, 2), 0.5)}, seeded(), tune=lambda _: None, every=0)
