"""Look at a data set before training on it.

    python -m nas_reid.inspect data=table data.table=people.csv data.root=DIR
    python -m nas_reid.inspect data=market1501 data.root=DIR decode=false     # heads of the files only: much faster

Says how many images, identities and cameras each list has, which images are left out and why, which cannot be read,
which are the same, and leaves inspection.json, contact_sheet.png and, where one had to be made, the split.
"""

if __name__ == "__main__":
    from nas_reid.run.door import enter
    enter("inspect")  # help needs none of the imports below

import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from omegaconf import DictConfig

from nas_reid.config.inspection import InspectConfig
from nas_reid.config.loading import load, to_plain
from nas_reid.data.inspection import Looked, counts, doubtful, duplicates, lists_of, look, sheet
from nas_reid.data.source import DataSource, open_source
from nas_reid.drawing.contact_sheet import contact_sheet
from nas_reid.drawing.picture_file import write_picture
from nas_reid.errors import DataError, some
from nas_reid.files import write_atomically
from nas_reid.files.foreign import to_bytes
from nas_reid.run.command import command
from nas_reid.run.command_line import next_command
from nas_reid.run.invocation import invocation

log = logging.getLogger("nas_reid.inspect")


@command("inspect")
def main(cfg: DictConfig) -> None:
    """Hydra's entry. The last line on standard output is a JSON object."""
    settings, call = load(cfg, InspectConfig), invocation()
    found = run(settings, call.folder)
    data = to_plain(settings)["data"] | {"image_size": fitting_size(found["sizes"], settings.data.image_size)}
    if found["unreadable"]:
        data["on_corrupt"] = "skip"
    if not found["refused"] and found["lists"]["training"]["images"]:
        log.info("next: %s", next_command(call, "retrain", {"genotype": "auto_reid/retrieval", "network.channels": 16},
                                          data=data))
        log.info("network.channels=16 is what a CPU can bear; on a GPU leave it out for the published width")
    sys.stdout.write(json.dumps(found) + "\n")


def run(settings: InspectConfig, folder: Path) -> dict[str, Any]:
    """One inspection, written to ``folder``; returns what inspection.json holds."""
    # The lists as the reader gives them, with the split that had to be made.
    source = open_source(settings.data, protocol=settings.protocol, folder=folder)
    dataset = source.dataset
    lists = {name: counts(samples, first_camera=dataset.first_camera) for name, samples in lists_of(dataset).items()}
    found: dict[str, Any] = {"data": settings.data.name, "root": str(dataset.root), "lists": lists,
                             "left_out": list(dataset.warnings), "refused": refusal(source),
                             "split": dataset.made_split.says if dataset.made_split else None}

    # The files: sizes, which cannot be read, and which are the same.
    looked = look(dataset, workers=settings.data.workers, decode=settings.decode)
    found |= {"sizes": sizes(looked), "unreadable": looked.unreadable}
    if settings.duplicates:
        groups = duplicates(dataset)
        of_several, across = doubtful(groups, dataset)
        found["duplicates"] = {"groups": [[sample.name for sample in group] for group in groups],
                               "of_several_identities": of_several, "in_training_and_test": across}
    if dataset.names:
        found["identities"] = {str(pid): name for pid, name in sorted(dataset.names.items())}
    if dataset.camera_names:
        found["cameras"] = {str(camera): name for camera, name in sorted(dataset.camera_names.items())}

    # Show it, with a picture.
    rows, columns = sheet(dataset, identities=settings.identities, columns=settings.columns)
    drawn = contact_sheet(rows, columns)
    write_picture(folder / "contact_sheet.png", lambda buffer: drawn.save(buffer, "PNG"))
    write_atomically(folder / "inspection.json", to_bytes(json.dumps(found, indent=2) + "\n"))
    for line in lines(found):
        log.info(line)
    log.info("contact sheet: %s; all of it: %s", folder / "contact_sheet.png", folder / "inspection.json")
    return {key: found[key] for key in ("data", "root", "lists", "sizes", "refused")} | {
        "unreadable": len(looked.unreadable), "duplicates": len(found.get("duplicates", {}).get("groups", []))}


def refusal(source: DataSource) -> str | None:
    """Why nothing could be evaluated on this data; None where it can be."""
    try:
        source.require_test_lists()
    except DataError as error:
        return str(error)
    return None


def sizes(looked: Looked) -> dict[str, Any] | None:
    """Least, median and largest width and height in pixels."""
    if not looked.sizes:
        return None
    sides = zip(*looked.sizes.values(), strict=True)
    return {side: {"least": min(values), "median": median(values), "most": max(values)}
            for side, values in zip(("width", "height"), sides, strict=True)}


def fitting_size(found: Mapping[str, Any] | None, wanted: Sequence[int]) -> list[int]:
    """[height, width] to train at: what is configured, or where pictures are smaller, the median in steps of 16."""
    if found is None:
        return list(wanted)
    return [min(side, max(32, round(found[name]["median"] / 16) * 16))
            for side, name in zip(wanted, ("height", "width"), strict=True)]


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """What a log says of it."""
    yield f"{'':>10} {'images':>9} {'identities':>11} {'images of one':>15}   cameras: images"
    for name, of in found["lists"].items():
        per = of["images_per_identity"]
        spread = f"{per['least']} to {per['most']}" if per else "-"
        cameras = ", ".join(f"{camera}: {count:,}" for camera, count in list((of["cameras"] or {}).items())[:12])
        more = ", ..." if len(of["cameras"] or {}) > 12 else ""
        yield (f"{name:>10} {of['images']:>9,} {of['identities']:>11,} {spread:>15}   "
               f"{cameras + more if cameras else 'unknown' if of['images'] else '-'}"
               + (f"; {of['distractors']:,} distractors" if of["distractors"] else "")
               + (f"; {of['infrared']:,} infrared" if of["infrared"] else ""))
    if found["sizes"]:
        width, height = found["sizes"]["width"], found["sizes"]["height"]
        least, most = ((width[which], height[which]) for which in ("least", "most"))
        yield (f"sizes: all {least[0]} x {least[1]} pixels (width x height)" if least == most else
               f"sizes: {least[0]} x {least[1]} to {most[0]} x {most[1]} pixels, median {width['median']:g} x "
               f"{height['median']:g} (width x height)")
    for name, reason in list(found["unreadable"].items())[:5]:
        yield f"cannot be read: {name}: {reason}"
    if (count := len(found["unreadable"])) > 5:
        yield f"and {count - 5:,} more cannot be read"
    if count:
        yield "replace these files, or leave them out with data.on_corrupt=skip"
    if same := found.get("duplicates", {}).get("groups"):
        told = found["duplicates"]
        groups = f"{len(same):,} group{'s' if len(same) > 1 else ''}"
        yield (f"the same file under several names: {groups}, such as {some(same[0])}; "
               f"{told['of_several_identities']:,} of them with several identities, "
               f"{told['in_training_and_test']:,} in training and test")
    elif "duplicates" in found:
        yield "no file is there twice"
    if found["refused"]:
        yield f"cannot be evaluated on: {found['refused']}"
    if not found["lists"]["training"]["images"]:
        yield "nothing to train on: it is for evaluate, or for targets= of a training"


if __name__ == "__main__":
    main()
