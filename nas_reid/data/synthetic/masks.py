"""Which pixel of a drawn image shows which part, so that what pixel gates keep can be compared with what is there."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nas_reid.data.layout import SYNTHETIC_CARD
from nas_reid.data.synthetic.canvas import Part
from nas_reid.data.synthetic.plan import plan
from nas_reid.data.synthetic.render import render
from nas_reid.data.synthetic.shot import describe_shot
from nas_reid.data.synthetic.spec import SyntheticSpec
from nas_reid.errors import DataError

PERSON = "person"
"""In ``mean_part_masks``: every part but the background and what stands before the person."""


def drawn_spec(root: Path) -> SyntheticSpec:
    """The specification that the data set in ``root`` was drawn from.

    Raises:
        DataError: the folder was not drawn, or by a version of the generator that drew otherwise.
    """
    card = Path(root) / SYNTHETIC_CARD
    if not card.is_file():
        raise DataError(f"{root} has no {SYNTHETIC_CARD}: part masks exist for drawn data only, such as "
                        "data=synthetic_ir")
    spec = SyntheticSpec(**json.loads(card.read_text())["spec"])
    if spec.key != Path(root).resolve().name:
        raise DataError(f"{root} was renamed, or drawn by another version of the generator, which would call it "
                        f"{spec.key}; draw it again")
    return spec


def part_masks(root: Path, paths: Sequence[str]) -> np.ndarray:
    """Values of ``Part``, uint8 [N, H, W], for drawn images; they are drawn once more, some milliseconds each.

    Args:
        root: folder of the data set.
        paths: of images, relative to it (``Sample.path``).

    Raises:
        DataError: see ``drawn_spec``; or a path that is none of this data set.
    """
    spec = drawn_spec(root)
    entries = {f"{entry.folder}/{entry.name}": entry for entry in plan(spec)}
    if unknown := [path for path in paths if path not in entries]:
        raise DataError(f"{root} has no drawn image {unknown[0]}; it has {len(entries):,} such as "
                        f"{next(iter(entries))}")
    chosen = [entries[path] for path in paths]
    height, width = spec.image_size
    masks = np.empty((len(chosen), height, width), np.uint8)
    for row, entry in enumerate(chosen):
        shot = describe_shot(spec, entry.person, entry.camera, entry.index, junk=entry.junk)
        masks[row] = render(spec, shot).parts
    return masks


def mean_part_masks(masks: np.ndarray, size: tuple[int, int]) -> dict[str, Tensor]:
    """How often each part is at each place, 0..1: name of the part, or ``PERSON`` -> float32 [height, width].

    Args:
        masks: uint8 [N, H, W] of ``part_masks``.
        size: height and width wanted, such as those of a feature map; areas are averaged.
    """
    labels = torch.from_numpy(masks)
    means = {part.name.lower(): _shrunk((labels == part).float().mean(dim=0), size) for part in Part}
    return {**means, PERSON: 1 - means["background"] - means["occluder"]}


def _shrunk(mean: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.adaptive_avg_pool2d(mean[None, None], size)[0, 0]
