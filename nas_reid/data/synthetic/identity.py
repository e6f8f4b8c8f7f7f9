"""Who a person is: proportions, hair, garments, print and bag. Nothing here depends on camera or pose."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypedDict

import numpy as np

from nas_reid.data.synthetic.material import Colour, Material, as_colour
from nas_reid.data.synthetic.spec import SyntheticSpec

SKIN: tuple[Colour, ...] = ((0.96, 0.80, 0.69), (0.90, 0.70, 0.56), (0.78, 0.57, 0.42), (0.63, 0.44, 0.31),
                            (0.46, 0.31, 0.22), (0.31, 0.21, 0.16))
HAIR: tuple[Colour, ...] = ((0.09, 0.07, 0.06), (0.30, 0.18, 0.10), (0.70, 0.53, 0.29), (0.58, 0.57, 0.56))
UPPER: tuple[Colour, ...] = ((0.12, 0.12, 0.13), (0.90, 0.90, 0.88), (0.52, 0.52, 0.54), (0.72, 0.12, 0.14),
                             (0.14, 0.22, 0.52), (0.30, 0.55, 0.80), (0.16, 0.45, 0.24), (0.88, 0.76, 0.22),
                             (0.87, 0.47, 0.15), (0.48, 0.22, 0.52), (0.88, 0.52, 0.63), (0.45, 0.32, 0.20))
LOWER: tuple[Colour, ...] = ((0.11, 0.11, 0.12), (0.17, 0.22, 0.36), (0.36, 0.46, 0.62), (0.45, 0.45, 0.46),
                             (0.68, 0.59, 0.43), (0.86, 0.85, 0.82), (0.33, 0.24, 0.17), (0.28, 0.34, 0.21))
SHOES: tuple[Colour, ...] = ((0.10, 0.10, 0.10), (0.92, 0.92, 0.92), (0.36, 0.23, 0.14), (0.68, 0.14, 0.14),
                             (0.22, 0.30, 0.52))
HAIR_STYLES = ("short", "long", "bun", "cap", "hood", "none")
UPPER_KINDS = ("tshirt", "longsleeve", "jacket_open", "jacket_closed", "coat", "hoodie")
LOWER_KINDS = ("trousers", "shorts", "skirt")
LOGOS = ("disc", "square", "cross", "bar")
LOGO_PLACES = ("left", "centre", "back")
BAGS = ("backpack", "shoulder", "hand")


@dataclass(frozen=True)
class Body:
    """Proportions.

    Args:
        height: fraction of the box that the person fills, 0.82..0.97.
        build: width factor, 0.8..1.25.
        shoulders: shoulder to hip ratio, 0.85..1.15.
        legs: length of the legs in body heights, 0.45..0.52.
    """

    height: float = 0.9
    build: float = 1.0
    shoulders: float = 1.0
    legs: float = 0.485


@dataclass(frozen=True)
class Identity:
    """One person. Bare colours and shapes; how a sensor sees them is the renderer's affair.

    Args:
        body: proportions.
        skin_tone: index into ``SKIN``.
        hair, upper, lower: names in ``HAIR_STYLES``, ``UPPER_KINDS``, ``LOWER_KINDS``.
        materials: surface of each kind of part, by name.
        logo, logo_place: a name in ``LOGOS`` or ``none``, and in ``LOGO_PLACES``.
        logo_size: half-size in body heights.
        bag: a name in ``BAGS`` or ``none``; ``bag_side`` is -1 or 1.
        side_stripe: whether the trousers have a stripe along their outer seam.
        group, kind: number of the look-alike group and its kind; -1 and ``none`` outside groups.
    """

    body: Body
    skin_tone: int
    hair: str
    upper: str
    lower: str
    materials: Mapping[str, Material]
    logo: str = "none"
    logo_place: str = "centre"
    logo_size: float = 0.025
    bag: str = "none"
    bag_side: int = 1
    side_stripe: bool = False
    group: int = -1
    kind: str = "none"

    def wearing(self, **materials: Material) -> "Identity":
        """The same person with some materials replaced."""
        return replace(self, materials={**self.materials, **materials})


class Logo(TypedDict):
    """The fields of an ``Identity`` that describe a print."""

    logo: str
    logo_place: str
    logo_size: float


class Bag(TypedDict):
    """The fields of an ``Identity`` that describe a bag."""

    bag: str
    bag_side: int


def sample_identity(rng: np.random.Generator, spec: SyntheticSpec, *, skin_tone: int) -> Identity:
    """A person with every attribute drawn independently of the skin tone."""
    textured, printed, carrying = rng.random(3) < (spec.textures, spec.logos, spec.bags)
    lower = str(rng.choice(LOWER_KINDS, p=(0.65, 0.20, 0.15)))
    identity = Identity(
        body=sample_body(rng, spec.body_variation), skin_tone=skin_tone,
        hair=str(rng.choice(HAIR_STYLES, p=(0.36, 0.26, 0.12, 0.12, 0.06, 0.08))),
        upper=str(rng.choice(UPPER_KINDS, p=(0.26, 0.2, 0.16, 0.14, 0.1, 0.14))), lower=lower,
        materials=_sample_materials(rng, SKIN[skin_tone], textured=textured))
    logo, bag = sample_logo(rng), sample_bag(rng)
    if printed:
        identity = replace(identity, **logo)
    if carrying:
        identity = replace(identity, **bag)
    return replace(identity, side_stripe=bool(lower == "trousers" and rng.random() < 0.2))


def sample_body(rng: np.random.Generator, variation: float) -> Body:
    """Proportions that depart from the average by ``variation`` (0..1) times the full range."""
    low, high = np.array([0.82, 0.8, 0.85, 0.45]), np.array([0.97, 1.25, 1.15, 0.52])
    average = np.array([Body.height, Body.build, Body.shoulders, Body.legs])
    drawn = rng.uniform(low, high)
    return Body(*(float(value) for value in average + variation * (drawn - average)))


def sample_logo(rng: np.random.Generator) -> Logo:
    """A print."""
    return {"logo": str(rng.choice(LOGOS)), "logo_place": str(rng.choice(LOGO_PLACES)),
            "logo_size": float(rng.uniform(0.018, 0.035))}


def sample_bag(rng: np.random.Generator) -> Bag:
    """A bag."""
    return {"bag": str(rng.choice(BAGS, p=(5 / 12, 4 / 12, 3 / 12))), "bag_side": int(rng.choice((-1, 1)))}


def sample_pattern(rng: np.random.Generator, material: Material) -> Material:
    """The material with a random pattern, of a period of 1.8 to 8 % of the body's height."""
    pattern = str(rng.choice(("horizontal", "vertical", "check", "dots"), p=(1 / 3, 1 / 4, 1 / 4, 1 / 6)))
    return replace(material, pattern=pattern, period=float(np.exp(rng.uniform(np.log(0.018), np.log(0.08)))))


def distance(a: Material, b: Material) -> float:
    """Euclidean distance of two materials' main colours in RGB."""
    return float(np.linalg.norm(np.subtract(a.colour, b.colour)))


def _sample_materials(rng: np.random.Generator, skin: Colour, *, textured: bool) -> dict[str, Material]:
    """Surfaces of all parts; the logo's colour always differs from the garment's."""
    upper = Material(_pick(rng, UPPER))
    second, logo = _unlike(rng, upper, 0.3), _unlike(rng, upper, 0.35)
    upper = replace(upper, second=second.colour)
    patterned = sample_pattern(rng, upper)
    lower = Material(_pick(rng, LOWER))
    return {
        "skin": Material(skin), "hair": Material(_jitter(rng, HAIR[rng.integers(len(HAIR))], 0.1)),
        "face": Material(as_colour(0.45 * c for c in skin)), "upper": patterned if textured else upper,
        "inner": Material(_pick(rng, UPPER)), "trim": Material(as_colour(0.55 * c for c in upper.colour)),
        "lower": lower, "stripe": Material(_pick(rng, UPPER)),
        "shoes": Material(_pick(rng, SHOES)), "sole": Material((0.82, 0.82, 0.8)),
        "bag": Material(_pick(rng, UPPER)), "logo": logo, "cap": Material(_pick(rng, UPPER)),
    }


def _pick(rng: np.random.Generator, palette: tuple[Colour, ...]) -> Colour:
    return _jitter(rng, palette[rng.integers(len(palette))], 0.15)


def _unlike(rng: np.random.Generator, material: Material, gap: float) -> Material:
    """A garment colour at least ``gap`` away from that of ``material``."""
    other = Material(_pick(rng, UPPER))
    while distance(material, other) < gap:
        other = Material(_pick(rng, UPPER))
    return other


def _jitter(rng: np.random.Generator, colour: Colour, amount: float) -> Colour:
    """The colour with every channel scaled by up to ``amount`` either way."""
    return as_colour(np.clip(np.multiply(colour, rng.uniform(1 - amount, 1 + amount, 3)), 0.02, 0.97))
