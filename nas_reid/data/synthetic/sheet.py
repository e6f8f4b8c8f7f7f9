"""The contact sheet that lies beside the images of a synthetic data set."""

from collections.abc import Sequence
from pathlib import Path

from nas_reid.data.decoding import read_picture
from nas_reid.data.synthetic.entry import Entry
from nas_reid.data.synthetic.population import populate
from nas_reid.data.synthetic.spec import SyntheticSpec
from nas_reid.drawing.contact_sheet import contact_sheet

ROWS = 12
"""Persons on the sheet."""


def write_sheet(folder: Path, spec: SyntheticSpec, entries: Sequence[Entry]) -> None:
    """Write ``contact_sheet.png``: look-alike groups side by side and some loners, two images per camera."""
    everyone = populate(spec).train + populate(spec).test
    order = sorted(range(len(everyone)), key=lambda i: (everyone[i].group < 0, i >= spec.train_ids, everyone[i].group))
    paired = [i for i in order if everyone[i].group >= 0][: ROWS // 2]
    loners = [i for i in order if everyone[i].group < 0][: ROWS - len(paired)]
    files = {(e.person, e.camera, e.index): folder / e.folder / e.name for e in entries if not e.junk}
    shown = range(min(spec.images_per_camera, 2))
    rows = {f"{i + 1:04d}\n{everyone[i].kind if everyone[i].group >= 0 else ''}":
            [files.get((i + 1, camera, index)) for camera in range(spec.cameras) for index in shown]
            for i in paired + loners}
    cells = {label: [None if file is None else read_picture(file) for file in row] for label, row in rows.items()}
    columns = [f"camera {camera + 1}" for camera in range(spec.cameras) for _ in shown]
    contact_sheet(cells, columns).save(folder / "contact_sheet.png")
