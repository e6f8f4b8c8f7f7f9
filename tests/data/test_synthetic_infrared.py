"""Infrared in the generator: what materials reflect and radiate, and what of a person survives."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from nas_reid.data.synthetic.camera import Style, camera
from nas_reid.data.synthetic.canvas import Part
from nas_reid.data.synthetic.figure import Pose
from nas_reid.data.synthetic.identity import SKIN, Identity
from nas_reid.data.synthetic.material import Material
from nas_reid.data.synthetic.near_infrared import illuminate, luminance, near_infrared, near_infrared_scene
from nas_reid.data.synthetic.population import populate
from nas_reid.data.synthetic.render import Picture, draw, render
from nas_reid.data.synthetic.shot import Shot, describe_shot
from nas_reid.data.synthetic.spec import SyntheticSpec

QUIET = {"style": 0.0, "overlay": 0.0, "occluders": 0.0, "light": 0.0, "exposure": 0.0}
NEAR = SyntheticSpec("tiny", layout="sysu_mm01", luminance=0.25, woven=0.5, **QUIET)
THERMAL = SyntheticSpec("tiny", layout="regdb", **QUIET)
MANY = populate(SyntheticSpec("base", layout="sysu_mm01", lookalikes=0.0)).train
WHITE, BLACK = Material((0.95, 0.95, 0.95)), Material((0.05, 0.05, 0.05))


def shot(spec: SyntheticSpec, camera_index: int, azimuth: float = 0.0) -> Shot:
    return replace(describe_shot(spec, 1, camera_index, 0), pose=Pose(azimuth), scale=0.9, dx=0.0, dy=0.0)


def near(spec: SyntheticSpec, identity: Identity) -> dict[str, float]:
    return {name: material.colour[0] for name, material in near_infrared(identity.materials, spec).items()}


def contrasts(woven: float) -> np.ndarray:
    """Contrast of the patterns in near infrared relative to that in visible light, of all who wear one."""
    spec = replace(NEAR, woven=woven)
    seen = []
    for person in MANY:
        upper = person.materials["upper"]
        if upper.pattern != "plain":
            dyed = near_infrared(person.materials, spec)["upper"]
            visible = np.linalg.norm(np.subtract(upper.second, upper.colour)) / np.sqrt(3)
            seen.append(abs(dyed.second[0] - dyed.colour[0]) / visible)
    return np.array(seen)


def part_values(picture: Picture, part: Part) -> np.ndarray:
    return picture.image[picture.parts == part].astype(float) / 255


def test_the_visible_luminance_says_little_about_the_reflectance_of_a_garment() -> None:
    pairs = np.array([(luminance(person.materials[name].colour), near(NEAR, person)[name])
                      for person in MANY for name in ("upper", "lower", "bag")])
    assert 0.2 <= np.corrcoef(pairs.T)[0, 1] <= 0.42
    assert pairs[:, 1].min() >= 0.75 * 0.15 and pairs[:, 1].max() <= 0.25 + 0.75 * 0.9


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, -0.15, 0.15), (1.0, 0.999, 1.0)])
def test_the_share_of_the_luminance_is_a_factor(share: float, low: float, high: float) -> None:
    spec = replace(NEAR, luminance=share)
    pairs = [(luminance(person.materials["upper"].colour), near(spec, person)["upper"]) for person in MANY]
    assert low <= np.corrcoef(np.array(pairs).T)[0, 1] <= high


def test_skin_is_bright_whatever_its_tone_and_hair_varies_little() -> None:
    assert {person.skin_tone for person in MANY} == set(range(len(SKIN)))
    assert {near(NEAR, person)["skin"] for person in MANY} == {0.7}
    hair = [near(NEAR, person)["hair"] for person in MANY]
    assert 0.2 <= min(hair) < max(hair) <= 0.5


def test_half_of_the_patterns_are_woven_and_keep_half_of_their_contrast_the_others_vanish() -> None:
    share = contrasts(0.5)
    assert abs((share > 0.2).mean() - 0.5) < 0.1
    # A contrast that would leave the range is turned round and cut there.
    assert ((share <= 0.2) | (share >= 0.45)).mean() > 0.97 and share.max() <= 1.0
    assert contrasts(0.0).max() <= 0.2 < 0.45 <= np.quantile(contrasts(1.0), 0.05)


def test_a_fabric_has_one_reflectance_whoever_wears_it() -> None:
    spec = replace(NEAR, lookalikes=1.0, lookalike_kinds=("swap",))
    people = populate(spec).train
    for group in range(len(people) // 2):
        one, other = (near_infrared(p.materials, spec) for p in people if p.group == group)
        assert (one["upper"], one["lower"]) == (other["lower"], other["upper"])
    first, again, elsewhere = (near(s, MANY[0]) for s in (NEAR, NEAR, replace(NEAR, seed=1)))
    assert first == again and first["upper"] != elsewhere["upper"]


def test_a_print_has_a_contrast_to_the_garment_it_is_on() -> None:
    printed = [near(replace(NEAR, woven=1.0), person) for person in MANY]
    vanished = [near(replace(NEAR, woven=0.0), person) for person in MANY]
    for name, ground in (("logo", "upper"), ("stripe", "lower")):
        assert np.median([abs(p[name] - p[ground]) for p in printed]) > 0.2
        assert max(abs(p[name] - p[ground]) for p in vanished) < 0.2


def test_leaves_are_bright_and_scenes_are_dark() -> None:
    leaf = {"leaf0": Material((0.2, 0.34, 0.14))}
    assert near_infrared(leaf, NEAR)["leaf0"].colour[0] > 2 * luminance((0.2, 0.34, 0.14))
    window = np.random.default_rng(0).random((40, 20, 3), np.float32)
    for number in range(20):
        seen = near_infrared_scene(window, number, NEAR)
        assert seen.shape == window.shape and 0 <= seen.min() and seen.max() <= 0.65
        assert np.array_equal(seen[..., 0], seen[..., 1]) and np.array_equal(seen[..., 0], seen[..., 2])


def test_an_infrared_camera_of_low_sensitivity_has_dark_pictures_of_little_contrast() -> None:
    """Of the visible ones nothing changes; NEAR's cameras are quiet: a picture is 1/4 of what it would be."""
    dim = replace(NEAR, sensitivity=0.25)
    infrared, same = (draw(spec, shot(spec, 2), MANY[0]).image.astype(float) for spec in (dim, NEAR))
    assert abs(infrared - 0.25 * same).max() <= 2.5
    assert all(camera(dim, index) == camera(NEAR, index) for index in (0, 1, 3, 4))


def test_the_illuminator_fades_with_the_distance_from_its_centre() -> None:
    pixels = np.ones((128, 64, 3), np.float32)
    illuminate(pixels, 3.0, np.random.default_rng(0))
    row, column = np.unravel_index(pixels[..., 0].argmax(), (128, 64))
    assert 0.99 < pixels.max() <= 1.0 and 38 <= row <= 77 and 19 <= column <= 45
    far = np.hypot(np.array([127.5]) - row, 0) / 128
    assert pixels[127, column, 0] == pytest.approx(float(np.exp(-3 * far**2)[0]), abs=0.03)
    assert {round(camera(NEAR, index).fall_off, 3) for index in (2, 5)} < {v / 1000 for v in range(1000, 5001)}
    assert camera(replace(NEAR, illuminator=0.0), 2).fall_off == 0.0


@pytest.mark.parametrize(("infrared", "noise", "blur"), [("near", 1.5, 0.3), ("thermal", 1.0, 1.0), ("grey", 1.0, 0.0)])
def test_an_infrared_sensor_has_its_own_look(infrared: str, noise: float, blur: float) -> None:
    spec = SyntheticSpec("tiny", layout="sysu_mm01", infrared=infrared)
    visible = camera(SyntheticSpec("tiny", cameras=6), 2).style
    seen = camera(spec, 2).style
    assert seen.noise == pytest.approx(noise * visible.noise) and seen.blur == pytest.approx(visible.blur + blur)
    assert seen.saturation == 0.0 and seen.gamma == visible.gamma != 1.0
    assert (seen.gains == (1.0, 1.0, 1.0)) == (infrared != "grey")
    assert [bool(camera(spec, index).infrared) for index in range(6)] == [False, False, True, False, False, True]
    assert camera(replace(spec, style=0.0), 0).style == Style()


@pytest.mark.parametrize("spec", [NEAR, THERMAL, replace(NEAR, infrared="thermal"), replace(NEAR, infrared="grey")])
def test_infrared_pictures_have_one_channel_three_times(spec: SyntheticSpec) -> None:
    index = 1 if spec.layout == "regdb" else 2
    picture, visible = (render(replace(spec, occluders=1.0), describe_shot(spec, 1, i, 0)).image for i in (index, 0))
    assert all(np.array_equal(picture[..., 0], picture[..., channel]) for channel in (1, 2))
    assert not np.array_equal(visible[..., 0], visible[..., 2]) and picture.std() > 5


def recoloured(identity: Identity, colours: Mapping[str, Material]) -> Identity:
    return identity.wearing(**{name: colours.get(name, WHITE) for name in identity.materials})


def test_a_thermal_picture_knows_nothing_of_colours_patterns_and_prints() -> None:
    for person in populate(THERMAL).train:
        scenery = shot(THERMAL, 1)
        plain = draw(THERMAL, scenery, replace(person, logo="none", side_stripe=False))
        loud = recoloured(replace(person, logo="disc", logo_place="centre", side_stripe=True),
                          {"upper": replace(BLACK, second=(1.0, 0.0, 0.0), pattern="dots"), "skin": BLACK})
        dyed = draw(THERMAL, scenery, loud)
        assert np.array_equal(plain.image, dyed.image) and np.array_equal(plain.parts, dyed.parts)
    visible = shot(THERMAL, 0)
    assert not np.array_equal(draw(THERMAL, visible, person).image, draw(THERMAL, visible, loud).image)


def test_thermal_brightness_follows_the_body_s_warmth() -> None:
    person = replace(populate(THERMAL).train[0], hair="short", bag="none", logo="none", lower="trousers")
    means = {}
    for upper in ("tshirt", "coat"):
        picture = draw(THERMAL, shot(THERMAL, 1), replace(person, upper=upper))
        means[upper] = {part: part_values(picture, part).mean() for part in (Part.HEAD, Part.UPPER, Part.BACKGROUND)}
    for mean in means.values():
        assert mean[Part.HEAD] > mean[Part.UPPER] + 0.15 and mean[Part.UPPER] > mean[Part.BACKGROUND] + 0.05
    assert means["tshirt"][Part.UPPER] > means["coat"][Part.UPPER] + 0.1


def test_regdb_pairs_share_pose_frame_and_occluder() -> None:
    spec = replace(THERMAL, occluders=1.0)
    for person in range(1, 7):
        visible, thermal = (describe_shot(spec, person, index, 1) for index in (0, 1))
        assert replace(visible, camera=1) == thermal
        parts = [render(spec, s).parts for s in (visible, thermal)]
        visible_without_prints = np.isin(parts[0], (Part.LOGO,))
        assert ((parts[0] != parts[1]) <= visible_without_prints).mean() > 0.99
    assert describe_shot(NEAR, 1, 2, 1).pose != describe_shot(NEAR, 1, 1, 1).pose


def test_the_silhouette_is_the_same_in_every_band() -> None:
    masks = [render(spec, replace(shot(spec, 2, 0.6), camera=2)).parts > 0
             for spec in (NEAR, replace(NEAR, infrared="thermal"), replace(NEAR, infrared="grey"))]
    assert np.array_equal(masks[0], masks[2]) and (masks[0] != masks[1]).mean() < 0.01


def test_grey_is_the_visible_picture_without_its_colours() -> None:
    scenery = replace(shot(NEAR, 2), exposure=1.0)
    grey = render(replace(NEAR, infrared="grey"), scenery).image[..., 0].astype(int)
    visible = render(SyntheticSpec("tiny", cameras=6, **QUIET, test_ids=NEAR.test_ids), scenery).image
    difference = np.abs(visible @ [0.299, 0.587, 0.114] - grey)  # over-exposed colours are cut before or after
    assert difference.mean() < 0.5 and difference.max() < 6


def test_the_third_camera_looks_into_the_room_of_the_second() -> None:
    assert camera(NEAR, 2).scene == camera(NEAR, 1).scene
    assert len({camera(NEAR, index).scene for index in range(6)}) == 5
