"""Layers of the head: skull, hair or headwear, face."""

from nas_reid.data.synthetic.canvas import Layer, Part
from nas_reid.data.synthetic.figure import Figure
from nas_reid.data.synthetic.shape import Ellipse, Limb, Profile


def hair_behind(figure: Figure) -> list[Layer]:
    """Long hair as seen from the front or side: painted before the torso."""
    return _long_hair(figure) if figure.identity.hair == "long" and figure.cos > -0.2 else []


def head_layers(figure: Figure) -> list[Layer]:
    """Everything above the collar, painted after the torso."""
    style = figure.identity.hair
    skull = Ellipse(0.004 * figure.sin, 0.066, figure.half_width(0.046, 0.055), 0.067)
    layers = [Layer(Part.HEAD, "skin", skull, shadow=0.35, shade=0.95)]
    if style == "hood":
        hood = Ellipse(-0.01 * figure.sin, 0.072, figure.half_width(0.062, 0.068), 0.08)
        # With a top that has no hood, it is a headscarf.
        hooded = figure.identity.upper in ("hoodie", "jacket_open", "jacket_closed", "coat")
        part, material = (Part.UPPER, "upper") if hooded else (Part.HEADWEAR, "cap")
        layers.append(Layer(part, material, hood, shadow=0.2, shade=0.9))
    elif style != "none":
        layers += _scalp(figure)
    layers += _ears(figure) if style in ("short", "bun", "cap", "none") else []
    layers += _face(figure) if figure.cos > -0.35 else []
    if style == "long" and figure.cos <= -0.2:
        layers += _long_hair(figure)
    if style == "bun":
        x, y = figure.project((0.0, 0.012 if figure.cos < 0.3 else -0.002, -0.05))
        layers.append(Layer(Part.HAIR, "hair", Ellipse(x, y, 0.027, 0.025), relief=0.5, shadow=0.15))
    return layers + (_cap(figure) if style == "cap" else [])


def _scalp(figure: Figure) -> list[Layer]:
    """Hair that follows the skull, lower at the back than at the temples."""
    back = max(-figure.cos, 0.0)
    x = -0.008 * figure.sin
    return [Layer(Part.HAIR, "hair", Ellipse(x, 0.052 + 0.01 * back, figure.half_width(0.049, 0.056),
                                             0.057 + 0.006 * back), relief=0.45)]


def _long_hair(figure: Figure) -> list[Layer]:
    x = -0.026 * figure.sin
    wide = figure.half_width(0.055, 0.04)
    points = [(0.03, x * 0.6, 0.8 * wide), (0.08, x, wide), (0.16, 1.15 * x, 1.12 * wide),
              (0.235, 1.3 * x, 0.95 * wide), (0.262, 1.3 * x, 0.6 * wide)]
    return [Layer(Part.HAIR, "hair", Profile(points), relief=0.5, shadow=0.2)]


def _ears(figure: Figure) -> list[Layer]:
    places = ((side, figure.project((0.046 * side, 0.075, -0.004))) for side in figure.sides())
    return [Layer(Part.HEAD, "skin", Ellipse(x, y, 0.009 + 0.004 * abs(figure.sin), 0.016), shade=0.85)
            for side, (x, y) in places if figure.depth(0.046 * side, 0.0) > -0.03]


def _face(figure: Figure) -> list[Layer]:
    """Face, eyes and mouth; it slides round the skull and narrows with the azimuth."""
    turn = abs(figure.sin)
    hidden = max(-figure.cos, 0.0)
    rx = 0.038 - 0.012 * turn - 0.03 * hidden
    x = 0.03 * figure.sin + 0.012 * hidden * (1 if figure.sin > 0 else -1)
    layers = [Layer(Part.HEAD, "skin", Ellipse(x, 0.082, rx, 0.051), relief=0.22)]
    if figure.cos < -0.1:
        return layers
    eyes = [Ellipse(0.017 * side * figure.cos + 0.042 * figure.sin, 0.073, 0.0065, 0.0055) for side in figure.sides()
            if figure.depth(0.017 * side, 0.0) > -0.012]
    mouth = Ellipse(0.043 * figure.sin, 0.11, 0.014 * max(figure.cos, 0.35), 0.004)
    nose = Limb([(0.045 * figure.sin, 0.077, 0.003), (0.052 * figure.sin, 0.093, 0.006)])
    return [*layers, Layer(Part.HEAD, "skin", nose, shade=0.86, relief=0.0),
            *(Layer(Part.HEAD, "face", eye, relief=0.0) for eye in eyes),
            Layer(Part.HEAD, "face", mouth, shade=1.35, relief=0.0)]


def _cap(figure: Figure) -> list[Layer]:
    wide = figure.half_width(0.051, 0.058)
    crown = Profile([(-0.008, 0.0, 0.5 * wide), (0.006, 0.0, 0.82 * wide), (0.025, 0.0, 0.98 * wide),
                     (0.046, 0.0, wide)])
    layers = [Layer(Part.HEADWEAR, "cap", crown, relief=0.4, shadow=0.2)]
    if figure.cos > -0.35:
        reach = 0.03 * figure.sin
        brim = Limb([(reach * 0.6 - 0.03 * figure.cos, 0.047, 0.008), (reach * 2.9 + 0.03 * figure.cos, 0.052, 0.007)])
        layers.append(Layer(Part.HEADWEAR, "cap", brim, shade=0.7, shadow=0.35))
    return layers
