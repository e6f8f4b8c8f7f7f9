"""``report.html``: one file that shows a finished run and can be mailed; pictures inside, no scripts, no network."""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from nas_reid.errors import NasReidError
from nas_reid.files import write_atomically
from nas_reid.files.foreign import read_text, to_bytes
from nas_reid.record.tracking import RESULT_FILE, read_metrics

LAST_EPOCHS = 10
SYNTHETIC_NOTE = ("The images of this run were drawn by the procedural generator. Its numbers compare runs on the same "
                  "generated data with each other; they say nothing about accuracy on real people.")
_PERCENTAGES = tuple(f"{metric}{ending}" for metric in ("mAP", "mINP", "rank1", "rank5", "rank10", "rank20")
                     for ending in ("", "_std"))
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #23272e; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.sub { color: #68707c; margin-top: .2rem; }
.note { background: #fff6dd; border-left: 4px solid #e0b13c; padding: .6rem 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; } .wide { overflow-x: auto; }
th, td { padding: .25rem .8rem; border-bottom: 1px solid #e3e6ea; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { color: #68707c; font-weight: 600; }
pre { background: #f4f6f8; padding: .8rem 1rem; overflow-x: auto; font-size: 13px; border-radius: 4px; }
figure { margin: 1.2rem 0; } img { max-width: 100%; border: 1px solid #e3e6ea; } figcaption { color: #68707c; }
"""


def write_report(output_dir: Path, result: Mapping[str, Any] | None = None) -> Path:
    """Gather the result, ``metrics.jsonl`` and ``pictures/*.png`` of a run into ``report.html``.

    Args:
        output_dir: the folder of the run.
        result: what ``result.json`` will hold; None: what it holds.

    Returns:
        The report's path.

    Raises:
        NasReidError: the folder holds no readable result, or cannot be written.
    """
    result = _read_result(output_dir) if result is None else result
    title = " · ".join(str(result[key]) for key in ("kind", "space", "data") if key in result) or output_dir.name
    body = "".join([
        f"<h1>{escape(title)}</h1>",
        f'<p class="sub">seed {escape(str(result.get("seed", "?")))} · {escape(output_dir.name)}</p>',
        *(f'<p class="note">{escape(note)}</p>' for note in _notes(result)),
        f"<h2>Command</h2><pre>{escape(_command(output_dir, result))}</pre>",
        f"<h2>Result</h2>{_results(result)}",
        _pictures(output_dir),
        _metrics(output_dir),
        "<h2>Configuration</h2><details><summary>all values</summary><pre>",
        f"{escape(json.dumps(result.get('config'), indent=2))}</pre></details>",
    ])
    page = (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
            f"<style>{_STYLE}</style></head><body>{body}</body></html>\n")
    path = output_dir / "report.html"
    try:
        write_atomically(path, to_bytes(page))
    except OSError as error:
        raise NasReidError(f"cannot write {path} ({error.strerror or error}); free some disk space") from error
    return path


def _read_result(output_dir: Path) -> dict[str, Any]:
    path = output_dir / RESULT_FILE
    try:
        result = json.loads(read_text(path))
    except (OSError, ValueError) as error:
        raise NasReidError(f"cannot read {path} ({error}); a report needs the folder of a finished run") from error
    if not isinstance(result, dict):
        raise NasReidError(f"{path} holds a {type(result).__name__}; expected the JSON object of a finished run")
    return result


def _notes(result: Mapping[str, Any]) -> list[str]:
    """What a reader must know before the numbers."""
    notes = result.get("notes") or []
    data = (result.get("config") or {}).get("data") or {}
    drawn = bool(data.get("synthetic") and not data.get("root"))
    return [SYNTHETIC_NOTE] * drawn + ([notes] if isinstance(notes, str) else list(notes))


def _command(output_dir: Path, result: Mapping[str, Any]) -> str:
    """The command line, from the overrides that Hydra keeps beside the run (one per line, ``- key=value``)."""
    path = output_dir / ".hydra" / "overrides.yaml"
    if not path.exists():
        return f"nas_reid.{result.get('kind', '?')}.run, called from Python; result.json holds the settings"
    lines = read_text(path).splitlines()
    overrides = [line[2:].strip() for line in lines if line.startswith("- ")]
    return " ".join([f"python -m nas_reid.{result.get('kind', '?')}", *overrides])


def _results(result: Mapping[str, Any]) -> str:
    """Every number of the result, one per line; selection, test and targets are told apart."""
    rows = []
    for section in ("selection", "metrics"):
        values = dict(result.get(section) or {})
        source = values.pop("split", "test" if section == "metrics" else section)
        rows += [(f"{source} {key}", _number(key, value)) for key, value in values.items()
                 if not isinstance(value, Mapping | list)]
    rows += [(f"{name} {key}", _number(key, value)) for name, values in (result.get("targets") or {}).items()
             for key, value in values.items()]
    rows += [(f"{name}: {key}", _number(key, value)) for name, values in (result.get("trials") or {}).items()
             for key, value in values.items()]
    for name, found in (result.get("further") or {}).items():
        rows += [(f"{name}: {part} {key}", _number(key, value)) for part, values in _parts(found)
                 for key, value in values.items()]
    rows += [(key, str(value)) for key, value in result.items()
             if isinstance(value, str | int | float) and key not in ("kind", "space", "data", "notes", "seed")]
    return _table(("", "value"), rows)


def _parts(found: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Intervals, verification, and each variant and setting of a protocol, as mappings of names to numbers."""
    if "confidence" in found:
        lower_upper = {name: ends for name, ends in found["confidence"].items() if isinstance(ends, list)}
        for end, word in enumerate(("from", "to")):
            yield f"interval {word}", {name: ends[end] for name, ends in lower_upper.items()}
    yield "verification", found.get("verification") or {}
    kept = found.get("threshold") or {}
    yield "threshold", {name: kept[name] for name in ("value", "expected", "true_accepts") if name in kept}
    yield "threshold observed", kept.get("observed") or {}
    for part in ("variants", "trials"):
        yield from (found.get(part) or {}).items()


def _pictures(output_dir: Path) -> str:
    figures = []
    for path in sorted((output_dir / "pictures").glob("*.png")):
        content, name = base64.b64encode(path.read_bytes()).decode(), escape(path.stem.replace("_", " "))
        figures.append(f'<figure><img alt="{name}" src="data:image/png;base64,{content}">'
                       f"<figcaption>{name}</figcaption></figure>")
    return f"<h2>Pictures</h2>{''.join(figures)}" if figures else ""


def _metrics(output_dir: Path) -> str:
    records = read_metrics(output_dir)[-LAST_EPOCHS:]
    keys = list(dict.fromkeys(key for record in records for key in record))
    rows = [[_number(key, record.get(key)) for key in keys] for record in records]
    return f'<h2>Last epochs</h2><div class="wide">{_table(keys, rows)}</div>' if records else ""


def _number(key: str, value: Any) -> str:
    if value is None:
        return "–"
    if key.endswith(_PERCENTAGES) and isinstance(value, float):
        return f"{value:.2%}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"
