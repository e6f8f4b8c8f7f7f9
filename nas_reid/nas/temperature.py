"""Temperature schedules of the Gumbel relaxations: pure functions of the epoch, so resuming needs nothing else."""

from collections.abc import Callable
from functools import partial

from nas_reid.errors import ConfigError


def build_temperature(schedule: str, *, start: float, end: float, every: int) -> Callable[[int, int], float]:
    """The temperature as a function of (epoch, epochs), epoch in [0, epochs - 1].

    Args:
        schedule: "constant" (``start``), "linear", "exponential" (both reach ``end`` exactly at the last epoch;
            GDAS: linear from 10 to 0.1) or "step" (halved every ``every`` epochs, never below ``end``;
            OSNet-AIN: 10, 20 epochs, 1).
        start: temperature at epoch 0, > 0.
        end: the last or lowest temperature, > 0.
        every: epochs between two halvings, >= 1.

    Raises:
        ConfigError: unknown schedule or a value out of range.
    """
    if schedule not in SCHEDULES:
        raise ConfigError(f"unknown temperature schedule {schedule!r}; choose one of {sorted(SCHEDULES)}")
    if start <= 0 or end <= 0 or every < 1:
        raise ConfigError(f"temperature from {start} to {end} every {every} epochs; expected positive numbers")
    return partial(SCHEDULES[schedule], start=start, end=end, every=every)


def linear(epoch: int, epochs: int, *, start: float, end: float) -> float:
    """``start`` at epoch 0, ``end`` at epoch ``epochs - 1``, both exactly; a single epoch gets ``start``."""
    done = epoch / max(1, epochs - 1)
    return (1 - done) * start + done * end


def _constant(epoch: int, epochs: int, *, start: float, end: float, every: int) -> float:
    return start


def _linear(epoch: int, epochs: int, *, start: float, end: float, every: int) -> float:
    return linear(epoch, epochs, start=start, end=end)


def _exponential(epoch: int, epochs: int, *, start: float, end: float, every: int) -> float:
    done = epoch / max(1, epochs - 1)
    return start ** (1 - done) * end**done


def _step(epoch: int, epochs: int, *, start: float, end: float, every: int) -> float:
    return max(end, start * 0.5 ** (epoch // every))


SCHEDULES: dict[str, Callable[..., float]] = {
    "constant": _constant,
    "linear": _linear,
    "exponential": _exponential,
    "step": _step,
}
