"""One image as a description: which person, seen how, framed how, before what; no pixel yet."""

from dataclasses import dataclass

import numpy as np

from nas_reid.data.synthetic.camera import camera
from nas_reid.data.synthetic.figure import Pose
from nas_reid.data.synthetic.population import populate
from nas_reid.data.synthetic.scene import POOL_SIZE
from nas_reid.data.synthetic.spec import SyntheticSpec
from nas_reid.data.synthetic.stream import stream

VIEWS = ("front", "side", "back")
OCCLUDERS = ("post", "box", "bush", "person")


@dataclass(frozen=True)
class Shot:
    """Everything that varies from image to image.

    Args:
        person: 1-based number in the population, 0 for a picture of background alone.
        camera, index: 0-based camera, and running number of this person's images in it.
        view: a name in ``VIEWS``; ``pose`` its azimuth and step.
        light, exposure: lateral shading -1..1 and brightness factor.
        scale: the person's height as a fraction of the box; ``dx`` and ``dy`` its shift in box widths and heights.
        scene: number of the background's scene; ``window`` the place in it: column 0..1, row 0..1, zoom, mirrored.
        occluder: a name in ``OCCLUDERS`` or ``none``; ``cover`` the fraction of the box that it takes.
        jpeg_quality: of the file.
        moment: the camera whose pose, frame, scene and occluder it has: its own, or the first of an aligned pair.
    """

    person: int
    camera: int
    index: int
    view: str
    pose: Pose
    light: float
    exposure: float
    scale: float
    dx: float
    dy: float
    scene: int
    window: tuple[float, float, float, bool]
    occluder: str
    cover: float
    jpeg_quality: int
    moment: int


def describe_shot(spec: SyntheticSpec, person: int, camera_index: int, index: int, *, junk: bool = False) -> Shot:
    """Image ``index`` of ``person`` in a camera; a pure function of its arguments.

    With ``junk`` the box holds half a person, or none at all for person 0.
    """
    moment = 0 if spec.layout == "regdb" else camera_index
    keys = (person, moment, index, int(junk))

    def draw(name: str) -> np.random.Generator:
        """The random stream of one factor of this shot."""
        return stream(spec.stream_seed, name, *keys)

    view, pose = _view(spec, moment, draw("view"))
    scale, dx, dy = _frame(spec, person, draw("frame"))
    if junk:
        dx = float(draw("junk").choice((-1, 1)) * draw("shift").uniform(0.35, 0.55))
    rng = draw("light")
    light, exposure = spec.light * rng.uniform(-1, 1), 1 + spec.exposure * rng.uniform(-1, 1)
    scene, window = _background(spec, moment, draw("background"))
    rng = draw("occluder")
    occluded, kind, cover = rng.random() < spec.occluders, str(rng.choice(OCCLUDERS)), rng.uniform(*spec.occluder_cover)
    low, high = spec.jpeg_quality
    return Shot(person, camera_index, index, view, pose, float(light), float(exposure), scale, dx, dy, scene, window,
                kind if occluded else "none", float(cover), int(draw("jpeg").integers(low, high + 1)),
                moment)


def _view(spec: SyntheticSpec, camera_index: int, rng: np.random.Generator) -> tuple[str, Pose]:
    """A view from the camera's mix, an azimuth near one of eight, and a moment of the step."""
    view = int(rng.choice(3, p=camera(spec, camera_index).views))
    turn, wobble, phase = rng.integers(0, 4), rng.uniform(-10, 10), rng.uniform(0, 2 * np.pi)
    azimuth = ((0, 45, -45, 0), (90, -90, 90, -90), (180, 135, -135, 180))[view][turn]
    step = 360 // spec.views
    azimuth = int(np.floor(azimuth / step + 0.5)) * step % 360
    name = VIEWS[0] if azimuth in (0, 45, 315) else VIEWS[1] if azimuth in (90, 270) else VIEWS[2]
    return name, Pose(float(np.deg2rad(azimuth + wobble)), float(phase), 0.07 * spec.gait)


def _frame(spec: SyntheticSpec, person: int, rng: np.random.Generator) -> tuple[float, float, float]:
    """The detector's box: scale, and shift in box widths and heights; seldom cutting head or feet off."""
    height = populate(spec).person(person).body.height if person else 0.9
    scale = height * rng.uniform(*spec.detector_scale)
    dx, dy = spec.detector_dx * rng.uniform(-1, 1), spec.detector_dy * rng.uniform(-1, 1)
    cut, end, depth = rng.random() < spec.truncation, rng.choice((-1, 1)), rng.uniform(0.12, 0.25)
    return float(scale), float(dx), float(end * depth if cut else dy)


def _background(spec: SyntheticSpec, camera_index: int,
                rng: np.random.Generator) -> tuple[int, tuple[float, float, float, bool]]:
    """The camera's own scene with probability ``own``, else one of the common pool."""
    is_own, pooled = rng.random() < spec.own, int(rng.integers(POOL_SIZE))
    window = (float(rng.random()), float(rng.random()), float(rng.uniform(0.75, 1.3)), bool(rng.random() < 0.5))
    if is_own:
        return camera(spec, camera_index).scene, (*window[:3], False)
    return pooled, window
