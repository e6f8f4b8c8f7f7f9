"""Galleries of some random images of every person and camera, as the RGB-infrared protocols draw them.

Trial k of a protocol is drawn from Python's generator with seed k, person after person in increasing order, of each
camera after camera, from the images sorted by name: as public implementations do, whose galleries these hence are.
"""

import random
from collections.abc import Sequence
from itertools import groupby

from nas_reid.data.sample import Sample


def draw_gallery(samples: Sequence[Sample], positions: Sequence[int], *, shots: int, trial: int) -> tuple[int, ...]:
    """Positions of the images drawn, of each person and camera as many as ``shots`` or as there are.

    Args:
        samples: a gallery list.
        positions: of the images to draw from.
        shots: images of a person in a camera.
        trial: seed of the draw.
    """
    generator = random.Random(trial)
    ordered = sorted(positions, key=lambda i: (samples[i].pid, samples[i].camid, samples[i].path))
    drawn: list[int] = []
    for _, group in groupby(ordered, key=lambda i: (samples[i].pid, samples[i].camid)):
        images = list(group)
        drawn += [generator.choice(images)] if shots == 1 else generator.sample(images, min(shots, len(images)))
    return tuple(sorted(drawn))
