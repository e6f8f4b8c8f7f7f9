"""From a shot to pixels: background, layers, light, sensor."""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from nas_reid.data.synthetic.band import BANDS, Band
from nas_reid.data.synthetic.body import body_layers
from nas_reid.data.synthetic.camera import camera
from nas_reid.data.synthetic.canvas import Canvas, Layer, Part
from nas_reid.data.synthetic.figure import Pose
from nas_reid.data.synthetic.identity import Identity, sample_identity
from nas_reid.data.synthetic.material import Material, as_colour
from nas_reid.data.synthetic.near_infrared import illuminate
from nas_reid.data.synthetic.population import populate
from nas_reid.data.synthetic.scene import HORIZON, scene, smooth_noise
from nas_reid.data.synthetic.sensor import expose
from nas_reid.data.synthetic.shape import Box, Ellipse
from nas_reid.data.synthetic.shot import Shot
from nas_reid.data.synthetic.spec import SyntheticSpec
from nas_reid.data.synthetic.stream import stream


@dataclass(frozen=True)
class Picture:
    """A rendered image.

    Args:
        image: RGB uint8 [H, W, 3]; three equal channels from an infrared camera.
        parts: values of ``Part``, uint8 [H, W].
        occluded: fraction of the person's pixels that an occluder hides.
    """

    image: np.ndarray
    parts: np.ndarray
    occluded: float


def render(spec: SyntheticSpec, shot: Shot) -> Picture:
    """Draw ``shot``."""
    person = populate(spec).person(shot.person) if shot.person else None
    return draw(spec, shot, person)


def draw(spec: SyntheticSpec, shot: Shot, person: Identity | None) -> Picture:
    """Draw ``shot`` with ``person`` in it, or background alone."""
    keys = (shot.person, shot.camera, shot.index)
    eye = camera(spec, shot.camera)
    band = BANDS[eye.infrared]
    canvas = _canvas(spec, shot, band)
    if person is not None:
        canvas.ground_shadow(0.06 * (1 if shot.light < 0 else -1), 0.985, 0.2, strength=0.45 * band.daylight)
        canvas.paint(band.layers(body_layers(person, shot.pose)), band.person(person, spec))
        _crease(canvas, band.folds, stream(spec.stream_seed, "crease", *keys))
    visible = int(np.count_nonzero(canvas.part))
    if shot.occluder != "none":
        _occlude(canvas, shot, spec, stream(spec.stream_seed, "occlude", shot.person, shot.moment, shot.index))
    remaining = int(np.count_nonzero((canvas.part > 0) & (canvas.part != Part.OCCLUDER)))
    if eye.infrared == "near":
        illuminate(canvas.colour, eye.fall_off, stream(spec.stream_seed, "illuminate", *keys))
    image = expose(canvas.colour * np.float32(shot.exposure), eye, stream(spec.stream_seed, "noise", *keys))
    return Picture(image, canvas.part, 1.0 - remaining / visible if visible else 0.0)


def _canvas(spec: SyntheticSpec, shot: Shot, band: Band) -> Canvas:
    """The background's window, and the body's coordinate frame in the box."""
    height, width = spec.image_size
    scale = shot.scale * height
    origin = ((0.5 + shot.dx) * width, (0.5 * (1 - shot.scale) + shot.dy) * height)
    background = band.scene(_window(spec, shot), shot.scene, spec)
    return Canvas(background, scale=scale, origin=origin, light=band.daylight * shot.light)


def _window(spec: SyntheticSpec, shot: Shot) -> np.ndarray:
    """The part of the scene behind the person, float32 [H, W, 3] in 0..1."""
    height, width = spec.image_size
    wide = scene(spec.stream_seed, shot.scene, height)
    column, row, zoom, mirrored = shot.window
    h, w = height * zoom, width * zoom
    # The ground must reach up to somewhere between the knees and the chest.
    top = np.clip(wide.shape[0] * HORIZON - (0.4 + 0.4 * row) * h, 0, wide.shape[0] - h)
    left = column * (wide.shape[1] - w)
    picture = Image.fromarray(wide[int(top):int(top + h) + 2, int(left):int(left + w) + 2])
    pixels = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR), np.float32) / 255
    return np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels.copy()


def _crease(canvas: Canvas, depth: float, rng: np.random.Generator) -> None:
    """Folds and uneven light on the person."""
    folds = smooth_noise(rng, canvas.part.shape, max(canvas.part.shape[0] // 20, 2))
    canvas.colour *= (1.0 + np.where(canvas.part > 0, depth, 0.0).astype(np.float32) * folds)[..., None]


def _occlude(canvas: Canvas, shot: Shot, spec: SyntheticSpec, rng: np.random.Generator) -> None:
    """Paint what stands before the person; ``shot.cover`` is the fraction of the box it takes."""
    band = BANDS[camera(spec, shot.camera).infrared]
    layers, materials = OCCLUDERS[shot.occluder](canvas, shot, spec, rng)
    canvas.paint(band.layers(replace(layer, part=Part.OCCLUDER) for layer in layers), band.things(materials, spec))


Occluder = tuple[list[Layer], dict[str, Material]]


def _post(canvas: Canvas, shot: Shot, spec: SyntheticSpec, rng: np.random.Generator) -> Occluder:
    """A pole or pillar from top to bottom."""
    x, half = rng.uniform(-0.2, 0.2), 0.25 * shot.cover
    grey = rng.uniform(0.15, 0.8)
    return ([Layer(Part.OCCLUDER, "metal", Box(x, 0.5, half, 1.2), relief=0.5)],
            {"metal": Material((grey, grey, grey * rng.uniform(0.8, 1.1)))})


def _box(canvas: Canvas, shot: Shot, spec: SyntheticSpec, rng: np.random.Generator) -> Occluder:
    """A bin, a hedge box or a car's bonnet that hides the lower end."""
    x, top = rng.uniform(-0.25, 0.25), 1.05 - shot.cover
    half = rng.uniform(0.18, 0.45)
    body, lid = Box(x, top + 0.4, half, 0.4, 0.03), Box(x, top + 0.01, half + 0.015, 0.02, 0.01)
    colour = as_colour(rng.uniform(0.1, 0.7, 3))
    return ([Layer(Part.OCCLUDER, "box", body, relief=0.2, shadow=0.3), Layer(Part.OCCLUDER, "box", lid, shade=1.25)],
            {"box": Material(colour)})


def _bush(canvas: Canvas, shot: Shot, spec: SyntheticSpec, rng: np.random.Generator) -> Occluder:
    """Leaves over the lower end."""
    count, top = 45, 1.05 - shot.cover
    heights = np.linspace(top + 0.03, 1.08, count) + rng.uniform(-0.02, 0.02, count)
    places = zip(rng.uniform(-0.36, 0.36, count), heights, rng.uniform(0.02, 0.05, count),
                 rng.uniform(0.012, 0.03, count), strict=True)
    leaves = [Layer(Part.OCCLUDER, f"leaf{i % 4}", Ellipse(*place), relief=0.3) for i, place in enumerate(places)]
    twigs = Layer(Part.OCCLUDER, "leaf0", Ellipse(0, 1.1, 0.34, 1.08 - top))
    green = rng.uniform(0.7, 1.2)
    return [twigs, *leaves], {f"leaf{i}": Material((0.2 * green * s, 0.34 * green * s, 0.14 * green * s))
                              for i, s in enumerate((0.6, 0.85, 1.1, 1.4))}


def _passer_by(canvas: Canvas, shot: Shot, spec: SyntheticSpec, rng: np.random.Generator) -> Occluder:
    """A second person, nearer to the camera and to one side."""
    other = sample_identity(rng, spec, skin_tone=int(rng.integers(spec.skin_tones)))
    side = rng.choice((-1, 1))
    pose = Pose(rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi))
    # Moving the frame, not the layers: the other stands in its own body coordinates.
    moved = Canvas(canvas.colour, scale=1.1 * canvas.scale, light=canvas.light,
                   origin=(canvas.origin[0] + side * (0.36 - 0.4 * shot.cover) * canvas.scale, canvas.origin[1]))
    moved.part = canvas.part
    band = BANDS[camera(spec, shot.camera).infrared]
    moved.paint(band.layers(replace(layer, part=Part.OCCLUDER) for layer in body_layers(other, pose)),
                band.person(other, spec))
    return [], {}


OCCLUDERS = {"post": _post, "box": _box, "bush": _bush, "person": _passer_by}
"""Layers and materials of an occluder, by name."""
