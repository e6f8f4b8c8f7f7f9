"""Ranks, intervals and the luck of the best of N, against scipy, enumeration, and cases by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from nas_reid.tables.statistics import (
    bootstrap_interval,
    expected_best,
    kendall_interval,
    kendall_tau,
    percentile_of,
    permutation_p,
    top_overlap,
)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=20))
def test_tau_is_scipys(pairs: list[tuple[int, int]]) -> None:
    first, second = zip(*pairs, strict=True)
    expected = kendalltau(first, second).statistic
    assert kendall_tau(first, second) == pytest.approx(expected, nan_ok=True)


def test_tau_by_hand() -> None:
    assert kendall_tau([1, 2, 3, 4], [1, 2, 4, 3]) == pytest.approx((5 - 1) / 6)
    assert np.isnan(kendall_tau([1, 1], [1, 2]))


def test_an_interval_of_tau_resamples_pairs() -> None:
    first, second = [0.1, 0.4, 0.2, 0.9, 0.5], [1.0, 3.0, 2.0, 4.0, 5.0]
    expected = bootstrap_interval(lambda rows: kendall_tau([first[row] for row in rows], [second[row] for row in rows]),
                                  5)
    assert kendall_interval(first, second) == expected and expected[0] < kendall_tau(first, second) <= expected[1]
    assert kendall_interval(first, first) == (1, 1)


def test_a_bootstrap_interval_of_a_mean_is_about_two_standard_errors_wide() -> None:
    values = np.random.default_rng(1).normal(size=400)
    low, high = bootstrap_interval(lambda rows: values[rows].mean(), len(values))
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    assert (low, high) == bootstrap_interval(lambda rows: values[rows].mean(), len(values))


def test_percentile_counts_ties_half() -> None:
    assert percentile_of(3, [1, 2, 3, 4]) == pytest.approx(2.5 / 4)
    assert percentile_of(0, [1, 2]) == 0 and percentile_of(9, [1, 2]) == 1


def test_a_permutation_p_value_is_the_share_of_labellings() -> None:
    first, second = [5.0, 6.0], [1.0, 2.0, 5.5]
    pooled = first + second
    means = [np.mean([pooled[i] for i in chosen]) - np.mean([pooled[i] for i in range(5) if i not in chosen])
             for chosen in itertools.combinations(range(5), 2)]
    exact = np.mean(np.array(means) >= means[0] - 1e-12)
    assert permutation_p(first, second) == pytest.approx(exact, abs=0.02)
    assert permutation_p([1.0, 1.0], [1.0]) == 1.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.integers(1, 3))
def test_the_best_of_n_is_the_mean_over_all_draws(values: list[float], draws: int) -> None:
    enumerated = np.mean([max(drawn) for drawn in itertools.product(values, repeat=draws)])
    assert expected_best(values, draws) == pytest.approx(enumerated, abs=1e-12)


def test_overlap_of_the_best() -> None:
    truth = list(range(20))
    assert top_overlap(truth, truth) == 1
    assert top_overlap(truth[::-1], truth) == 0
    assert top_overlap([0] * 18 + [1, 5], [0] * 17 + [1, 2, 3], share=0.1) == 1.0
