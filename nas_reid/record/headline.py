"""What a reader wants to know of a run first: how well it does, what it costs, which command made it and comes next."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from nas_reid.files.foreign import read_text
from nas_reid.record.page import millions

_SEARCHED = ("of the supernet on people held out of the training; it ranks epochs and seeds, and says little about the "
             "network that is retrained")


class Headline(NamedTuple):
    """The first number of a run.

    Attributes:
        metric: its name.
        value: a share; None: not known yet.
        interval: around it; None: not known.
        also: further metrics, shares.
        says: on what.
    """

    metric: str
    value: float | None
    interval: Sequence[float] | None
    also: Mapping[str, float]
    says: str


def headline_of(result: Mapping[str, Any]) -> Headline:
    """The headline of a ``result.json``, or of what is known of a run that goes on."""
    selection, data = result.get("selection") or {}, str(result.get("data", "?"))
    if "top1_accuracy" in selection:
        return Headline("top-1 accuracy", selection["top1_accuracy"], None, {}, "on the validation images")
    metrics, name = result.get("metrics") or {}, data
    if not metrics and result.get("targets"):
        name, metrics = next(iter(result["targets"].items()))
    if not metrics:
        searched = result.get("kind") == "search"
        also = {"rank-1": selection["rank1"]} if "rank1" in selection else {}
        return Headline("validation mAP", selection.get("mAP"), None, also,
                        _SEARCHED if searched else "on people held out of the training")
    confidence = result.get("confidence") or ((result.get("further") or {}).get(name) or {}).get("confidence") or {}
    level = f", with {confidence['level']:.0%} interval over the people" if "level" in confidence else ""
    also = {shown: metrics[key] for key, shown in (("rank1", "rank-1"), ("rank5", "rank-5"), ("mINP", "mINP"))
            if key in metrics}
    return Headline("mAP", metrics.get("mAP"), confidence.get("mAP"), also,
                    f"on query and gallery of {name}, whom the training has not seen{level}")


def minutes_of(result: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> float | None:
    """Minutes that a run took: its epochs together, or what it says itself; None where neither is known."""
    seconds = sum(record.get("time/epoch_s") or 0.0 for record in records) or result.get("seconds")
    return seconds / 60 if seconds else None


def headline_html(result: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> str:
    """The first screen: headline, tiles of what it costs, and commands are in ``commands_html``."""
    head = headline_of(result)
    interval = f" <small>[{100 * head.interval[0]:.1f}, {100 * head.interval[1]:.1f}]</small>" if head.interval else ""
    shown = "–" if head.value is None else f"{100 * head.value:.1f} %"
    also = " · ".join(f"{name} {100 * value:.1f} %" for name, value in head.also.items())
    tiles = "".join(f"<span><b>{value}</b>{what}</span>" for what, value in _tiles(result, records))
    return (f'<p class="head">{escape(head.metric)} <b>{shown}</b>{interval}</p>'
            f'<p class="sub">{also + " · " if also else ""}{escape(head.says)}</p><div class="tiles">{tiles}</div>')


def _tiles(result: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    if "params" in result:
        yield "parameters, with classifier", f"{result['params']:,}"
    if "macs" in result:
        yield "MACs an image", millions(result["macs"])
    if (minutes := minutes_of(result, records)) is not None:
        yield "minutes" + (" of training" if records else ""), f"{minutes:.1f}"
    if records:
        yield "epochs", f"{records[-1]['epoch']:g}"


def commands_html(output_dir: Path, result: Mapping[str, Any]) -> str:
    """The command that made the run, and the one that comes next where it is known."""
    made = f"<h2>Made by</h2><pre>{escape(command_of(output_dir, result))}</pre>"
    return made + (f"<h2>Next</h2><pre>{escape(result['next'])}</pre>" if result.get("next") else "")


def command_of(output_dir: Path, result: Mapping[str, Any]) -> str:
    """The command line, from the overrides that Hydra keeps beside the run (one per line, ``- key=value``)."""
    path = output_dir / ".hydra" / "overrides.yaml"
    if not path.exists():
        return f"nas_reid.{result.get('kind', '?')}.run, called from Python; result.json holds the settings"
    overrides = [line[2:].strip() for line in read_text(path).splitlines() if line.startswith("- ")]
    return shlex.join(["python", "-m", f"nas_reid.{result.get('kind', '?')}", *map(_unquoted, overrides)])


def _unquoted(text: str) -> str:
    """A scalar of YAML as it was typed: in single quotes where it would be read as something else."""
    return text[1:-1].replace("''", "'") if len(text) > 1 and text[0] == text[-1] == "'" else text
