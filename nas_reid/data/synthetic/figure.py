"""A walking body as joints in three dimensions, projected to the picture plane.

Body coordinates: x to the person's left, y down from the crown (0) to the soles (1), z forward; all in body heights.
"""

from dataclasses import dataclass

import numpy as np

from nas_reid.data.synthetic.identity import Identity

ELEVATION = 0.2
"""Sine of the camera's pitch: how far down the picture one unit towards the camera appears."""

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Pose:
    """How a person stands before the camera.

    Args:
        azimuth: 0 faces the camera, pi/2 walks to the right of the picture, pi shows the back; radians.
        phase: position in the gait cycle, radians.
        swing: amplitude of a foot's way forward and back, in body heights.
    """

    azimuth: float = 0.0
    phase: float = 0.0
    swing: float = 0.07


class Figure:
    """The measures and joints of one identity in one pose, and their projection.

    Args:
        identity: whose proportions.
        pose: view and step.
    """

    def __init__(self, identity: Identity, pose: Pose) -> None:
        body = identity.body
        self.identity = identity
        self.cos, self.sin = float(np.cos(pose.azimuth)), float(np.sin(pose.azimuth))
        self.girth = body.build
        self.limb = body.build ** 0.7
        self.hip_y, self.shoulder_y = 1.0 - body.legs, 0.182
        self.shoulder_x = 0.094 * body.build**0.6 * body.shoulders**0.7
        self.hip_x = 0.041 * body.build**0.8
        self._shoulders, self._hips = body.shoulders**0.5, body.shoulders**-0.5
        self._step = pose.swing * float(np.sin(pose.phase))
        self._lift = pose.swing * float(np.cos(pose.phase))

    def project(self, point: Point) -> tuple[float, float]:
        """Picture coordinates of a body point."""
        x, y, z = point
        return x * self.cos + z * self.sin, y + ELEVATION * self.depth(x, z)

    def depth(self, x: float, z: float) -> float:
        """How much nearer to the camera than the body's axis."""
        return z * self.cos - x * self.sin

    def half_width(self, wide: float, deep: float) -> float:
        """Projected half-width of an elliptical cross-section."""
        return float(np.hypot(wide * self.cos, deep * self.sin))

    def torso_y(self, fraction: float) -> float:
        """Height at a fraction of the way from shoulders (0) to hips (1)."""
        return self.shoulder_y + fraction * (self.hip_y - self.shoulder_y)

    def torso(self, *, pad: float, hem: float, flare: float = 0.0) -> list[tuple[float, float, float]]:
        """Outline of a top ``pad`` thicker than the body down to ``hem``, ``flare`` wider there than the hips."""
        g, s, h = self.girth, self._shoulders, self._hips
        belly = max(g - 1.0, 0.0) * 0.05
        sections = [(-0.085, 0.034, 0.034), (-0.05, 0.046, 0.038), (0.0, 0.078 * s, 0.046), (0.04, 0.094 * s, 0.05),
                    (0.12, 0.1 * s, 0.056), (0.4, 0.088, 0.062 + belly), (0.68, 0.08 + belly, 0.058 + 1.5 * belly),
                    (0.98, 0.088 * h, 0.064 + belly)]
        points = [(self.torso_y(f), 0.0, self.half_width(w * g + (pad if f > 0 else 0), d * g + pad))
                  for f, w, d in sections]
        hips = points[-1]
        if hem > hips[0]:
            points.append((hem, 0.0, hips[2] + flare))
        return points

    def arm(self, side: int) -> list[Point]:
        """Shoulder, elbow, wrist and knuckles of the arm at ``side`` (1 is the person's left)."""
        swing = -0.75 * side * self._step
        x, y = side * self.shoulder_x, self.shoulder_y + 0.03
        out = side * 0.014 * self.girth
        return [(x, y, 0.0), (x + out, y + 0.148, 0.4 * swing - 0.008), (x + out, y + 0.277, swing + 0.022),
                (x + 0.8 * out, y + 0.317, 1.15 * swing + 0.03)]

    def leg(self, side: int) -> list[Point]:
        """Hip, knee and ankle of the leg at ``side``."""
        step, lift = side * self._step, max(-side * self._lift, 0.0)
        x = side * self.hip_x
        length = 0.955 - self.hip_y
        knee = (x * 1.02, self.hip_y + 0.49 * length - 0.1 * lift, 0.55 * step + 0.45 * lift + 0.008)
        ankle = (x * 0.95, 0.955 - 0.4 * lift - 0.06 * abs(step), step - 0.3 * lift)
        return [(x, self.hip_y, 0.0), knee, ankle]

    def near(self, side: int) -> bool:
        """Whether the limbs at ``side`` lie before the torso rather than behind it."""
        return self.depth(side * self.shoulder_x, 0.0) > -0.04

    def sides(self) -> tuple[int, int]:
        """Both sides, the farther one first."""
        return (1, -1) if self.depth(1.0, 0.0) < 0 else (-1, 1)

    def chain(self, points: list[Point], radii: list[float]) -> list[tuple[float, float, float]]:
        """Projected joints with their radii, for a ``Limb``."""
        return [(*self.project(point), radius) for point, radius in zip(points, radii, strict=True)]

    @staticmethod
    def between(a: Point, b: Point, fraction: float) -> Point:
        """The point a fraction of the way from ``a`` to ``b``."""
        x, y, z = (p + fraction * (q - p) for p, q in zip(a, b, strict=True))
        return x, y, z
