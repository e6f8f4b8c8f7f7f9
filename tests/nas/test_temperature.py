import pytest

from nas_reid.errors import ConfigError
from nas_reid.nas.temperature import build_temperature, linear


def test_linear_reaches_both_ends_exactly() -> None:
    temperature = build_temperature("linear", start=10.0, end=0.1, every=1)
    for epochs in (2, 7, 50, 250):
        assert temperature(0, epochs) == 10.0
        assert temperature(epochs - 1, epochs) == 0.1
    assert temperature(50, 101) == pytest.approx(10 - 9.9 * 50 / 100)


def test_exponential_is_geometric() -> None:
    temperature = build_temperature("exponential", start=1.0, end=0.1, every=1)
    assert (temperature(0, 41), temperature(40, 41)) == (1.0, 0.1)
    ratios = [temperature(e + 1, 41) / temperature(e, 41) for e in range(40)]
    assert ratios == pytest.approx([0.1 ** (1 / 40)] * 40)


def test_step_halves_down_to_the_floor() -> None:
    temperature = build_temperature("step", start=10.0, end=1.0, every=20)
    assert [temperature(e, 120) for e in (0, 19, 20, 40, 60, 79, 80, 119)] == [10, 10, 5, 2.5, 1.25, 1.25, 1, 1]


def test_constant_and_single_epoch() -> None:
    assert build_temperature("constant", start=2.0, end=1.0, every=1)(5, 6) == 2.0
    for schedule in ("constant", "linear", "exponential", "step"):
        assert build_temperature(schedule, start=3.0, end=1.0, every=1)(0, 1) == 3.0
    assert linear(0, 1, start=0.0, end=50.0) == 0.0


def test_illegal_schedules() -> None:
    with pytest.raises(ConfigError, match=r"'cosine'.*exponential.*step"):
        build_temperature("cosine", start=1.0, end=1.0, every=1)
    with pytest.raises(ConfigError, match="positive"):
        build_temperature("linear", start=1.0, end=0.0, every=1)
