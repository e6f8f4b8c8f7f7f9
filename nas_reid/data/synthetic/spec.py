"""What a synthetic data set consists of: sizes, difficulty levels, and every factor as one plain number."""

import dataclasses
import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, get_args, get_origin

from nas_reid.data.synthetic.domain import DOMAINS
from nas_reid.errors import ConfigError
from nas_reid.seed import derive_seed

GENERATOR_VERSION = 2
"""Raised with every change that moves a pixel, so that a cached folder of an older generator is not reused."""

LOOKALIKES = ("swap", "detail", "shape")

SIZES: dict[str, dict[str, int]] = {
    "tiny": {"train_ids": 24, "test_ids": 24, "distractor_ids": 4, "cameras": 4, "min_cameras": 4,
             "images_per_camera": 2},
    "small": {"train_ids": 100, "test_ids": 100, "distractor_ids": 20, "cameras": 6, "min_cameras": 3,
              "images_per_camera": 4},
    "base": {"train_ids": 400, "test_ids": 400, "distractor_ids": 80, "cameras": 6, "min_cameras": 3,
             "images_per_camera": 4},
}

LAYOUTS: dict[str, dict[str, dict[str, object]]] = {
    "market1501": {},
    "sysu_mm01": {
        "tiny": {"train_ids": 24, "val_ids": 8, "test_ids": 20, "images_per_camera": 3},
        "small": {"train_ids": 100, "val_ids": 20, "test_ids": 60, "images_per_camera": 6},
        "base": {"train_ids": 395, "val_ids": 99, "test_ids": 96, "images_per_camera": 12},
        "": {"distractor_ids": 0, "cameras": 6, "min_cameras": 4, "infrared": "near"},
    },
    "regdb": {
        "tiny": {"train_ids": 12, "test_ids": 12, "images_per_camera": 3},
        "small": {"train_ids": 80, "test_ids": 80, "images_per_camera": 10},
        "base": {"train_ids": 206, "test_ids": 206, "images_per_camera": 10},
        "": {"distractor_ids": 0, "cameras": 2, "min_cameras": 2, "infrared": "thermal"},
    },
}
"""By name of the reader: what a layout presets per size instead of ``SIZES``, and under ``""`` for every size."""

INFRARED = ("near", "thermal", "grey")

_INFRARED_ONLY = {"layout": "market1501", "infrared": "", "val_ids": 0, "luminance": 0.5, "woven": 1.0,
                  "illuminator": 1.0, "sensitivity": 1.0}
"""Fields that say nothing about a data set without infrared, at the values they have there."""

LEVELS: dict[str, dict[str, object]] = {
    "easy": {"style": 0.25, "own": 0.2, "jpeg_quality": (85, 95), "detector_scale": (0.93, 1.07),
             "detector_dx": 0.04, "detector_dy": 0.03, "truncation": 0.0, "occluders": 0.05},
    "default": {"style": 0.5, "own": 0.3, "jpeg_quality": (40, 90), "detector_scale": (0.86, 1.12),
                "detector_dx": 0.07, "detector_dy": 0.06, "truncation": 0.03, "occluders": 0.15},
    "hard": {"style": 1.0, "own": 0.7, "jpeg_quality": (25, 60), "detector_scale": (0.75, 1.25),
             "detector_dx": 0.12, "detector_dy": 0.10, "truncation": 0.10, "occluders": 0.30},
}


_PRESET: Any = None  # of a field that ``__post_init__`` fills in


@dataclass(frozen=True)
class SyntheticSpec:
    """Everything that decides the bytes of a synthetic data set; two equal specs give equal files.

    Fields left at None take the value of the preset ``size`` (``SIZES``) or of the level ``factors`` (``LEVELS``).

    Args:
        size: a name in ``SIZES``.
        factors: a name in ``LEVELS``.
        seed: seed of every random choice.
        layout: ``market1501`` (visible light alone), ``sysu_mm01`` (cameras 3 and 6 infrared) or ``regdb`` (camera 2
            infrared, aligned with camera 1); the name of the reader. The next six fields need one of the latter two.
        infrared: ``near`` (active illumination: each material reflects in its own way, see ``near_infrared``),
            ``thermal`` (see ``thermal``), or ``grey``, the visible picture without its colours, for comparison.
        val_ids: how many of the training persons are listed as validation persons (``sysu_mm01``).
        luminance: share of the visible luminance in a material's reflectance in near infrared, 0..1.
        woven: fraction of patterns and prints whose dyes show in near infrared; the others vanish.
        illuminator: strength of the near-infrared illuminators' fall-off from the centre, 0 for none.
        sensitivity: contrast of the infrared cameras' pictures relative to those of visible light, 0..1.
        domain: a name in ``DOMAINS``, or empty for none. Each has its own people, scenes and cameras; the cameras of
            two domains look alike in nothing but what k = 0 leaves of their looks.
        image_size: height and width in pixels.
        train_ids, test_ids, distractor_ids: number of persons; distractors appear as pid 0 in the gallery.
        cameras, min_cameras: number of cameras (at most 9), and the fewest that see one person. In ``sysu_mm01``
            6, and 4 (two of ten persons miss two cameras each, one of them both indoor ones) or 6 (nobody does).
        images_per_camera: images of one person in one camera that sees it.
        junk: images without a usable person (pid -1), as a fraction of the gallery; in ``market1501`` only.
        lookalikes: fraction of the persons that belong to a look-alike group, 0..1.
        lookalike_kinds: which kinds of groups: ``swap`` (upper and lower garment exchanged), ``detail`` (same
            outfit, another logo, texture, shoes or bag), ``shape`` (same clothes, another build and hair).
        textures, logos, bags: probability that a person wears a patterned top, a print, a bag.
        body_variation: 0 gives everyone the same proportions, 1 the full range.
        skin_tones: number of skin tones, 1..6, spread evenly and independently of all else.
        style: k, the strength of the cameras' own look; scales the next seven.
        cast, saturation, gamma, levels: amplitude at k = 1 of the camera's log colour gain, saturation change,
            log gamma, and black and white level.
        blur, noise: upper bound at k = 1 of blur sigma (pixels at height 128) and of the noise's deviation.
        resolution: largest loss of native resolution at k = 1, as a fraction.
        jpeg_quality: lowest and highest quality of the files.
        overlay: fraction of cameras that burn a bar or time stamp into each image.
        own: probability that the background is the camera's own scene and not one of the common pool.
        views: 8 azimuths, 4, 2 (front and back), or 1 (front only).
        gait: swing of the legs relative to the normal step, 0 (standing) upwards.
        light, exposure: amplitude of the lateral shading and of the exposure, per image.
        detector_scale: range of the person's scale in its box; ``detector_dx`` and ``detector_dy`` the largest
            shift as a fraction of the box's width and height.
        truncation: probability that the box cuts head or feet off.
        occluders: probability that something stands before the person; ``occluder_cover`` the range of its extent.
        masks: also write part masks (PNG, values of ``Part``).
        metadata: also write ``metadata.jsonl``, one line per image.

    The defaults of ``luminance`` and ``woven`` are the easier of two that were tried. With 0.25 and 0.5, on
    ``sysu_mm01`` of size ``small`` (60 test persons, all-search, single-shot), colour histograms were at chance (rank-1
    1.9 %), and two-stream networks of 0.3 million parameters reached 4 % and 7 % after 12 epochs, which leaves too
    little to compare methods by. With 0.5 and 1.0 histograms still are at chance (at most 2.0 %), and the better of the
    two networks has 13 % after 4 epochs, where it had 4 %.

    Raises:
        ConfigError: an unknown size, level or look-alike kind, or a value of another type or out of its range.
    """

    size: str = "small"
    factors: str = "default"
    seed: int = 0
    layout: str = "market1501"
    infrared: str = _PRESET
    val_ids: int = _PRESET
    luminance: float = 0.5
    woven: float = 1.0
    illuminator: float = 1.0
    sensitivity: float = 1.0
    domain: str = ""
    image_size: tuple[int, int] = (128, 64)
    train_ids: int = _PRESET
    test_ids: int = _PRESET
    distractor_ids: int = _PRESET
    cameras: int = _PRESET
    min_cameras: int = _PRESET
    images_per_camera: int = _PRESET
    junk: float = 0.05
    lookalikes: float = 0.5
    lookalike_kinds: tuple[str, ...] = LOOKALIKES
    textures: float = 0.6
    logos: float = 0.6
    bags: float = 0.6
    body_variation: float = 1.0
    skin_tones: int = 6
    style: float = _PRESET
    cast: float = 0.4
    saturation: float = 0.55
    gamma: float = 0.5
    levels: float = 0.15
    blur: float = 1.2
    noise: float = 0.05
    resolution: float = 0.6
    jpeg_quality: tuple[int, int] = _PRESET
    overlay: float = 0.5
    own: float = _PRESET
    views: int = 8
    gait: float = 1.0
    light: float = 0.25
    exposure: float = 0.15
    detector_scale: tuple[float, float] = _PRESET
    detector_dx: float = _PRESET
    detector_dy: float = _PRESET
    truncation: float = _PRESET
    occluders: float = _PRESET
    occluder_cover: tuple[float, float] = (0.15, 0.45)
    masks: bool = False
    metadata: bool = True

    def __post_init__(self) -> None:
        _check_choice("size", self.size, SIZES)
        _check_choice("factors", self.factors, LEVELS)
        if self.domain:
            _check_choice("domain", self.domain, DOMAINS)
        _check_choice("layout", self.layout, LAYOUTS)
        own = LAYOUTS[self.layout]
        presets = {**_INFRARED_ONLY, **SIZES[self.size], **LEVELS[self.factors], **own.get("", {}),
                   **own.get(self.size, {})}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            value = presets[field.name] if value is None and field.name in presets else value
            # Lists (from YAML) become tuples, so that equal specs are equal and hashable.
            value = tuple(value) if isinstance(value, list) else value
            if not _fits(value, field.type):
                raise ConfigError(f"{field.name}={value!r}: expected {inspect.formatannotation(field.type)}")
            object.__setattr__(self, field.name, value)
        self._check_counts()
        self._check_ranges()
        self._check_layout()
        for field in dataclasses.fields(self):  # after the checks, whose messages show what was given
            if field.type is float:
                object.__setattr__(self, field.name, float(getattr(self, field.name)))  # 1 and 1.0 are one data set

    @property
    def key(self) -> str:
        """Folder name: the size and a hash over every field and the generator's version."""
        text = json.dumps([GENERATOR_VERSION, self.to_plain()], sort_keys=True)
        layout = f"{self.layout}-" if self.infrared else ""
        return f"synthetic-{layout}{self.size}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    @property
    def stream_seed(self) -> int:
        """Seed of the streams: ``seed``, or for a domain one that is derived from both."""
        return derive_seed(self.seed, "domain", self.domain) if self.domain else self.seed

    def to_plain(self) -> dict[str, Any]:
        """Every field by name; domain and infrared only where there are any, so that others keep their keys."""
        plain = dataclasses.asdict(self)
        if not self.domain:
            del plain["domain"]
        if not self.infrared:
            plain = {name: value for name, value in plain.items() if name not in _INFRARED_ONLY}
        return plain

    def _check_counts(self) -> None:
        if not 1 <= self.min_cameras <= self.cameras <= 9:
            raise ConfigError(f"min_cameras={self.min_cameras} and cameras={self.cameras}: expected "
                              "1 <= min_cameras <= cameras <= 9 (file names hold one digit for the camera)")
        for name in ("train_ids", "test_ids", "images_per_camera"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)}: expected at least 1")
        if self.seed < 0 or self.distractor_ids < 0:
            raise ConfigError(f"seed={self.seed}, distractor_ids={self.distractor_ids}: expected 0 or more")
        if self.train_ids + self.test_ids > 9999:
            raise ConfigError(f"{self.train_ids + self.test_ids} persons: file names hold four digits, so at most 9999")
        if len(self.image_size) != 2 or min(self.image_size) < 16:
            raise ConfigError(f"image_size={self.image_size}: expected height and width of at least 16 pixels")
        if self.views not in (1, 2, 4, 8):
            raise ConfigError(f"views={self.views}: expected 1, 2, 4 or 8 azimuths")
        if not 1 <= self.skin_tones <= 6:
            raise ConfigError(f"skin_tones={self.skin_tones}: expected 1 to 6")

    def _check_layout(self) -> None:
        if self.layout == "market1501":
            for name, neutral in _INFRARED_ONLY.items():
                if getattr(self, name) != neutral:
                    raise ConfigError(f"{name}={getattr(self, name)!r} needs layout=sysu_mm01 or layout=regdb: "
                                      "layout=market1501 has no infrared")
            return
        _check_choice("infrared", self.infrared, INFRARED)
        if self.distractor_ids:
            raise ConfigError(f"distractor_ids={self.distractor_ids}: layout={self.layout} has none; leave it out")
        cameras, fewest = (6, (4, 6)) if self.layout == "sysu_mm01" else (2, (2,))
        if self.cameras != cameras or self.min_cameras not in fewest:
            raise ConfigError(f"cameras={self.cameras} and min_cameras={self.min_cameras}: layout={self.layout} has "
                              f"{cameras} cameras, of which a person is in at least {' or '.join(map(str, fewest))}")
        if not 0 <= self.val_ids < self.train_ids or (self.val_ids and self.layout == "regdb"):
            raise ConfigError(f"val_ids={self.val_ids}: expected 0 to train_ids - 1 = {self.train_ids - 1} with "
                              "layout=sysu_mm01, and 0 with layout=regdb, which lists no validation persons")

    def _check_ranges(self) -> None:
        for kind in self.lookalike_kinds:
            _check_choice("look-alike kind", kind, LOOKALIKES)
        for name in ("junk", "lookalikes", "textures", "logos", "bags", "body_variation", "overlay", "own",
                     "truncation", "occluders", "resolution", "levels", "luminance", "woven", "sensitivity"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}={getattr(self, name)}: expected a number from 0 to 1")
        for name in ("style", "cast", "saturation", "gamma", "blur", "noise", "gait", "light", "exposure",
                     "detector_dx", "detector_dy", "illuminator"):
            if not 0 <= getattr(self, name) <= 5:
                raise ConfigError(f"{name}={getattr(self, name)}: expected a number from 0 to 5")
        for name, low, high in (("jpeg_quality", 1, 100), ("detector_scale", 0.2, 3.0), ("occluder_cover", 0.0, 1.0)):
            value = getattr(self, name)
            if len(value) != 2 or not low <= value[0] <= value[1] <= high:
                raise ConfigError(f"{name}={value}: expected two increasing numbers from {low} to {high}")


def _fits(value: object, kind: Any) -> bool:
    """Whether a value has the type that a field's annotation names; an integer is a number, a boolean is not."""
    if get_origin(kind) is UnionType:
        return any(_fits(value, option) for option in get_args(kind))
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_fits(item, get_args(kind)[0]) for item in value)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float if kind is float else kind)


def _check_choice(what: str, value: object, known: Sequence[str] | Mapping[str, object]) -> None:
    """Raise a ConfigError that lists the known names unless ``value`` is one of them."""
    if not isinstance(value, str) or value not in known:
        raise ConfigError(f"unknown {what} {value!r}; known: {', '.join(known)}")
