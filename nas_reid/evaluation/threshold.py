"""Same person or not: the largest distance that keeps a chosen false-positive rate on people who were held out.

Of the impostor pairs among the held-out people the share ``rate`` at most is nearer than the threshold. Pairs share
people, so they are not independent, and Clopper and Pearson's interval for as many independent pairs would be too
narrow. People are resampled instead, with replacement, and a pair counts as often as its two people were drawn
together (the bootstrap of the vertices of a network: Snijders and Borgatti, "Non-parametric standard errors and tests
for network statistics", Connections 22, 1999; Bolle, Ratha and Pankanti, "Error analysis of pattern recognition
systems: the subsets bootstrap", Computer Vision and Image Understanding 93, 2004). Every resample gives a threshold,
and a rate at the fitted one; the intervals are quantiles of these. They say what other people of the same kind would
have given, neither what other cameras would, nor another training.

How few pairs are too few is the rule of three: a rate below 3 / n cannot be told from none with n pairs (Hanley and
Lippman-Hand, JAMA 249, 1983).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nas_reid.errors import CheckpointError, DataError
from nas_reid.evaluation.bootstrap import Bootstrap
from nas_reid.network.checkpoint import load_checkpoint

FEWEST_PEOPLE = 5
"""Resampling fewer people says nothing about others."""


@dataclass(frozen=True)
class Threshold:
    """A pair at most ``value`` apart is taken for the same person.

    Attributes:
        value: distance, in the units of ``distance``.
        interval: of ``value`` over resampled people.
        rate: the false-positive rate that was asked for.
        expected: share of the held-out impostor pairs that ``value`` accepts, at most ``rate``.
        expected_interval: of ``expected`` over resampled people.
        true_accepts: share of the held-out genuine pairs that it accepts.
        distance: a name of ``distance.DISTANCES``.
        flip: whether embeddings are means of an image's and its mirror image's.
        people, genuine_pairs, impostor_pairs: that were held out.
        level: probability that the intervals shall cover.
        across: whether the pairs were of an infrared and a visible image.
    """

    value: float
    interval: tuple[float, float]
    rate: float
    expected: float
    expected_interval: tuple[float, float]
    true_accepts: float
    distance: str
    flip: bool
    people: int
    genuine_pairs: int
    impostor_pairs: int
    level: float
    across: bool = False

    def accepts(self, distance: float) -> bool:
        """Whether two images this far apart are taken for the same person."""
        return distance <= self.value

    def line(self) -> str:
        """What a log says."""
        (lower, upper), (least, most) = self.interval, self.expected_interval
        return (f"same person up to {self.distance} distance {self.value:.4g} [{lower:.4g}, {upper:.4g}]"
                f"{', with flip' if self.flip else ''}: accepts {self.expected:.2%} [{least:.2%}, {most:.2%}] of "
                f"{self.impostor_pairs:,} impostor and {self.true_accepts:.1%} of {self.genuine_pairs:,} genuine pairs "
                f"of {self.people} held-out people")

    def to_plain(self) -> dict[str, Any]:
        """For a checkpoint and for JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @staticmethod
    def from_plain(plain: Any, *, origin: str) -> "Threshold":
        """Back from ``to_plain``.

        Raises:
            CheckpointError: a field is missing or has another type; names ``origin``.
        """
        types = {field.name: field.type for field in fields(Threshold)}
        if not isinstance(plain, Mapping) or set(plain) != set(types):
            raise CheckpointError(f"{origin}: a threshold is {str(plain)[:80]}; expected {', '.join(types)}")
        values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value
                                  for name, value in plain.items()}
        for name, value in values.items():
            ends = value if isinstance(value, tuple) else (value,)
            wanted = types[name] if not isinstance(value, tuple) else float
            if any(type(end) is not wanted for end in ends) or (len(ends) == 2) != name.endswith("interval"):
                raise CheckpointError(f"{origin}: a threshold has {name}={value!r}; expected {types[name]}")
        return Threshold(**values)


class Pairs(NamedTuple):
    """Distances of the pairs that count.

    Attributes:
        genuine: float64 [G].
        genuine_of: int64 [G], whose; people are numbered from 0.
        impostor: float64 [N].
        impostor_of: int64 [N, 2], whose.
        people: how many there are.
    """

    genuine: np.ndarray
    genuine_of: np.ndarray
    impostor: np.ndarray
    impostor_of: np.ndarray
    people: int


class Fit(NamedTuple):
    """A threshold and what it accepts; see ``Threshold`` for the fields."""

    value: float
    interval: tuple[float, float]
    expected: float
    expected_interval: tuple[float, float]
    true_accepts: float


def require_pairs(rate: float, *, people: int, impostors: int) -> None:
    """Refuse a rate that so few pairs cannot show.

    Raises:
        DataError: fewer than ``FEWEST_PEOPLE`` people, or than 3 / ``rate`` impostor pairs.
    """
    if people < FEWEST_PEOPLE:
        raise DataError(f"false_positive_rate={rate:g} needs at least {FEWEST_PEOPLE} held-out people, and there are "
                        f"{people}: hold out more (validation_fraction=, validation_data=), or do without "
                        "(false_positive_rate=null)")
    if impostors * rate < 3:
        raise DataError(f"false_positive_rate={rate:g} needs at least 3 / {rate:g} = {math.ceil(3 / rate - 1e-9):,} "
                        f"pairs of different held-out people, and there are {impostors:,}: hold out more people "
                        f"(validation_fraction=, validation_data=), ask for {3 / max(impostors, 1):.2g} or more, or "
                        "do without (false_positive_rate=null)")


def fit(pairs: Pairs, *, rate: float, bootstrap: Bootstrap) -> Fit:
    """The threshold for a false-positive rate, and its intervals.

    Args:
        pairs: of held-out people.
        rate: in (0, 1).
        bootstrap: how to resample people.

    Raises:
        DataError: see ``require_pairs``; or there is no genuine pair.
    """
    require_pairs(rate, people=pairs.people, impostors=len(pairs.impostor))
    if not len(pairs.genuine):
        raise DataError("false_positive_rate: no held-out person was seen by two cameras, so that no threshold can "
                        "accept anybody; hold out others, or do without (false_positive_rate=null)")
    order = np.argsort(pairs.impostor, kind="stable")
    distances, (first, second) = pairs.impostor[order], pairs.impostor_of[order].T
    value = _quantile(distances, np.ones(len(distances), dtype=np.int64), rate)
    accepted = int(np.searchsorted(distances, value, side="right"))
    values, rates = np.empty(bootstrap.samples), np.empty(bootstrap.samples)
    generator = np.random.default_rng(bootstrap.seed)
    for sample in range(bootstrap.samples):
        total = 0
        while not total:  # all draws may be one person, or people without a pair
            times = np.bincount(generator.integers(pairs.people, size=pairs.people), minlength=pairs.people)
            weights = times[first] * times[second]
            total = int(weights.sum())
        values[sample] = _quantile(distances, weights, rate)
        rates[sample] = weights[:accepted].sum() / total
    tails = [(1 - bootstrap.level) / 2, (1 + bootstrap.level) / 2]
    (lower, upper), (least, most) = np.quantile(values, tails), np.quantile(rates, tails)
    return Fit(value, (float(lower), float(upper)), accepted / len(distances), (float(least), float(most)),
               float((pairs.genuine <= value).mean()))


def _quantile(distances: np.ndarray, weights: np.ndarray, rate: float) -> float:
    """The largest of the ascending distances up to which at most ``rate`` of the weight lies; else just below all."""
    counted = np.cumsum(weights)
    most = rate * counted[-1] + 1e-9
    accepted = int(np.searchsorted(counted, most, side="right"))
    if accepted < len(distances):  # equal distances are accepted together
        accepted = int(np.searchsorted(distances, distances[accepted], side="left"))
    if not accepted or not counted[accepted - 1]:
        return float(np.nextafter(distances[np.searchsorted(counted, 0, side="right")], -np.inf))
    return float(distances[np.searchsorted(counted, counted[accepted - 1], side="left")])


def read_thresholds(checkpoint: Path) -> list[Threshold]:
    """The thresholds that a retraining kept in its checkpoint; none in files that have none.

    Raises:
        CheckpointError: see ``load_checkpoint``; what is there is no threshold.
    """
    return thresholds_from(load_checkpoint(checkpoint).get("thresholds"), origin=str(checkpoint))


def thresholds_from(plain: Any, *, origin: str) -> list[Threshold]:
    """Back from a list of ``Threshold.to_plain``; none from nothing.

    Raises:
        CheckpointError: it is something else; names ``origin``.
    """
    if not isinstance(plain, list | None):
        raise CheckpointError(f"{origin}: thresholds are {str(plain)[:80]}; expected a list")
    return [Threshold.from_plain(each, origin=origin) for each in plain or []]


def choose(thresholds: Sequence[Threshold], *, distance: str, flip: bool) -> Threshold | None:
    """The one for this distance and these embeddings, if there is one."""
    return next((each for each in thresholds if (each.distance, each.flip) == (distance, flip)), None)
