import numpy as np
import pytest
import torch

from nas_reid.errors import ConfigError
from nas_reid.evaluation.bootstrap import Bootstrap
from nas_reid.evaluation.ranking import Ranking


def ranking(ap, first_hit) -> Ranking:
    ap, first_hit = torch.tensor(ap, dtype=torch.float64), torch.tensor(first_hit)
    return Ranking(cmc=torch.ones(1), mAP=0.0, mINP=0.0, ap=ap, inp=ap, first_hit=first_hit, valid=first_hit > 0)


def test_equals_resampling_by_hand():
    """Every resample as a list of queries: all queries of each drawn identity, as often as it was drawn."""
    rng = np.random.default_rng(0)
    values, groups = rng.random((40, 2)), rng.integers(7, 15, 40)
    means = Bootstrap(samples=100, seed=3).resampled_means(values, groups)
    people, generator = sorted(set(groups.tolist())), np.random.default_rng(3)
    for mean in means:
        drawn = [people[i] for i in generator.integers(len(people), size=len(people))]
        queries = [values[i] for person in drawn for i in range(40) if groups[i] == person]
        np.testing.assert_allclose(mean, np.mean(queries, axis=0), atol=1e-14)


def test_one_query_per_identity_gives_the_usual_standard_error():
    ap = np.random.default_rng(1).random(2000)
    lower, upper = Bootstrap(samples=2000).intervals(ranking(ap, np.ones(2000, dtype=int)), torch.arange(2000))["mAP"]
    error = 1.96 * ap.std() / 2000**0.5
    assert [lower, upper] == pytest.approx([ap.mean() - error, ap.mean() + error], abs=0.1 * error)


def test_queries_of_one_person_count_as_one():
    """The same scores, ten queries a person: the interval is as wide as for a tenth of the queries."""
    ap = np.random.default_rng(2).random(200).repeat(10)
    many = ranking(ap, np.ones(2000, dtype=int))
    width = {name: np.diff(Bootstrap().intervals(many, pids)["mAP"])[0]
             for name, pids in {"people": torch.arange(200).repeat_interleave(10), "alone": torch.arange(2000)}.items()}
    assert width["people"] / width["alone"] == pytest.approx(10**0.5, rel=0.1)


def test_skipped_queries_do_not_count_and_the_seed_decides():
    pids = torch.tensor([1, 1, 2, 3, 4])
    first = Bootstrap().intervals(ranking([0.2, 0.4, 1.0, float("nan"), 0.5], [3, 1, 1, 0, 2]), pids)
    assert set(first) == {"mAP", "rank1"} and 0.2 <= first["mAP"][0] < first["mAP"][1] <= 1
    without = Bootstrap().intervals(ranking([0.2, 0.4, 1.0, 0.5], [3, 1, 1, 2]), pids[[0, 1, 2, 4]])
    assert first == without
    assert Bootstrap(seed=1).resampled_means(np.eye(4), np.arange(4)).tolist() != \
        Bootstrap(seed=2).resampled_means(np.eye(4), np.arange(4)).tolist()


def test_a_single_identity_has_no_spread():
    assert Bootstrap().intervals(ranking([0.2, 0.4], [3, 1]), torch.tensor([5, 5])) == {
        "mAP": pytest.approx([0.3, 0.3]), "rank1": [0.5, 0.5]}


@pytest.mark.parametrize("values", [{"samples": 99}, {"level": 1.0}, {"seed": -1}])
def test_illegal_values(values):
    with pytest.raises(ConfigError, match="samples >= 100, 0 < level < 1"):
        Bootstrap(**values)
