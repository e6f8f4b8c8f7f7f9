"""Writing a synthetic data set as a folder in a public layout, once."""

import io
import json
import logging
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from PIL import Image

from nas_reid.data.layout import SYNTHETIC_CARD
from nas_reid.data.processes import mapper
from nas_reid.data.synthetic.completeness import damage, seal
from nas_reid.data.synthetic.entry import Entry
from nas_reid.data.synthetic.plan import lists, plan
from nas_reid.data.synthetic.population import populate
from nas_reid.data.synthetic.render import render
from nas_reid.data.synthetic.sheet import write_sheet
from nas_reid.data.synthetic.shot import describe_shot
from nas_reid.data.synthetic.spec import SyntheticSpec
from nas_reid.errors import DataError
from nas_reid.files import unfinished
from nas_reid.files.leftovers import sweep
from nas_reid.files.making import sole_maker
from nas_reid.progress import progress

_log = logging.getLogger(__name__)

CARD = """Synthetic pedestrians
=====================

Every image in this folder was drawn by a program (nas_reid.data.synthetic). It shows no real person, was traced
from no photograph, and resembles anyone only by accident.

Layout: {layout}
Persons: {train} train, {test} test, {distractors} distractors; {cameras} cameras; {images} images.
Skin tone: {tones} tones, spread evenly over the persons, drawn independently of every other attribute.
Look-alikes: {lookalikes:.0%} of the persons belong to groups ({kinds}), each wholly in train or wholly in test.
contact_sheet.png shows some persons, metadata.jsonl describes each image, synthetic.json holds all factors.

Use: trying out and testing person re-identification software. Accuracy here says nothing about accuracy on
photographs of people, nor about differences between groups of people.
"""

DESCRIPTIONS = {
    "market1501": "Market-1501 (bounding_box_train, query, bounding_box_test; pid 0 = distractor, pid -1 = junk).",
    "sysu_mm01": "SYSU-MM01 (cam1..cam6, of which cam3 and cam6 infrared; exp lists train, val and test persons).",
    "regdb": "RegDB (Visible and Thermal, image by image aligned; idx holds ten splits).",
}


def generate(root: Path, spec: SyntheticSpec, *, workers: int) -> Path:
    """The folder ``root/<spec.key>`` with the data set of ``spec``; written first unless it is there and undamaged.

    The folder appears under its name only when everything is in it, so it may be read as soon as it exists. Of several
    processes that want it one draws and the others wait. The bytes do not depend on ``workers``.

    Args:
        root: folder of all data sets, created if missing.
        spec: what to draw.
        workers: processes to draw with; 1 draws in this one.

    Raises:
        DataError: ``root`` cannot be written to, or a process that drew was killed.
    """
    target = Path(root) / spec.key
    sweep(target.parent)
    if damage(target) is None:
        return target
    try:
        with sole_maker(target, what=f"the synthetic data set {target}", total=len(plan(spec)), unit="image",
                        done=_drawn):
            if found := damage(target):  # else the process that this one waited for has drawn it
                if target.exists():
                    _log.warning("the synthetic data set %s is damaged: %s", target, found)
                _log.info("drawing the synthetic data set %s", target)
                with _unfinished(target) as folder:
                    _write(folder, spec, workers)
                    _publish(folder, target)
    except OSError as error:
        raise DataError(f"cannot write the synthetic data set to {target}: {error}; choose another folder with "
                        "data.cache or NAS_REID_CACHE, or free some space") from error
    except BrokenExecutor as error:
        raise DataError(f"a process that drew the synthetic data set {target} was killed, perhaps because memory ran "
                        "out; repeat the command, with data.workers=1 if it happens again") from error
    return target


@contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """A new folder beside ``target`` that is gone afterwards, unless it was renamed."""
    folder = unfinished(target)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(folder: Path, target: Path) -> None:
    """Give the finished ``folder`` its name, unless another process was faster, as it can be without locks."""
    if damage(target) is None:
        return
    damaged = unfinished(target)
    if target.exists():
        os.rename(target, damaged)
    os.rename(folder, target)
    shutil.rmtree(damaged, ignore_errors=True)


def _drawn(folder: Path) -> int:
    """Images in an unfinished folder."""
    return sum(path.suffix in (".jpg", ".bmp") for path in folder.rglob("*"))


def _write(folder: Path, spec: SyntheticSpec, workers: int) -> None:
    """Images, metadata, contact sheet, data card, and last the marker."""
    entries = plan(spec)
    for name in dict.fromkeys(entry.folder for entry in entries):
        (folder / name).mkdir(parents=True)
        if spec.masks:
            (folder / "masks" / name).mkdir(parents=True)
    for name, content in lists(spec).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    with mapper(workers) as run:
        records = list(progress(run(partial(_draw, folder, spec), entries), description="drawing pedestrians",
                                total=len(entries), unit="image"))
    if spec.metadata:
        (folder / "metadata.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    write_sheet(folder, spec, entries)
    kinds = ", ".join(spec.lookalike_kinds)
    (folder / "README.txt").write_text(CARD.format(
        train=spec.train_ids, test=spec.test_ids, distractors=spec.distractor_ids, cameras=spec.cameras,
        images=len(entries), tones=spec.skin_tones, lookalikes=spec.lookalikes, kinds=kinds,
        layout=DESCRIPTIONS[spec.layout]))
    card = {"images": len(entries), "files": seal(folder), "spec": spec.to_plain()}
    (folder / SYNTHETIC_CARD).write_text(json.dumps(card, indent=2))


def _draw(folder: Path, spec: SyntheticSpec, entry: Entry) -> dict[str, object]:
    """Write one image (and its mask); returns its line of metadata."""
    shot = describe_shot(spec, entry.person, entry.camera, entry.index, junk=entry.junk)
    picture = render(spec, shot)
    path = folder / entry.folder / entry.name
    buffer = io.BytesIO()
    quality = {"quality": shot.jpeg_quality} if path.suffix == ".jpg" else {}
    Image.fromarray(picture.image).save(buffer, "JPEG" if quality else "BMP", **quality)
    path.write_bytes(buffer.getvalue())
    if spec.masks:
        Image.fromarray(picture.parts).save(folder / "masks" / entry.folder / f"{path.stem}.png")
    person = populate(spec).person(entry.person) if entry.person else None
    return {"path": f"{entry.folder}/{entry.name}", "pid": entry.pid, "camid": entry.camera, "person": entry.person,
            "group": person.group if person else -1, "kind": person.kind if person else "none",
            "view": shot.view, "azimuth": round(shot.pose.azimuth, 4), "phase": round(shot.pose.phase, 4),
            "scale": round(shot.scale, 4), "dx": round(shot.dx, 4), "dy": round(shot.dy, 4), "scene": shot.scene,
            "occluder": shot.occluder, "occluded": round(picture.occluded, 4)}
