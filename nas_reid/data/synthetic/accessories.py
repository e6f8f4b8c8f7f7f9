"""Layers of prints and bags."""

from nas_reid.data.synthetic.canvas import Layer, Part
from nas_reid.data.synthetic.figure import Figure
from nas_reid.data.synthetic.shape import Box, Ellipse, Limb, Shape


def logo_layers(figure: Figure) -> list[Layer]:
    """The print, where the side that carries it can be seen."""
    identity = figure.identity
    facing = -figure.cos if identity.logo_place == "back" else figure.cos
    if identity.logo == "none" or facing < 0.3:
        return []
    z = -0.06 if identity.logo_place == "back" else 0.064
    place = (0.04 if identity.logo_place == "left" else 0.0, figure.torso_y(0.3), z)
    x, y = figure.project(place)
    return [Layer(Part.LOGO, "logo", shape, relief=0.1)
            for shape in LOGO_SHAPES[identity.logo](x, y - 0.012, identity.logo_size, facing)]


def bag_behind(figure: Figure) -> list[Layer]:
    """The part of a bag that the body hides, painted before the torso."""
    identity = figure.identity
    if identity.bag == "backpack" and figure.cos > -0.3:
        return _pack(figure)
    if identity.bag == "shoulder" and not figure.near(identity.bag_side):
        return _pouch(figure)
    return []


def bag_before(figure: Figure) -> list[Layer]:
    """The part of a bag that lies on the torso: a pack seen from behind, straps, a bag at the near hip."""
    identity = figure.identity
    if identity.bag == "backpack":
        return _pack(figure) if figure.cos <= -0.3 else _straps(figure)
    if identity.bag != "shoulder":
        return []
    side, front = identity.bag_side, 0.055 if figure.cos > 0 else -0.055
    chain = figure.chain([(-0.06 * side, 0.172, 0.2 * front), (0.02 * side, figure.torso_y(0.45), front),
                          (0.1 * side * figure.girth, figure.hip_y - 0.03, 0.2 * front)], [0.008] * 3)
    strap = [Layer(Part.BAG, "bag", Limb([(x, y - 0.01, r) for x, y, r in chain]), shade=0.75, relief=0.0, shadow=0.15)]
    return strap + (_pouch(figure) if figure.near(side) else [])


def hand_bag(figure: Figure, side: int) -> list[Layer]:
    """A bag held in the hand at ``side``."""
    if figure.identity.bag != "hand" or figure.identity.bag_side != side:
        return []
    x, y = figure.project(figure.arm(side)[3])
    rx = figure.half_width(0.03, 0.064)
    handles = [Limb([(x + 0.5 * rx * s, y + 0.045, 0.005), (x, y - 0.002, 0.005)]) for s in (-1, 1)]
    return [*(Layer(Part.BAG, "bag", handle, shade=0.7, relief=0.0) for handle in handles),
            Layer(Part.BAG, "bag", Box(x, y + 0.093, rx, 0.052, 0.012), shadow=0.25),
            Layer(Part.BAG, "bag", Box(x, y + 0.06, rx, 0.01, 0.005), shade=0.75)]


def _pack(figure: Figure) -> list[Layer]:
    g = figure.girth**0.5
    x, y = figure.project((0.0, figure.torso_y(0.42), -0.095 * g))
    rx = figure.half_width(0.078, 0.046) * g
    return [Layer(Part.BAG, "bag", Box(x, y, rx, 0.122, 0.045), relief=0.5, shadow=0.35),
            Layer(Part.BAG, "bag", Box(x, y + 0.055, 0.78 * rx, 0.045, 0.02), shade=0.82, shadow=0.25),
            Layer(Part.BAG, "bag", Box(x, y - 0.035, 0.72 * rx, 0.006), shade=0.6, relief=0.0)]


def _straps(figure: Figure) -> list[Layer]:
    layers = []
    for side in figure.sides():
        x = 0.058 * side * figure.girth**0.5
        if figure.depth(x, 0.05) < 0:
            continue
        points = [(x * 0.9, 0.168, 0.0), (x, figure.torso_y(0.2), 0.055), (x * 1.15, figure.torso_y(0.6), 0.03)]
        chain = figure.chain(points, [0.01, 0.011, 0.008])
        layers.append(Layer(Part.BAG, "bag", Limb(chain), shade=0.85, shadow=0.2))
    return layers


def _pouch(figure: Figure) -> list[Layer]:
    x, y = figure.project((0.108 * figure.identity.bag_side * figure.girth**0.8, figure.hip_y + 0.012, 0.0))
    rx = figure.half_width(0.026, 0.068)
    return [Layer(Part.BAG, "bag", Box(x, y, rx, 0.052, 0.014), relief=0.4, shadow=0.3),
            Layer(Part.BAG, "bag", Box(x, y - 0.028, rx, 0.022, 0.01), shade=0.8, shadow=0.15)]


def _disc(x: float, y: float, size: float, facing: float) -> list[Shape]:
    return [Ellipse(x, y, size * facing, size)]


def _square(x: float, y: float, size: float, facing: float) -> list[Shape]:
    return [Box(x, y, size * facing, size)]


def _cross(x: float, y: float, size: float, facing: float) -> list[Shape]:
    return [Box(x, y, size * facing, 0.35 * size), Box(x, y, 0.35 * size * facing, size)]


def _bar(x: float, y: float, size: float, facing: float) -> list[Shape]:
    return [Box(x, y, 1.9 * size * facing, 0.5 * size)]


LOGO_SHAPES = {"disc": _disc, "square": _square, "cross": _cross, "bar": _bar}
"""Outlines of a print with half-size ``size`` at (x, y), narrowed to ``facing`` (0..1)."""
