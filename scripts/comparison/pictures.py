"""The four pictures of a comparison."""

from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

from comparison.findings import Findings, worth
from nas_reid.drawing.front import draw_front
from nas_reid.drawing.picture_file import write_picture
from nas_reid.nas.selection.front import front_of

_GREY, _BLUE, _RED = "#9aa5b1", "#1f6f8b", "#c0392b"


def draw(findings: Findings, folder: Path) -> list[Path]:
    """Draw what there is to draw into ``folder``; returns the files.

    Raises:
        NasReidError: a file cannot be written.
    """
    pictures: dict[str, Callable[[Any], None]] = {"random": lambda axes: _random(findings, axes),
                                                  "supernet": lambda axes: _supernet(findings, axes)}
    if findings.curve:
        pictures["anytime"] = lambda axes: _anytime(findings, axes)
    paths = [_picture(folder / f"{name}.png", paint) for name, paint in pictures.items()]
    everyone = [*findings.random, *findings.equal, *findings.searched, *findings.hand_made]
    macs = [one.macs for one in everyone]
    front = folder / "front.png"
    draw_front(worth(everyone), macs, front_of(worth(everyone), macs), front, xlabel="MACs per image",
               ylabel="mAP of unseen people, %")
    return [*paths, front]


def _picture(path: Path, paint: Callable[[Any], None]) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 3.8), dpi=120, layout="constrained")
    axes = figure.subplots()
    paint(axes)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False, fontsize=8)  # covers no point
    write_picture(path, lambda file: figure.savefig(file, format="png"))
    return path


def _random(findings: Findings, axes: Any) -> None:
    lots = {"by lot": (findings.random, {"color": _GREY}),
            f"by lot, equal {findings.plan.equal_in}": (findings.equal, {"histtype": "step", "color": "black"})}
    every = [100 * one.mAP for group, _ in lots.values() for one in group]
    for label, (group, style) in lots.items():
        if group:
            axes.hist([100 * value for value in worth(group)], bins=12, range=(min(every), max(every)), label=label,
                      **style)
    axes.yaxis.get_major_locator().set_params(integer=True)
    for position, value in enumerate(worth(findings.searched)):
        axes.axvline(100 * value, color=_RED, lw=1, label="searched" if position == 0 else None)
    for position, value in enumerate(worth(findings.hand_made)):
        axes.axvline(100 * value, color=_BLUE, lw=1, ls="--", label="hand-made" if position == 0 else None)
    axes.set(xlabel="mAP of unseen people, %", ylabel="genotypes")


def _supernet(findings: Findings, axes: Any) -> None:
    markers = [(colour, marker) for marker in "o^s" for colour in (_BLUE, _RED, "#3a923a", "#b8860b")]
    for scorer, (colour, marker) in zip(findings.scorers, markers, strict=False):
        scores, truth = zip(*scorer.pairs, strict=True)
        ranks = [sum(other < score for other in scores) for score in scores]
        axes.scatter(ranks, [100 * value for value in truth], s=14, color=colour, marker=marker,
                     linewidths=0, label=f"{scorer.name}: τ = {scorer.tau:.2f}")
    axes.set(xlabel="genotypes that the supernet puts below it", ylabel="mAP when trained alone, %")


def _anytime(findings: Findings, axes: Any) -> None:
    axes.axhline(100 * fmean(worth(findings.random)), color=_GREY, label="mean by lot")
    epochs = sorted(findings.curve)
    for seed in range(len(findings.curve[epochs[0]])):
        axes.plot(epochs, [100 * findings.curve[epoch][seed].mAP for epoch in epochs], color=_RED, lw=0.6, alpha=0.6)
    axes.plot(epochs, [100 * fmean(worth(findings.curve[epoch])) for epoch in epochs], "o-", color=_RED,
              label="found after so many epochs, mean")
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.set(xlabel="epochs of the search", ylabel="mAP of unseen people, %")
