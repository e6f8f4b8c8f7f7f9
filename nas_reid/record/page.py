"""What the pages that we write share: one file that loads nothing, readable on a telephone and on a wide screen."""

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from nas_reid.drawing.curves import Panel
from nas_reid.drawing.palette import colours_of
from nas_reid.drawing.svg_chart import legend, line_chart
from nas_reid.errors import NasReidError
from nas_reid.files import write_atomically
from nas_reid.files.foreign import to_bytes

_PERCENTAGES = ("mAP", "mINP", "rank1", "rank5", "rank10", "rank20", "accuracy", "share", "TPR")
_STYLE = """
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: #23272e; max-width: 1100px; margin: 1.5rem auto; padding: 0 1rem;
  overflow-wrap: anywhere; }
h1 { font-size: 1.25rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; }
.sub, figcaption, .hint { color: #68707c; } .sub { margin: .1rem 0; }
.head { font-size: 1.9rem; line-height: 1.25; margin: .8rem 0 .2rem; }
.head small { font-size: 1.1rem; color: #68707c; }
.tiles { display: flex; flex-wrap: wrap; gap: .4rem 2rem; margin: .6rem 0; } .tiles b { display: block; }
.note { background: #fff6dd; border-left: 4px solid #e0b13c; padding: .6rem 1rem; }
.state { background: #e8f3ec; border-left: 4px solid #3a923a; padding: .6rem 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; max-width: 100%; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid #e3e6ea; text-align: right; vertical-align: top; }
th:first-child, td:first-child { text-align: left; overflow-wrap: break-word; }
.numbers td:not(:first-child) { white-space: nowrap; } .numbers td:first-child { overflow-wrap: anywhere; }
th { color: #68707c; font-weight: 600; }
pre { background: #f4f6f8; padding: .7rem 1rem; white-space: pre-wrap; font-size: 13px; border-radius: 4px;
  margin: .3rem 0; }
figure { margin: 1rem 0; } img { max-width: 100%; border: 1px solid #e3e6ea; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr)); gap: 1rem; }
.charts figure { margin: 0; min-width: 0; }
svg { width: 100%; height: auto; font: 11px system-ui, sans-serif; fill: #444b55; }
svg .grid { stroke: #e9ebee; } svg .unit { fill: #68707c; }
.legend { margin: .1rem 0; font-size: 12px; } .legend span { margin-right: .8rem; display: inline-block; }
.legend i { display: inline-block; width: .8rem; height: .8rem; margin-right: .3rem; border-radius: 2px;
  vertical-align: -1px; }
@media (max-width: 700px) { .early { display: none; } .head { font-size: 1.5rem; } th, td { padding: .2rem .35rem; } }
"""


def write_page(path: Path, title: str, body: str, *, style: str = "", script: str = "", reload_s: int = 0) -> None:
    """Write one HTML file.

    Args:
        path: the file.
        title: of the browser's tab.
        body: HTML.
        style, script: added to what all pages have.
        reload_s: seconds after which an open page loads itself anew; 0: never.

    Raises:
        NasReidError: it cannot be written.
    """
    again = f'<meta http-equiv="refresh" content="{reload_s}">' if reload_s else ""
    code = f"<script>{script}</script>" if script else ""
    page = (f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">{again}<title>{escape(title)}</title>'
            f"<style>{_STYLE}{style}</style></head><body>{body}{code}</body></html>\n")
    try:
        write_atomically(path, to_bytes(page))
    except OSError as error:
        raise NasReidError(f"cannot write {path} ({error.strerror or error}); free some disk space") from error


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of plain text."""
    def line(cells: Sequence[str], tag: str) -> str:
        """A row of cells."""
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
    return f"<table>{line(head, 'th') if any(head) else ''}{''.join(line(row, 'td') for row in rows)}</table>"


def charts(panels: Sequence[Panel], colours: Mapping[str, str] | None = None) -> str:
    """The panels side by side as far as there is room, each with its title and its legend.

    Args:
        panels: of a training, or of several.
        colours: of all curves, where one legend stands elsewhere; None: each panel has its own.
    """
    figures = []
    for panel in panels:
        own = colours or colours_of(panel.curves)
        chart = line_chart(panel.curves, colours=own, xlabel="epoch", unit=panel.unit)
        figures.append(f"<figure><figcaption>{escape(panel.title)}</figcaption>{chart}"
                       f"{'' if colours else legend(own)}</figure>")
    return f'<div class="charts">{"".join(figures)}</div>'


def picture(path: Path, name: str) -> str:
    """An image with its content inside the page."""
    content = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="{escape(name)}" src="data:image/png;base64,{content}">'


def number(key: str, value: Any) -> str:
    """A value as a reader expects it under this key: shares in %, sizes with separators."""
    if value is None:
        return "–"
    if isinstance(value, float) and key.removesuffix("_std").endswith(_PERCENTAGES):
        return f"{value:.2%}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def millions(count: float) -> str:
    """A count in the largest of k, M and G that keeps three digits: 183 k, 12.3 M."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= limit:
            scaled = count / limit
            return f"{scaled:.{max(0, 2 - math.floor(math.log10(scaled)))}f} {letter}"
    return f"{count:g}"
