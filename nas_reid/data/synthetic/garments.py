"""Layers of the clothed body: arms, torso, legs and shoes."""

from dataclasses import dataclass

from nas_reid.data.synthetic.canvas import Layer, Part
from nas_reid.data.synthetic.figure import Figure
from nas_reid.data.synthetic.shape import Box, Ellipse, Limb, Profile


@dataclass(frozen=True)
class Cut:
    """How a top is cut.

    Args:
        pad: thickness over the body.
        sleeve: how much of the arm it covers: 0.5 ends above the elbow, 2 at the wrist.
        hem: end below the hips, in body heights; ``flare`` how much wider than the hips it is there.
    """

    pad: float
    sleeve: float
    hem: float
    flare: float = 0.0


CUTS = {"tshirt": Cut(0.004, 0.6, 0.015, 0.002), "longsleeve": Cut(0.003, 2.0, 0.01),
        "jacket_open": Cut(0.010, 2.0, 0.03, 0.002), "jacket_closed": Cut(0.010, 2.0, 0.02, -0.004),
        "coat": Cut(0.011, 2.0, 0.21, 0.016), "hoodie": Cut(0.009, 2.0, 0.02, -0.003)}
"""Tops by name."""


def arm_layers(figure: Figure, side: int) -> list[Layer]:
    """Bare forearm and hand, then the sleeve."""
    cut = CUTS[figure.identity.upper]
    shade = 1.0 if figure.near(side) else 0.72
    shoulder, elbow, wrist, knuckles = figure.arm(side)
    k = figure.limb
    layers = [Layer(Part.ARMS, "skin", Limb(figure.chain([wrist, knuckles], [0.016 * k, 0.017])), shade=shade)]
    if cut.sleeve < 2:
        bare = figure.chain([figure.between(shoulder, elbow, 0.5), elbow, wrist], [0.025 * k, 0.023 * k, 0.017 * k])
        layers.append(Layer(Part.ARMS, "skin", Limb(bare), shade=shade, shadow=0.2))
        points, radii = [shoulder, figure.between(shoulder, elbow, cut.sleeve)], [0.027 * k, 0.031 * k]
    else:
        points, radii = [shoulder, elbow, wrist], [0.026 * k, 0.026 * k, 0.021 * k]
    sleeve = Limb(figure.chain(points, [radius + 0.7 * cut.pad for radius in radii]), flat=True)
    return [*layers, Layer(Part.UPPER, "upper", sleeve, shade=0.97 * shade, shadow=0.3, relief=0.4)]


def torso_layers(figure: Figure) -> list[Layer]:
    """Neck and top, with what the top shows in front."""
    kind = figure.identity.upper
    cut = CUTS[kind]
    hem = figure.hip_y + cut.hem
    outline = figure.torso(pad=cut.pad, hem=hem, flare=cut.flare * figure.half_width(1.0, 0.7))
    neck = Limb(figure.chain([(0, 0.1, 0.0), (0, 0.175, -0.004)], [0.03, 0.034]))
    layers = [Layer(Part.HEAD, "skin", neck, shade=0.8),
              Layer(Part.UPPER, "upper", Profile(outline), shadow=0.3, relief=0.35)]
    layers += FRONTS[kind](figure, hem) if figure.cos > 0.2 else []
    if kind == "coat":
        waist = figure.half_width(0.086, 0.07) * figure.girth + 0.008
        layers.append(Layer(Part.UPPER, "trim", Box(0, figure.torso_y(0.72), waist, 0.011)))
    return layers


def hood_layer(figure: Figure) -> list[Layer]:
    """A hood that lies on the shoulders: behind the head from the front, over the back from behind."""
    if figure.identity.upper != "hoodie":
        return []
    x, y = figure.project((0.0, 0.152, -0.035))
    return [Layer(Part.UPPER, "upper", Ellipse(x, y + 0.005, figure.half_width(0.066, 0.05), 0.034), shade=0.85,
                  relief=0.5, shadow=0.25)]


def leg_layers(figure: Figure) -> list[Layer]:
    """Shoes, bare legs where the garment ends early, and the lower garment."""
    lower, k = figure.identity.lower, figure.limb
    layers: list[Layer] = []
    for side, shade in zip(figure.sides(), (0.82, 1.0), strict=True):
        hip, knee, ankle = figure.leg(side)
        layers += _shoe(figure, side, shade)
        if lower == "trousers":
            chain = figure.chain([hip, knee, ankle], [0.054 * k, 0.043 * k, 0.034 * k])
            layers.append(Layer(Part.LOWER, "lower", Limb(chain), shade=shade, shadow=0.3, relief=0.4))
            layers += _side_stripe(figure, side, shade)
            continue
        chain = figure.chain([figure.between(hip, knee, 0.5), knee, ankle], [0.044 * k, 0.032 * k, 0.02 * k])
        layers.append(Layer(Part.LEGS, "skin", Limb(chain), shade=shade, relief=0.4))
        if lower == "shorts":
            chain = figure.chain([hip, figure.between(hip, knee, 0.82)], [0.056 * k, 0.055 * k])
            layers.append(Layer(Part.LOWER, "lower", Limb(chain, flat=True), shade=shade, shadow=0.3))
    waist = figure.torso(pad=0.0, hem=figure.hip_y + 0.03)[-3:]
    if lower == "skirt":
        knee_y = figure.leg(1)[1][1]
        end = figure.half_width(0.112, 0.098) * figure.girth
        waist = [*waist[:-1], (figure.hip_y + 0.02, 0.0, waist[-1][2] * 1.04), (knee_y - 0.01, 0.0, end)]
    return [*layers, Layer(Part.LOWER, "lower", Profile(waist), relief=0.25, shadow=0.3 if lower == "skirt" else 0.0)]


def _shoe(figure: Figure, side: int, shade: float) -> list[Layer]:
    x, y, z = figure.leg(side)[2]
    heel, toe = (x, y + 0.018, z - 0.014), (x + 0.01 * side, y + 0.022, z + 0.052)
    chain = figure.chain([heel, toe], [0.021, 0.016])
    sole = [(px, py + 0.009, 0.55 * radius) for px, py, radius in chain]
    return [Layer(Part.SHOES, "sole", Limb(sole), shade=0.8 * shade),
            Layer(Part.SHOES, "shoes", Limb(chain), shade=shade)]


def _side_stripe(figure: Figure, side: int, shade: float) -> list[Layer]:
    if not figure.identity.side_stripe or not figure.near(side):
        return []
    k = figure.limb
    outer = [(x + side * radius * k, y, z) for (x, y, z), radius in zip(figure.leg(side), (0.042, 0.034, 0.026),
                                                                       strict=True)]
    return [Layer(Part.LOWER, "stripe", Limb(figure.chain(outer, [0.008, 0.008, 0.007])), shade=shade, relief=0.0)]


def _tshirt(figure: Figure, hem: float) -> list[Layer]:
    x, y = figure.project((0.0, 0.158, 0.03))
    return [Layer(Part.HEAD, "skin", Ellipse(x, y, 0.03 * figure.cos + 0.008, 0.02), shade=0.9, relief=0.0)]


def _zip(figure: Figure, hem: float) -> list[Layer]:
    line = figure.chain([(0, 0.16, 0.04), (0, figure.torso_y(0.4), 0.068), (0, hem - 0.006, 0.062)], [0.005] * 3)
    collar = Box(*figure.project((0.0, 0.157, 0.0)), 0.044, 0.018, 0.012)
    return [Layer(Part.UPPER, "upper", collar, shade=0.85, shadow=0.2),
            Layer(Part.UPPER, "trim", Limb([(x, y - 0.012, r) for x, y, r in line]), relief=0.0)]


def _open(figure: Figure, hem: float) -> list[Layer]:
    rows = [(0.158, 0.02), (figure.torso_y(0.3), 0.026), (hem - 0.025, 0.04)]
    points = [(y, 0.06 * figure.sin, width * figure.cos + 0.004) for y, width in rows]
    return [Layer(Part.UPPER, "inner", Profile(points), shade=0.88, relief=0.45, shadow=0.3)]


def _coat(figure: Figure, hem: float) -> list[Layer]:
    x = 0.05 * figure.sin
    neck, chest = 0.158, figure.torso_y(0.32)
    opening = Profile([(neck, x, 0.034 * figure.cos), (chest, x * 1.2, 0.003)])
    seam = figure.chain([(0.006, chest, 0.068), (0.012, hem - 0.02, 0.075)], [0.004, 0.004])
    return [Layer(Part.UPPER, "inner", opening, relief=0.0, shade=0.9),
            Layer(Part.UPPER, "trim", Limb([(px, py - 0.014, r) for px, py, r in seam]), relief=0.0)]


def _hoodie(figure: Figure, hem: float) -> list[Layer]:
    x, y = figure.project((0.0, figure.torso_y(0.74), 0.066))
    pocket = Box(x, y - 0.012, 0.055 * figure.cos, 0.036, 0.02)
    strings = [Limb(figure.chain([(0.02 * side, 0.17, 0.05), (0.022 * side, 0.235, 0.066)], [0.004, 0.004]))
               for side in (-1, 1)]
    return [Layer(Part.UPPER, "upper", pocket, shade=0.86, shadow=0.2),
            *(Layer(Part.UPPER, "sole", string, relief=0.0) for string in strings)]


FRONTS = {"tshirt": _tshirt, "longsleeve": _tshirt, "jacket_closed": _zip, "jacket_open": _open, "coat": _coat,
          "hoodie": _hoodie}
"""What a top shows on its front, by name."""
