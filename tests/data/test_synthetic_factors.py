"""Each factor changes what it should and nothing else; look-alikes and part masks are what they claim to be."""

from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pytest

from nas_reid.data.synthetic.camera import Style, camera
from nas_reid.data.synthetic.canvas import Part
from nas_reid.data.synthetic.figure import Figure, Pose
from nas_reid.data.synthetic.identity import HAIR_STYLES, UPPER_KINDS, Identity
from nas_reid.data.synthetic.material import PATTERNS, Material
from nas_reid.data.synthetic.plan import plan
from nas_reid.data.synthetic.population import populate
from nas_reid.data.synthetic.render import draw, render
from nas_reid.data.synthetic.shot import Shot, describe_shot
from nas_reid.data.synthetic.spec import SyntheticSpec

TINY = SyntheticSpec("tiny")
PLAIN = SyntheticSpec("tiny", style=0.0, overlay=0.0, occluders=0.0, light=0.0, exposure=0.0)
PERSON_FIELDS = set(Identity.__dataclass_fields__) - {"group", "kind", "materials"}


def shots(spec: SyntheticSpec) -> list[Shot]:
    return [describe_shot(spec, e.person, e.camera, e.index, junk=e.junk) for e in plan(spec)]


def test_the_shot_is_a_pure_function_of_seed_person_camera_and_index() -> None:
    shot = describe_shot(TINY, 3, 1, 0)
    assert shot == describe_shot(TINY, 3, 1, 0)
    assert len({describe_shot(TINY, *keys) for keys in ((3, 1, 0), (3, 1, 1), (3, 2, 0), (4, 1, 0))}) == 4
    first, again = render(TINY, shot), render(TINY, shot)
    assert np.array_equal(first.image, again.image) and np.array_equal(first.parts, again.parts)


@pytest.mark.parametrize(("change", "moved"), [
    ({"own": 1.0}, {"scene", "window"}),
    ({"views": 1}, {"view", "pose"}),
    ({"gait": 0.0}, {"pose"}),
    ({"light": 0.0}, {"light"}),
    ({"exposure": 0.0}, {"exposure"}),
    ({"detector_scale": (1.0, 1.0)}, {"scale"}),
    ({"detector_dx": 0.0}, {"dx"}),
    ({"detector_dy": 0.0}, {"dy"}),
    ({"truncation": 1.0}, {"dy"}),
    ({"occluders": 0.0}, {"occluder"}),
    ({"occluder_cover": (0.3, 0.3)}, {"cover"}),
    ({"jpeg_quality": (80, 80)}, {"jpeg_quality"}),
    ({"style": 0.0}, set()),
    ({"noise": 0.0, "overlay": 0.0, "logos": 0.0, "bags": 0.0, "textures": 0.0}, set()),
])
def test_a_shot_factor_moves_only_its_own_fields(change: dict[str, object], moved: set[str]) -> None:
    pairs = list(zip(shots(TINY), shots(replace(TINY, **change)), strict=True))
    differing = {name for a, b in pairs for name in Shot.__dataclass_fields__ if getattr(a, name) != getattr(b, name)}
    assert differing == moved


@pytest.mark.parametrize(("change", "moved"), [
    ({"logos": 0.0}, {"logo", "logo_place", "logo_size"}),
    ({"bags": 0.0}, {"bag", "bag_side"}),
    ({"body_variation": 0.0}, {"body"}),
    ({"skin_tones": 1}, {"skin_tone"}),
    ({"textures": 0.0}, set()),
])
def test_a_person_factor_moves_only_its_own_fields(change: dict[str, object], moved: set[str]) -> None:
    base = replace(TINY, lookalikes=0.0)
    pairs = list(zip(populate(base).train, populate(replace(base, **change)).train, strict=True))
    assert {name for a, b in pairs for name in PERSON_FIELDS if getattr(a, name) != getattr(b, name)} == moved
    materials = {name for a, b in pairs for name in a.materials if a.materials[name] != b.materials[name]}
    assert materials == {"skin_tone": {"skin", "face"}}.get(next(iter(moved), ""), {"upper"} if not moved else set())


@pytest.mark.parametrize(("factor", "fields"), [
    ("cast", {"gains"}), ("saturation", {"saturation"}), ("gamma", {"gamma"}), ("levels", {"black", "white"}),
    ("blur", {"blur"}), ("noise", {"noise"}), ("resolution", {"resolution"}),
])
def test_a_style_factor_at_zero_is_neutral_and_leaves_the_others(factor: str, fields: set[str]) -> None:
    full, without = (asdict(camera(spec, 0).style) for spec in (TINY, replace(TINY, **{factor: 0.0})))
    assert {name for name in full if full[name] != without[name]} == fields
    assert all(without[name] == asdict(Style())[name] for name in fields)


def test_without_style_every_camera_sees_the_same() -> None:
    spec = replace(TINY, style=0.0, overlay=0.0)
    assert {camera(spec, index).style for index in range(spec.cameras)} == {Style()}
    shot = describe_shot(spec, 1, 0, 0)
    assert np.array_equal(render(spec, shot).image, render(spec, replace(shot, camera=1)).image) is False
    bare = replace(shot, person=0, occluder="none")
    assert np.array_equal(render(spec, bare).image, render(spec, replace(bare, camera=1)).image)


def test_style_is_proportional_to_k() -> None:
    half, full = (camera(replace(TINY, style=k), 2).style for k in (0.5, 1.0))
    assert np.allclose(2 * np.log(half.gains), np.log(full.gains))
    assert np.allclose([2 * half.blur, 2 * half.noise, 2 * half.black], [full.blur, full.noise, full.black])


@pytest.mark.parametrize(("own", "expected"), [(0.0, 0.0), (0.3, 0.3), (1.0, 1.0)])
def test_own_is_the_fraction_of_images_before_the_camera_s_scene(own: float, expected: float) -> None:
    spec = SyntheticSpec(own=own)
    taken = [describe_shot(spec, person, person % 6, 0) for person in range(1, 201)]
    fraction = np.mean([shot.scene == camera(spec, shot.camera).scene for shot in taken])
    assert abs(fraction - expected) < 0.1


def test_overlays_are_on_the_stated_fraction_of_cameras_and_nothing_else_changes() -> None:
    spec = SyntheticSpec(overlay=0.5, noise=0.0)
    names = Counter(camera(spec, index).overlay for index in range(6))
    assert names == {"none": 3, "bar": 2, "stamp": 1}
    for index in range(6):
        shot = describe_shot(spec, 1, index, 0)
        differs = (render(spec, shot).image != render(replace(spec, overlay=0.0), shot).image).any(axis=(1, 2))
        rows = {"none": slice(0, 0), "bar": slice(0, 5), "stamp": slice(121, 126)}[camera(spec, index).overlay]
        assert differs[rows].any() == (rows.stop > 0) and not np.delete(differs, rows).any()


def test_groups_are_pairs_of_one_kind_that_stay_in_one_split() -> None:
    spec = SyntheticSpec()
    people = populate(spec)
    for split, count in ((people.train, 100), (people.test, 100), (people.distractors, 20)):
        assert len(split) == count
        groups = Counter((p.group, p.kind) for p in split if p.group >= 0)
        assert set(groups.values()) == {2} and len(groups) == count // 4
        assert {kind for _, kind in groups} == {"swap", "detail", "shape"}
    alone = populate(replace(spec, lookalikes=0.0))
    assert all(p.group < 0 for p in alone.train)
    assert {p.kind for p in populate(replace(spec, lookalike_kinds=("shape",))).test} == {"none", "shape"}


def test_skin_tones_are_spread_evenly_and_say_nothing_about_clothes() -> None:
    people = populate(SyntheticSpec("base", lookalikes=0.0)).train
    tones = Counter(p.skin_tone for p in people)
    assert len(tones) == 6 and max(tones.values()) - min(tones.values()) <= 1
    # Chi-square of tone by garment: 25 degrees of freedom, 99.9 % quantile 52.6.
    for field, values in (("upper", UPPER_KINDS), ("hair", HAIR_STYLES)):
        table = np.array([[sum(p.skin_tone == t and getattr(p, field) == v for p in people) for v in values]
                          for t in range(6)])
        expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
        assert ((table - expected) ** 2 / expected).sum() < 52.6


def colours(image: np.ndarray) -> np.ndarray:
    bins = image.astype(int) >> 6
    return np.bincount((bins @ [16, 4, 1]).ravel(), minlength=64) / bins[..., 0].size


def pairs(kind: str) -> list[tuple[Identity, Identity]]:
    split = populate(replace(PLAIN, lookalikes=1.0, lookalike_kinds=(kind,), train_ids=20)).train
    return [tuple(p for p in split if p.group == group) for group in range(10)]


def test_swap_twins_have_nearly_one_histogram_and_other_stripes() -> None:
    shot = replace(describe_shot(PLAIN, 1, 0, 0), pose=Pose(), scale=0.9, dx=0.0, dy=0.0)
    for a, b in pairs("swap"):
        first, second = draw(PLAIN, shot, a).image, draw(PLAIN, shot, b).image
        assert np.minimum(colours(first), colours(second)).sum() > 0.9
        halves = [np.minimum(colours(x), colours(y)).sum() for x, y in
                  ((first[28:58, 20:44], second[28:58, 20:44]), (first[70:108, 24:40], second[70:108, 24:40]))]
        assert max(halves) < 0.75


def test_detail_and_shape_twins_share_their_clothes() -> None:
    for a, b in pairs("detail"):
        assert (a.body, a.hair, a.upper, a.lower) == (b.body, b.hair, b.upper, b.lower)
        assert a.materials["upper"].colour == b.materials["upper"].colour
        assert a != replace(b, group=a.group)
    for a, b in pairs("shape"):
        assert a.materials == b.materials and (a.upper, a.lower, a.bag) == (b.upper, b.lower, b.bag)
        assert a.hair != b.hair and abs(a.body.build - b.body.build) > 0.04


@pytest.mark.parametrize(("materials", "part"), [
    (("upper",), Part.UPPER), (("lower",), Part.LOWER), (("shoes", "sole"), Part.SHOES), (("bag",), Part.BAG),
    (("logo",), Part.LOGO), (("hair",), Part.HAIR)])
def test_a_new_colour_changes_the_pixels_of_its_part_and_their_rim(materials: tuple[str, ...], part: Part) -> None:
    shot = replace(describe_shot(PLAIN, 1, 0, 0), pose=Pose(0.7), scale=0.9, dx=0.0, dy=0.0)
    person = replace(populate(PLAIN).train[0], bag="shoulder", logo="square", logo_place="centre", logo_size=0.035,
                     hair="short", upper="longsleeve", side_stripe=False)
    blue, orange = (person.wearing(**dict.fromkeys(materials, Material(colour)))
                    for colour in ((0.1, 0.3, 0.9), (0.9, 0.5, 0.1)))
    before, after = draw(PLAIN, shot, blue), draw(PLAIN, shot, orange)
    assert np.array_equal(before.parts, after.parts)
    inside = before.parts == part
    change = np.abs(before.image.astype(int) - after.image).max(axis=2)
    near = np.any([np.roll(inside, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)], axis=0)
    assert inside.sum() > 20 and (change[inside] > 0).mean() > 0.98
    # Soft outlines of what lies on top let a little through, also away from the part's visible pixels.
    assert change[~near].max() < 0.5 * change.max() and (change[~near] > 0).sum() < 0.02 * inside.sum() + 8


def test_an_occluder_hides_what_the_record_says() -> None:
    shot = replace(describe_shot(PLAIN, 1, 0, 0), scale=0.9, dx=0.0, dy=0.0)
    free = draw(PLAIN, shot, populate(PLAIN).train[0])
    for kind in ("post", "box", "bush", "person"):
        hidden = draw(PLAIN, replace(shot, occluder=kind, cover=0.4), populate(PLAIN).train[0])
        lost = (free.parts > 0) & (hidden.parts == Part.OCCLUDER)
        assert hidden.occluded == pytest.approx(lost.sum() / (free.parts > 0).sum())
        assert (hidden.parts == Part.OCCLUDER).any()
        assert np.array_equal(free.parts[hidden.parts != Part.OCCLUDER], hidden.parts[hidden.parts != Part.OCCLUDER])
    assert free.occluded == 0.0


def test_the_print_shows_only_on_its_side() -> None:
    shot = replace(describe_shot(PLAIN, 1, 0, 0), scale=0.9, dx=0.0, dy=0.0)
    person = replace(populate(PLAIN).train[0], bag="none", logo="disc", logo_size=0.035, hair="short")
    for place, azimuth, visible in (("centre", 0, True), ("centre", np.pi, False), ("back", 0, False),
                                    ("back", np.pi, True), ("left", np.pi / 2, False)):
        picture = draw(PLAIN, replace(shot, pose=Pose(azimuth)), replace(person, logo_place=place))
        assert (picture.parts == Part.LOGO).any() == visible


def test_a_side_view_is_narrower_and_a_step_is_wider() -> None:
    person = populate(PLAIN).train[0]
    front, side = Figure(person, Pose(0.0)), Figure(person, Pose(np.pi / 2))
    assert side.half_width(1.0, 0.62) == pytest.approx(0.62) and front.half_width(1.0, 0.62) == pytest.approx(1.0)
    stride = Figure(person, Pose(np.pi / 2, phase=np.pi / 2, swing=0.07))
    feet = [stride.project(stride.leg(side)[2])[0] for side in (-1, 1)]
    assert abs(feet[0] - feet[1]) == pytest.approx(0.14, abs=0.01)


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_repeats_and_covers_part_of_the_surface(name: str) -> None:
    s, t = np.meshgrid(np.linspace(0.01, 2.99, 150), np.linspace(0.01, 1.99, 100))
    weight = PATTERNS[name](s, t, 0.02)
    assert weight.min() == 0.0 and weight.max() == 1.0 and 0.2 < weight.mean() < 0.7
    assert np.allclose(weight, PATTERNS[name](s + 1, t + 2, 0.02), atol=1e-6)
