"""``report.html``: one file that shows a run and can be mailed; pictures inside, no scripts, no network.

It is there from the first epoch on: of a run that goes on, the page loads itself anew.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from nas_reid.drawing.curves import training_panels
from nas_reid.errors import NasReidError
from nas_reid.files.foreign import read_text
from nas_reid.record.captions import pictures_html
from nas_reid.record.headline import commands_html, headline_html
from nas_reid.record.page import charts, number, table, write_page
from nas_reid.record.tracking import METRICS_FILE, RESULT_FILE, read_metrics

LAST_EPOCHS = 10
NARROW_EPOCHS = 2
"""Epochs that are shown on a narrow screen."""
RELOAD_S = 20
_ELSEWHERE = ("kind", "space", "data", "notes", "seed", "next", "params", "macs", "seconds")  # shown above
SYNTHETIC_NOTE = ("The images of this run were drawn by the procedural generator. Its numbers compare runs on the same "
                  "generated data with each other; they say nothing about accuracy on real people.")


@dataclass(frozen=True)
class Running:
    """A run that is not complete.

    Args:
        kind: of run, such as ``search``.
        config: resolved, as plain data.
        stopped: why it does not go on, and how it would; None: it goes on.
    """

    kind: str
    config: Mapping[str, Any]
    stopped: str | None = None


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
    records = read_metrics(output_dir) if (output_dir / METRICS_FILE).exists() else []
    body = [*_head(output_dir, result), headline_html(result, records), *_notes_html(result),
            commands_html(output_dir, result), pictures_html(output_dir), _curves(records),
            f"<h2>All numbers</h2>{_results(result)}", *_tail(result, records)]
    return _write(output_dir, result, body)


def write_running_report(output_dir: Path, running: Running) -> Path:
    """The same of a run that goes on, from what it has logged so far; the open page loads itself anew.

    Args:
        output_dir: the folder of the run.
        running: what is known of it.

    Raises:
        NasReidError: the folder cannot be written.
    """
    config, records = running.config, read_metrics(output_dir)
    space, data = config.get("space") or {}, config.get("data") or {}
    result = {"kind": running.kind, "seed": config.get("seed"), "config": config, "selection": _latest(records)}
    result |= {key: part["name"] for key, part in (("space", space), ("data", data)) if "name" in part}
    body = [*_head(output_dir, result), f'<p class="state">{escape(_state(running, records))}</p>',
            headline_html(result, records), *_notes_html(result), commands_html(output_dir, result), _curves(records),
            *_tail(result, records)]
    return _write(output_dir, result, body, reload_s=0 if running.stopped else RELOAD_S)


def _write(output_dir: Path, result: Mapping[str, Any], body: Sequence[str], *, reload_s: int = 0) -> Path:
    path = output_dir / "report.html"
    write_page(path, _title(output_dir, result), "".join(body), reload_s=reload_s)
    return path


def _title(output_dir: Path, result: Mapping[str, Any]) -> str:
    return " · ".join(str(result[key]) for key in ("kind", "space", "data") if key in result) or output_dir.name


def _head(output_dir: Path, result: Mapping[str, Any]) -> Iterator[str]:
    seed = f"seed {result['seed']} · " if result.get("seed") is not None else ""
    yield f"<h1>{escape(_title(output_dir, result))}</h1>"
    yield f'<p class="sub">{escape(seed + output_dir.name)}</p>'


def _tail(result: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield _last_epochs(records)
    yield "<h2>Configuration</h2><details><summary>all values</summary><pre>"
    yield f"{escape(json.dumps(result.get('config'), indent=2))}</pre></details>"


def _state(running: Running, records: Sequence[Mapping[str, Any]]) -> str:
    """Where the run stands and how long it may take, in a sentence."""
    done, all_of = int(records[-1]["epoch"]) if records else 0, running.config.get("epochs")
    where = f"epoch {done}" + (f" of {all_of}" if all_of else "")
    if running.stopped is not None:
        return f"Stopped after {where}: {running.stopped}"
    times = [record["time/epoch_s"] for record in records[-5:] if record.get("time/epoch_s")]
    left = ""
    if times and all_of:
        left = f", about {(all_of - done) * sum(times) / len(times) / 60:.1f} minutes of training left"
    written = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"Running: {where} is done{left}. Written {written}; this page loads itself anew every {RELOAD_S} seconds."


def _latest(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The last validation of each kind, under the names of a result."""
    found: dict[str, Any] = {}
    for record in records:
        found |= {key.rpartition("/val_")[2]: value for key, value in record.items()
                  if "/val_" in key and value is not None}
    return found


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


def _notes_html(result: Mapping[str, Any]) -> list[str]:
    return [f'<p class="note">{escape(note)}</p>' for note in _notes(result)]


def _results(result: Mapping[str, Any]) -> str:
    """Every number of the result, one per line; selection, test and targets are told apart."""
    rows = []
    for section in ("selection", "metrics"):
        values = dict(result.get(section) or {})
        source = values.pop("split", "test" if section == "metrics" else section)
        rows += [(f"{source} {key}", number(key, value)) for key, value in values.items()
                 if not isinstance(value, Mapping | list)]
    rows += [(f"{name} {key}", number(key, value)) for name, values in (result.get("targets") or {}).items()
             for key, value in values.items()]
    rows += [(f"{name}: {key}", number(key, value)) for name, values in (result.get("trials") or {}).items()
             for key, value in values.items()]
    for name, found in (result.get("further") or {}).items():
        rows += [(f"{name}: {part} {key}", number(key, value)) for part, values in _parts(found)
                 for key, value in values.items()]
    rows += [(key, str(value)) for key, value in result.items()
             if isinstance(value, str | int | float) and key not in _ELSEWHERE]
    return table(("", ""), rows)


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


def _curves(records: Sequence[Mapping[str, Any]]) -> str:
    panels = training_panels(records)
    return f"<h2>How it learnt</h2>{charts(panels)}" if panels else ""


def _last_epochs(records: Sequence[Mapping[str, Any]]) -> str:
    """The last records as columns: the last few alone on a narrow screen, where all would not fit."""
    shown = records[-LAST_EPOCHS:]
    keys = [key for key in dict.fromkeys(key for record in shown for key in record) if key != "epoch"]
    classes = [' class="early"' if position < len(shown) - NARROW_EPOCHS else "" for position in range(len(shown))]

    def line(name: str, cells: Sequence[str], tag: str) -> str:
        """A row; early epochs are hidden on narrow screens."""
        return (f"<tr><{tag}>{escape(name).replace('_', '_<wbr>')}</{tag}>"
                + "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(classes, cells, strict=True))
                + "</tr>")
    rows = [line("epoch", [number("", record["epoch"]) for record in shown], "th")]
    rows += [line(key.rpartition("/")[2], [number(key, record.get(key)) for record in shown], "td") for key in keys]
    return f'<h2>Last epochs</h2><table class="numbers">{"".join(rows)}</table>' if shown else ""
