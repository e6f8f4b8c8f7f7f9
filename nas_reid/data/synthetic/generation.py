"""Writing a synthetic data set as a folder in a public layout, once."""

import io
import json
import logging
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from PIL import Image

from nas_reid.data.layout import SYNTHETIC_CARD
from nas_reid.data.synthetic.entry import Entry
from nas_reid.data.synthetic.plan import lists, plan
from nas_reid.data.synthetic.population import populate
from nas_reid.data.synthetic.render import render
from nas_reid.data.synthetic.sheet import write_sheet
from nas_reid.data.synthetic.shot import describe_shot
from nas_reid.data.synthetic.spec import SyntheticSpec
from nas_reid.errors import DataError
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
    """The folder ``root/<spec.key>`` with the data set of ``spec``; written first unless it is already complete.

    The folder appears under its name only when everything is in it, so it may be read as soon as it exists, and two
    processes may generate at once. The bytes do not depend on ``workers``.

    Args:
        root: folder of all data sets, created if missing.
        spec: what to draw.
        workers: processes to draw with; 1 draws in this one.

    Raises:
        DataError: ``root`` cannot be written to.
    """
    target = Path(root) / spec.key
    if (target / SYNTHETIC_CARD).is_file():
        return target
    _log.info("drawing the synthetic data set %s", target)
    try:
        with _unfinished(target) as folder:
            _write(folder, spec, workers)
            _publish(folder, target)
    except OSError as error:
        raise DataError(f"cannot write the synthetic data set to {target}: {error}; choose another folder with "
                        "data.cache or NAS_REID_CACHE, or free some space") from error
    return target


@contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """A new folder beside ``target`` that is gone afterwards, unless it was renamed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(folder: Path, target: Path) -> None:
    """Give the finished ``folder`` its name, unless another process was faster."""
    folder.chmod(0o755)
    if target.exists() and not (target / SYNTHETIC_CARD).is_file():
        shutil.rmtree(target)  # somebody deleted part of a finished folder
    try:
        os.rename(folder, target)
    except OSError:
        if not (target / SYNTHETIC_CARD).is_file():
            raise


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
    with _mapper(workers) as run:
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
    card = {"images": len(entries), "spec": spec.to_plain()}
    (folder / SYNTHETIC_CARD).write_text(json.dumps(card, indent=2))


@contextmanager
def _mapper(workers: int) -> Iterator[partial]:
    """An ordered ``map``, over processes if there are several workers."""
    if workers <= 1:
        yield map
        return
    # Spawned, not forked: the caller may run threads (torch, wandb) that a fork would leave half dead.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield partial(pool.map, chunksize=32)


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
