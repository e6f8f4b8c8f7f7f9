"""The same synthetic pedestrians in visible light, near infrared and far infrared (thermal), with their parts.

    python scripts/make_infrared_figure.py docs/infrared.png
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from nas_reid.data.synthetic import SyntheticSpec
from nas_reid.data.synthetic.render import render
from nas_reid.data.synthetic.shot import describe_shot
from nas_reid.drawing.contact_sheet import contact_sheet
from nas_reid.drawing.part_overlay import part_overlay
from nas_reid.drawing.picture_file import write_picture

PEOPLE = (3, 12, 6, 2, 7, 8, 10, 13, 22, 24)
VISIBLE, INFRARED = 3, 2
"""Cameras, counted from 0."""


def main() -> None:
    """Draw the rows and write the picture in 256 colours."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, help="PNG to write")
    arguments = parser.parse_args()
    spec = SyntheticSpec("tiny", layout="sysu_mm01", factors="easy", occluders=0.0, overlay=0.0)
    thermal = replace(spec, infrared="thermal")
    shots = [describe_shot(spec, person, VISIBLE, 0) for person in PEOPLE]
    rows = {"visible": [render(spec, shot) for shot in shots],
            "near IR": [render(spec, replace(shot, camera=INFRARED)) for shot in shots],
            "far IR": [render(thermal, replace(shot, camera=INFRARED)) for shot in shots]}
    cells = {name: [Image.fromarray(picture.image) for picture in pictures] for name, pictures in rows.items()}
    cells["parts"] = [part_overlay(Image.fromarray(np.full_like(picture.image, 225)), picture.parts)
                      for picture in rows["visible"]]
    sheet = contact_sheet(cells, ["" for _ in PEOPLE]).quantize(256)
    write_picture(arguments.output, lambda buffer: sheet.save(buffer, "PNG", optimize=True))


if __name__ == "__main__":
    main()
