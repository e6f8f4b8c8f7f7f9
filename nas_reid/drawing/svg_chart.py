"""Charts as SVG inside a page: they fit any width, and cost nothing to draw."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

_WIDTH, _HEIGHT = 420, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 10, 36
_AXIS = "#68707c"


class Point(NamedTuple):
    """A dot of ``scatter``.

    Attributes:
        x, y: where.
        label: short, drawn beside it.
        title: shown by a browser when the pointer rests on it.
        colour: of it.
    """

    x: float
    y: float
    label: str
    title: str
    colour: str


class _Axes:
    """A plane from data to pixels, and the marks along its edges."""

    def __init__(self, xs: Sequence[float], ys: Sequence[float], *, percent: bool, xlabel: str, ylabel: str) -> None:
        self.x, self.y = _range(xs), _range(ys)
        # Epochs and skips: there is none between two.
        self.counted = [all(float(value).is_integer() for value in values) for values in (xs, ys)]
        self.percent, self.labels = percent, (xlabel, ylabel)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Pixels from the left and from the top."""
        (x0, x1), (y0, y1) = self.x, self.y
        return (_LEFT + (x - x0) / (x1 - x0) * (_WIDTH - _LEFT - _RIGHT),
                _HEIGHT - _BOTTOM - (y - y0) / (y1 - y0) * (_HEIGHT - _TOP - _BOTTOM))

    def frame(self) -> str:
        """Grid, numbers and names of the axes, as SVG."""
        parts = []
        for value in _ticks(*self.y):
            if (self.percent and value > 1) or (self.counted[1] and not self.percent and not value.is_integer()):
                continue
            _, height = self.at(self.x[0], value)
            text = f"{value:.4g}" if not self.percent else f"{100 * value:.4g} %"
            parts += [f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{height:.1f}" y2="{height:.1f}" class="grid"/>',
                      f'<text x="{_LEFT - 5}" y="{height + 4:.1f}" text-anchor="end">{text}</text>']
        for value in _ticks(*self.x):
            if self.counted[0] and not value.is_integer():
                continue
            left, _ = self.at(value, self.y[0])
            parts.append(f'<text x="{left:.1f}" y="{_HEIGHT - _BOTTOM + 15}" text-anchor="middle">'
                         f"{_short(value)}</text>")
        xlabel, ylabel = map(escape, self.labels)
        parts += [f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{_HEIGHT - _BOTTOM}" y2="{_HEIGHT - _BOTTOM}" '
                  f'stroke="{_AXIS}"/>',
                  f'<text x="{(_WIDTH + _LEFT) / 2:.0f}" y="{_HEIGHT - 5}" text-anchor="middle">{xlabel}</text>',
                  f'<text x="{_LEFT + 4}" y="{_TOP + 2}" class="unit">{ylabel}</text>']
        return "".join(parts)


def line_chart(curves: Mapping[str, Sequence[tuple[float, float]]], *, colours: Mapping[str, str], xlabel: str,
               unit: str) -> str:
    """Curves over one another.

    Args:
        curves: name -> (x, y) in order; at least one point in all.
        colours: name -> colour.
        xlabel: of the horizontal axis.
        unit: of the vertical one; a ``share`` is shown in %.
    """
    points = [point for curve in curves.values() for point in curve]
    axes = _Axes([x for x, _ in points], [y for _, y in points], percent=unit == "share", xlabel=xlabel,
                 ylabel="" if unit == "share" else unit)
    drawn = []
    for name, curve in curves.items():
        places = [axes.at(x, y) for x, y in curve]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        last = f"{curve[-1][1]:.2%}" if unit == "share" else f"{curve[-1][1]:.4g}"
        dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2"/>' for x, y in places) if len(places) <= 40 else ""
        drawn.append(f'<g stroke="{colours[name]}" fill="{colours[name]}"><title>{escape(name)}: {last}</title>'
                     f'<polyline points="{line}" fill="none" stroke-width="1.8"/>{dots}</g>')
    return _svg(axes.frame() + "".join(drawn))


def scatter(points: Sequence[Point], front: Sequence[int], *, xlabel: str, ylabel: str) -> str:
    """Dots with labels, those of the front joined by a line; vertical values are shares, shown in %.

    Args:
        points: at least one.
        front: indices of those that no other beats, by increasing x.
        xlabel, ylabel: of the axes.
    """
    axes = _Axes([point.x for point in points], [point.y for point in points], percent=True, xlabel=xlabel,
                 ylabel=ylabel)
    places = [axes.at(point.x, point.y) for point in points]
    line = " ".join(f"{places[index][0]:.1f},{places[index][1]:.1f}" for index in front)
    drawn = [f'<polyline points="{line}" fill="none" stroke="#23272e" stroke-width="1.2" stroke-dasharray="4 3"/>']
    for index, (point, (x, y)) in enumerate(zip(points, places, strict=True)):
        ring = ' stroke="#23272e" stroke-width="2"' if index in front else ""
        drawn.append(f'<g><title>{escape(point.title)}</title><circle cx="{x:.1f}" cy="{y:.1f}" r="5" '
                     f'fill="{point.colour}"{ring}/><text x="{x + 8:.1f}" y="{y - 5:.1f}">{escape(point.label)}</text>'
                     "</g>")
    return _svg(axes.frame() + "".join(drawn))


def legend(colours: Mapping[str, str]) -> str:
    """Names with their colours, which wrap as words do."""
    return '<p class="legend">' + " ".join(f'<span><i style="background:{colour}"></i>{escape(name)}</span>'
                                           for name, colour in colours.items()) + "</p>"


def _svg(content: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{content}</svg>'


def _range(values: Sequence[float]) -> tuple[float, float]:
    least, most = min(values), max(values)
    margin = 0.06 * (most - least) or 0.1 * abs(most) or 1.0
    return (0.0 if least >= 0 > least - margin else least - margin), most + margin


def _ticks(least: float, most: float) -> list[float]:
    """Some round numbers within; whole ones where the range is wide enough."""
    raw = (most - least) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    first = math.ceil(least / step)
    return [round(number * step, 10) for number in range(first, math.floor(most / step) + 1)]


def _short(value: float) -> str:
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (1e3 if letter == 'k' else limit):.4g} {letter}"
    return f"{value:.4g}"
