"""``compare.html``: many runs on one page, with a table to sort, curves over one another, costs, genotypes, alphas."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from nas_reid.drawing.curves import Panel, training_panels
from nas_reid.drawing.palette import colours_of
from nas_reid.drawing.svg_chart import Point, legend, scatter
from nas_reid.errors import NasReidError
from nas_reid.record.alpha_history import alpha_history, choices_of
from nas_reid.record.headline import minutes_of
from nas_reid.record.page import charts, millions, number, picture, write_page
from nas_reid.record.runs import Origin, Run, by_kind, differing_settings, genotype_of, group_runs, shown
from nas_reid.record.tracking import read_metrics

_WHOLE = 32  # characters of a folder's name that is not broken into lines
_PER_TABLE = 5  # genotypes side by side
_STYLE = """
body { max-width: 1600px; } .cards { font-size: 13px; overflow-wrap: normal; } #runs th { cursor: pointer; }
#runs td:not(:first-child) span, .part { white-space: nowrap; } .cards td[hidden] { display: none; }
.cards td, .cards th { padding: .2rem .4rem; } td.words { overflow-wrap: anywhere; text-align: left; }
th[aria-sort=descending]::after { content: " ▼"; }
th[aria-sort=ascending]::after { content: " ▲"; } i.run { display: inline-block; width: .8rem; height: .8rem;
  border-radius: 2px; margin-right: .3rem; } tr.differs { background: #fff6dd; } label { margin-right: 1rem; }
.alphas { display: inline-table; margin: .5rem 1.5rem .5rem 0; font-size: 12px; }
.alphas td, .alphas th { padding: 1px 4px; }
.alphas .turned { writing-mode: vertical-rl; transform: rotate(180deg); text-align: left; } .left { color: #9aa1ab; }
.taken { outline: 2px solid #d6604d; outline-offset: -2px; } select, input { font: inherit; max-width: 100%; }
@media (max-width: 700px) { .cards, .cards tbody { display: block; } .cards thead { display: none; }
  .cards tr { display: block; border-bottom: 2px solid #9aa1ab; padding: .3rem 0; }
  .cards td { display: flex; justify-content: space-between; gap: 1rem; border: 0; padding: .1rem 0;
    text-align: right; } .cards td.empty, .cards td[hidden] { display: none; } .cards td.words { text-align: left; }
  .cards td span { overflow-wrap: anywhere; min-width: 0; }
  .cards td::before { content: attr(data-name); color: #68707c; text-align: left; flex: none; max-width: 45%; }
  .alphas { font-size: 10px; } }
"""


class Shown(NamedTuple):
    """A run as the page shows it."""

    run: Run
    name: str
    colour: str
    label: str
    records: Sequence[Mapping[str, Any]]


def write_comparison(path: Path, runs: Sequence[Run], summary: Mapping[str, Any], *, printed: str,
                     front_of: Callable[[Sequence[float], Sequence[float]], list[int]]) -> Path:
    """One self-contained page that compares runs.

    Args:
        path: the HTML file.
        runs: at least one, finished.
        summary: of ``runs.summarize``.
        printed: what the command prints below its table: the best runs and the commands that come next.
        front_of: indices of what nothing beats, from worth and cost.

    Raises:
        NasReidError: the page cannot be written.
    """
    metric, all_shown = summary["metric"], list(_shown(runs))
    alphas = {each.name: found for each in all_shown if (found := alpha_history(each.run.folder))}
    body = [f"<h1>{len(runs)} runs compared</h1><pre>{escape(printed)}</pre>", _by_setting(summary),
            f"<h2>All runs</h2>{_table(all_shown)}", _curves(all_shown), _costs(all_shown, metric, front_of),
            _genotypes(all_shown), _alphas(alphas), _differences(all_shown)]
    script = resources.files("nas_reid.record").joinpath("comparison.js").read_text(encoding="utf-8")
    write_page(path, f"{len(runs)} runs compared", "".join(body), style=_STYLE, script=script)
    return path


def _shown(runs: Sequence[Run]) -> Iterator[Shown]:
    folders = [run.folder.absolute() for run in runs]
    root = Path(os.path.commonpath(folders)) if len(runs) > 1 else folders[0].parent
    labels = {id(run): letters(number) for number, members in enumerate(group_runs(runs).values()) for run in members}
    names = [f"#{number} {folder.relative_to(root)}" for number, folder in enumerate(folders, start=1)]
    for run, name, colour in zip(runs, names, colours_of(names).values(), strict=True):
        try:
            records = read_metrics(run.folder)
        except NasReidError:
            records = []  # an evaluation, or a folder from which only the result was kept
        yield Shown(run, name, colour, labels[id(run)], records)


def _tag(run: Shown) -> str:
    parts = "/<wbr>".join(f'<span class="{"part" if len(part) <= _WHOLE else ""}">{escape(part)}</span>'
                          for part in run.name.split("/"))
    return f'<i class="run" style="background:{run.colour}" title="{escape(run.name)}"></i>{parts}'


def _short(run: Shown) -> str:
    return run.name.partition(" ")[0]


def _by_setting(summary: Mapping[str, Any]) -> str:
    metric, groups = summary["metric"], summary["groups"]
    further = [(kind, name) for kind in ("trials", "targets") for name in groups[0][kind]]
    names = ["validation", "test", *(name for _, name in further)]
    head = ["", "setting", "runs", *(f"{name} {metric}" for name in names)]
    rows = [[letters(number), escape(group["short"]), str(len(group["seeds"])), spread(group["validation"]),
             spread(group["test"]), *(spread(group[kind][name]) for kind, name in further)]
            for number, group in enumerate(groups)]
    return f"<h2>Mean ± standard deviation by setting</h2>{_cards(head, rows)}"


def letters(number: int) -> str:
    """A, B, ..., Z, AA, AB, ... for 0, 1, ...: what a setting is called on the page."""
    return (letters(number // 26 - 1) if number >= 26 else "") + chr(ord("A") + number % 26)


def spread(values: Mapping[str, Any]) -> str:
    """Mean ± sample deviation in %, as they are known."""
    if values["mean"] is None:
        return "–"
    return f"{values['mean']:.2%}" + (f" ± {values['std']:.2%}" if values["std"] is not None else "")


def _cards(head: Sequence[str], rows: Sequence[Sequence[str]], classes: Sequence[str] = ()) -> str:
    """A table whose rows become cards on a narrow screen; cells are HTML."""
    lines = ["".join(f'<td data-name="{escape(name)}"{_kind_of(cell)}><span>{cell}</span></td>'
                     for name, cell in zip(head, row, strict=True)) for row in rows]
    marked = [f' class="{name}"' if name else "" for name in classes or [""] * len(rows)]
    heads = "".join(f"<th>{escape(name)}</th>" for name in head)
    return (f'<table class="cards"><thead><tr>{heads}</tr></thead><tbody>'
            + "".join(f"<tr{mark}>{line}</tr>" for mark, line in zip(marked, lines, strict=True)) + "</tbody></table>")


def _kind_of(cell: str) -> str:
    return ' class="empty"' if cell == "–" else ' class="words"' if len(cell) > 40 and "<" not in cell else ""


def _table(runs: Sequence[Shown]) -> str:
    """Every number of every run, to be sorted by any column; what is better when smaller begins upwards."""
    values = [_numbers(run) for run in runs]
    keys = [key for key in dict.fromkeys(key for row in values for key in row)
            if len({row.get(key) for row in values}) > 1 or key.endswith(("mAP", "rank1"))]
    head, further = ["run", "setting", *keys], _further(runs)
    least = [int(name in ("run", "setting", "seed", "parameters", "MACs", "minutes")) for name in head]
    heads = "".join(f'<th data-least="{small}" data-further="{escape(further.get(name, ""))}" aria-sort="none">'
                    f"{escape(name)}</th>"
                    for name, small in zip(head, least, strict=True))
    lines = []
    for position, (run, row) in enumerate(zip(runs, values, strict=True)):
        cells = [(str(position), _tag(run)), (run.label, escape(run.label))]
        cells += [("" if row.get(key) is None else str(row[key]), escape(_printed(key, row.get(key)))) for key in keys]
        lines.append("".join(f'<td data-name="{escape(name)}" data-value="{escape(value)}"{_kind_of(cell)}>'
                             f"<span>{cell}</span></td>"
                             for name, (value, cell) in zip(head, cells, strict=True)))
    options = "".join(f'<option value="{index}">{escape(name)}</option>' for index, name in enumerate(head))
    return (f'<p><label>sort by <select id="sort">{options}</select></label> <span class="hint">or by a click on a '
            "head; again turns it round</span></p>"
            f'<p id="further"></p><table class="cards" id="runs"><thead><tr>{heads}</tr></thead><tbody>'
            + "".join(f"<tr>{line}</tr>" for line in lines) + "</tbody></table>")


def _numbers(run: Shown) -> dict[str, Any]:
    result = run.run.result
    found: dict[str, Any] = {"seed": result.get("seed")}
    if (result.get("selection") or {}).get("split") not in (None, "none"):
        found |= {f"val. {key}": value for key, value in result["selection"].items() if _is_metric(key, value)}
    for section, values in (("test", result.get("metrics") or {}), *(result.get("targets") or {}).items(),
                            *(result.get("trials") or {}).items()):
        found |= {f"{section} {key}": value for key, value in values.items() if _is_metric(key, value)}
    return found | {"parameters": result.get("params"), "MACs": result.get("macs"),
                    "minutes": minutes_of(result, run.records)}


def _further(runs: Sequence[Shown]) -> dict[str, str]:
    """Columns of targets and trials -> whose they are; a page shows them when they are asked for."""
    parts = [(name, key) for run in runs for kind in ("targets", "trials")
             for name, values in (run.run.result.get(kind) or {}).items() for key in values]
    return {f"{name} {key}": name for name, key in parts}


def _is_metric(key: str, value: Any) -> bool:
    return isinstance(value, float) and not key.endswith("_std")


def _printed(key: str, value: Any) -> str:
    if key in ("parameters", "MACs") and value is not None:
        return millions(value)
    return f"{value:.1f}" if key == "minutes" and value is not None else number(key, value)


def _curves(runs: Sequence[Shown]) -> str:
    """A panel for each quantity, a curve for each run."""
    merged: dict[tuple[str, str, str], dict[str, Sequence[tuple[float, float]]]] = {}
    for run in runs:
        for title, unit, curves in training_panels(run.records):
            for name, points in curves.items():
                merged.setdefault((title, name, unit), {})[run.name] = points
    if not merged:
        return ""
    colours = {run.name: run.colour for run in runs}
    panels = [Panel(f"{title}: {name}", unit, curves) for (title, name, unit), curves in merged.items()]
    panels.sort(key=lambda panel: not panel.title.startswith("validation"))
    return f"<h2>Curves</h2>{legend(colours)}{charts(panels, colours)}"


def _costs(runs: Sequence[Shown], metric: str,
           front_of: Callable[[Sequence[float], Sequence[float]], list[int]]) -> str:
    """The metric against parameters and MACs; of the test set, where any run has it there."""
    tested = any(run.run.test(metric) is not None for run in runs)
    where = "test" if tested else "validation"
    figures = []
    for key, name in (("params", "parameters"), ("macs", "MACs an image")):
        counted = [(run, value, run.run.result[key]) for run in runs if run.run.result.get(key)
                   and (value := run.run.test(metric) if tested else run.run.validation(metric)) is not None]
        if counted:
            points = [Point(cost, worth, _short(run), f"{run.name}: {worth:.2%}, {cost:,} {name}", run.colour)
                      for run, worth, cost in counted]
            front = front_of([worth for _, worth, _ in counted], [cost for _, _, cost in counted])
            figures.append(f"<figure><figcaption>{where} {escape(metric)} against {name}</figcaption>"
                           f"{scatter(points, front, xlabel=name, ylabel='')}</figure>")
    hint = "Ringed and joined: beaten by no run in both. Runs that say neither are left out."
    return f'<h2>What it costs</h2><p class="hint">{hint}</p><div class="charts">{"".join(figures)}</div>' \
        if figures else ""


def _genotypes(runs: Sequence[Shown]) -> str:
    """Different genotypes side by side, drawn where a run left a drawing; rows in which they differ stand out."""
    found: dict[str, tuple[list[Shown], dict[str, str]]] = {}
    for run in runs:
        path = genotype_of(run.run)
        if path and (choices := choices_of(path)):
            found.setdefault(json.dumps(choices), ([], choices))[0].append(run)
    pictures = [(members[0], drawn) for members, _ in found.values()
                if (drawn := members[0].run.folder / "pictures" / "cells.png").exists()]
    figures = "".join(f"<figure><figcaption>{_tag(run)}</figcaption>{picture(path, run.name)}</figure>"
                      for run, path in pictures)
    tables, distinct = [], list(found.values())
    for start in range(0, len(distinct), _PER_TABLE):
        part = distinct[start:start + _PER_TABLE]
        names = list(dict.fromkeys(row for _, choices in part for row in choices))
        rows = [[escape(name), *(escape(choices.get(name, "")) for _, choices in part)] for name in names]
        tables.append(_cards(["", *(" ".join(map(_short, members)) for members, _ in part)], rows,
                             ["differs" if len(set(row[1:])) > 1 else "" for row in rows]))
    return f'<h2>Genotypes</h2><div class="charts">{figures}</div>{"".join(tables)}' if found else ""


def _alphas(alphas: Mapping[str, Any]) -> str:
    content = json.dumps(alphas).replace("</", "<\\/")
    data = f'<script type="application/json" id="alphas-data">{content}</script>'
    if not alphas:
        return data
    options = "".join(f"<option>{escape(name)}</option>" for name in alphas)
    return (f'<h2>Alphas over the epochs</h2><p><label>run <select id="which">{options}</select></label> '
            '<label>epoch <input id="epoch" type="range" min="0" max="0"></label> <span id="told"></span></p>'
            f'<div id="alphas"></div><p class="hint">Framed: what the genotype of that epoch took.</p>{data}')


def _differences(runs: Sequence[Shown]) -> str:
    """Every setting in which runs of one kind differ, with the runs that have each value."""
    own = {id(run.run): run for run in runs}
    tables = [_differing([own[id(run)] for run in members]) for members in by_kind([run.run for run in runs]).values()]
    return f"<h2>Settings that differ</h2>{''.join(tables)}" if any(tables) else ""


def _differing(runs: Sequence[Shown]) -> str:
    rows = []
    for key in differing_settings([run.run for run in runs], ignored=True):
        values: dict[str | Origin | None, list[Shown]] = {}
        for run in runs:
            values.setdefault(run.run.settings.get(key), []).append(run)
        told = "<br>".join(f"<b>{escape('not there' if value is None else shown(value, list(values)))}</b> "
                           f"{escape(' '.join(map(_short, members)))}" for value, members in values.items())
        rows.append(f"<tr><td>{escape(key)}</td><td>{told}</td></tr>")
    return f"<h3>{escape(str(runs[0].run.result.get('kind', '?')))}</h3><table>{''.join(rows)}</table>" if rows else ""
