"""Named domains: places with people, scenes and cameras of their own, for networks to be moved between."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """What the cameras of a domain have in common, in units of the factors' amplitudes; k scales it as it scales them.

    Args:
        cast: centre of the log gains of red, green and blue.
        saturation: centre of the saturation change.
        gamma: centre of the log gamma.
        spread: how far the cameras stray from the centre, relative to a data set without a domain.
    """

    cast: tuple[float, float, float] = (0.0, 0.0, 0.0)
    saturation: float = 0.0
    gamma: float = 0.0
    spread: float = 1.0


LOOKS: dict[str, Look] = {
    "": Look(),
    "a": Look(cast=(1.0, 0.0, -1.0), saturation=0.0, gamma=0.0, spread=0.5),
    "b": Look(cast=(-1.0, 0.0, 1.0), saturation=-0.4, gamma=-0.8, spread=0.5),
    "c": Look(cast=(-0.4, 0.9, -0.9), saturation=-0.8, gamma=0.8, spread=0.5),
    "d": Look(cast=(0.6, -0.9, 0.6), saturation=0.0, gamma=0.5, spread=0.5),
    "e": Look(cast=(-0.8, -0.9, -0.6), saturation=-0.4, gamma=0.0, spread=0.5),
    "f": Look(cast=(0.9, 0.9, 0.4), saturation=-0.2, gamma=-0.5, spread=0.5),
}
"""By name; ``""`` is no domain. The centres of any two differ in some gain by more than twice the spread, so that no
camera of the one looks like one of the other."""

DOMAINS = tuple(name for name in LOOKS if name)
