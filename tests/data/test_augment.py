"""Batched augmentation against its image-by-image twin."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_reid.data import augment
from nas_reid.data import normalise as normalising
from nas_reid.data.augment import AUGMENTATIONS, Augment, build_augment
from nas_reid.data.augmentations.crop import PadCrop
from nas_reid.data.augmentations.cutout import Cutout
from nas_reid.data.augmentations.erasing import RandomErasing
from nas_reid.data.augmentations.flip import HorizontalFlip
from nas_reid.data.augmentations.jitter import ColourJitter, adjust
from nas_reid.data.augmentations.patch import RandomPatch
from nas_reid.data.augmentations.zoom import ZoomCrop
from nas_reid.data.normalise import normalise
from nas_reid.errors import ConfigError
from tests.oracles import augment as oracle

FULL = {"autoaugment": {"p": 0.8}, "flip": {}, "crop": {"padding": 3}, "zoom": {}, "patch": {"p": 0.8},
        "erase": {"p": 0.8}, "cutout": {"p": 0.8}, "jitter": {"brightness": 0.2, "contrast": 0.15}}
SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 13), st.integers(1, 9))
few = settings(max_examples=25, deadline=None, derandomize=True)


def random_images(batch=4, height=12, width=7, seed=0):
    return torch.randint(256, (batch, height, width, 3), dtype=torch.uint8, generator=generator(seed))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_normalise_is_imagenets_and_channels_last():
    images = random_images()
    result = normalise(images)
    assert result.dtype == torch.float32 and result.shape == (4, 3, 12, 7)
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(result.double(), oracle.normalise(images), atol=1e-6)
    assert torch.equal(normalise(images[:, :, 1:4]), result[..., 1:4])


def test_normalise_in_pieces_is_the_same(monkeypatch):
    images = random_images(5)
    whole = normalise(images)
    monkeypatch.setattr(normalising, "_PIECE", 2 * images[0].numel())
    assert torch.equal(normalise(images), whole) and normalise(images[:0]).shape == (0, 3, 12, 7)


def test_switched_off_is_normalise_only():
    images = random_images()
    off = {"flip": {"p": 0.0}, "crop": {"padding": 0}, "erase": {"p": 0.0}, "jitter": {}, "patch": {"p": 0.0},
           "zoom": {"p": 0.0}, "cutout": {"p": 0.0}, "autoaugment": {"p": 0.0}}
    assert torch.equal(build_augment(off)(images, generator()), normalise(images))
    assert torch.equal(build_augment(dict.fromkeys(AUGMENTATIONS))(images, generator()), normalise(images))


def test_certain_flip_is_torch_flip():
    images = random_images()
    assert torch.equal(HorizontalFlip(1.0)(images, generator()), torch.flip(images, [2]))


def test_flip_leaves_some_and_flips_some():
    images = random_images(64)
    flipped = HorizontalFlip(0.25)(images, generator())
    mirrored = (flipped == images.flip(2)).flatten(1).all(1)
    assert torch.equal(flipped[~mirrored], images[~mirrored]) and 6 <= mirrored.sum() <= 26


@few
@given(SHAPES, st.integers(0, 4), st.integers(0, 99))
def test_crop_equals_the_loop(shape, padding, seed):
    images = random_images(*shape)
    top, left = torch.randint(2 * padding + 1, (2, shape[0]), generator=generator(seed))
    expected = oracle.pad_crop(images, top, left, padding)
    assert torch.equal(PadCrop(padding)(images, generator(seed)), expected)


@few
@given(SHAPES, st.integers(0, 4), st.sampled_from([0.0, 0.4, 1.0]), st.integers(0, 99))
def test_flip_and_crop_in_one_go_equal_one_after_the_other(shape, padding, p, seed):
    images, before = random_images(*shape), random_images(*shape)
    flip, crop = HorizontalFlip(p), PadCrop(padding)
    replay = generator(seed)
    flipped, windows = flip.draw(images, replay), crop.draw(images, replay)
    expected = crop.apply(flip.apply(images, *flipped), *windows)
    merged, = Augment([flip, crop]).merged
    assert torch.equal(merged.apply(images, *merged.draw(images, generator(seed))), expected)
    assert torch.equal(images, before)


def test_only_a_crop_right_after_a_flip_joins_it():
    flip, crop, zoom = HorizontalFlip(), PadCrop(), ZoomCrop()
    assert Augment([crop, flip, zoom]).merged == (crop, flip, zoom)
    assert [type(step).__name__ for step in Augment([flip, crop, crop]).merged] == ["FlipCrop", "PadCrop"]


@few
@given(SHAPES, st.sampled_from(["mean", "noise"]), st.integers(0, 99))
def test_erasing_equals_the_loop(shape, fill, seed):
    images = random_images(*shape)
    erasing = RandomErasing(0.7, fill=fill)
    replay = generator(seed)
    rectangles = erasing.rectangles(images, replay)
    pixels = torch.tensor([124, 116, 104], dtype=torch.uint8)
    if fill == "noise":
        pixels = torch.randint(256, (shape[0], shape[1], 3 * shape[2]), dtype=torch.uint8, generator=replay)
        pixels = pixels.view(images.shape)
    assert torch.equal(erasing(images, generator(seed)), oracle.erase(images, rectangles, pixels))


@few
@given(SHAPES, st.floats(0.1, 1), st.integers(0, 99))
def test_cutout_equals_the_loop(shape, share, seed):
    images, cutout = random_images(*shape), Cutout(0.7, share)
    top, left, tall, wide = cutout.squares(images, generator(seed))
    bottom, right = (top + tall).clamp(max=shape[1]), (left + wide).clamp(max=shape[2])
    top, left = top.clamp(min=0), left.clamp(min=0)                                  # the part inside the image
    inside = top, left, (bottom - top).clamp(min=0), right - left
    expected = oracle.erase(images, inside, torch.tensor([124, 116, 104], dtype=torch.uint8))
    assert torch.equal(cutout(images, generator(seed)), expected)


def test_squares_of_cutout_are_centred_anywhere():
    top, left, tall, wide = Cutout(0.5, 0.25).squares(torch.empty(4000, 64, 32, 3, dtype=torch.uint8), generator())
    assert set(tall.tolist()) == {0, 8} and set(wide.tolist()) == {8} and 0.45 < (tall > 0).float().mean() < 0.55
    assert (top.min(), top.max(), left.min(), left.max()) == (-4, 59, -4, 27)


@pytest.mark.parametrize("size", [(256, 128), (128, 256), (384, 128)])
def test_rectangles_fit_and_keep_their_bounds(size):
    height, width = size
    erasing = RandomErasing(0.5, (0.02, 0.4), aspect=0.3)
    top, left, tall, wide = erasing.rectangles(torch.empty(4000, *size, 3, dtype=torch.uint8), generator())
    chosen = tall > 0
    assert 0.45 < chosen.float().mean() < 0.55
    top, left, tall, wide = top[chosen], left[chosen], tall[chosen], wide[chosen]
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + tall <= height).all() and (left + wide <= width).all()
    share, ratio = tall * wide / (height * width), tall / wide
    assert share.min() > 0.018 and share.max() < 0.41      # half a pixel of rounding on each side
    assert 0.28 < ratio.min() < 0.4 and 3.0 < ratio.max() < 3.55
    assert abs(share.mean() - 0.21) < 0.01                 # uniform: large areas are not thinned out


def test_zoom_rounds_its_place():
    images = torch.arange(8, dtype=torch.uint8).repeat(1, 8, 1)[..., None].expand(1, 8, 8, 3) * 20
    enlarged = F.interpolate(images.permute(0, 3, 1, 2).float(), 10, mode="bilinear").round().byte()[0, 0, 0]
    zoomed = ZoomCrop(1.0, 1.25)(images.expand(9000, 8, 8, 3).contiguous(), generator())[:, 0, :, 0]
    windows = [(zoomed == enlarged[left:left + 8]).all(1).float().mean().item() for left in range(3)]
    assert windows == pytest.approx([0.25, 0.5, 0.25], abs=0.03)


def test_zoom_is_a_window_of_the_enlarged_image():
    images = random_images(40, 16, 8)
    enlarged = torch.stack([F.interpolate(image.permute(2, 0, 1)[None].double(), (18, 9), mode="bilinear")[0]
                            for image in images]).round().permute(0, 2, 3, 1)
    zoomed = ZoomCrop(0.5)(images, generator())
    untouched = (zoomed == images).flatten(1).all(1)
    windows = torch.stack([enlarged[:, top:top + 16, left:left + 8] for top in range(3) for left in range(2)])
    found = ((windows - zoomed).abs().flatten(2).amax(2) <= 1)                                   # [6, B]
    assert (found.any(0) | untouched).all() and found.any(1).all()
    assert 10 <= untouched.sum() <= 30


def test_mean_fill_is_zero_after_normalisation():
    erased = normalise(RandomErasing(1.0, (1.0, 1.0))(random_images(), generator()))
    assert erased.abs().max() < 0.01


def test_jitter_equals_its_steps():
    images = random_images(6)
    factors = [1 + 0.5 * (2 * torch.rand(6, generator=generator(i)) - 1) for i in range(3)]
    result = adjust(images, *factors)
    for b in range(6):
        expected = oracle.jitter(images[b], *(float(factor[b]) for factor in factors))
        difference = (result[b].double() - expected).abs()
        assert difference.max() <= 1 and (difference > 0).float().mean() < 0.01  # float32 near a half
    assert result.is_contiguous() and result.dtype == torch.uint8


def test_jitter_draws_within_its_range():
    grey = torch.full((500, 2, 2, 3), 100, dtype=torch.uint8)
    brightness = ColourJitter(0.2, 0.5, saturation=0.5)(grey, generator())[:, 0, 0, 0]  # the others keep flat grey
    assert 80 <= brightness.min() < 85 and 115 < brightness.max() <= 120


def test_determined_by_the_generator_and_images_stay_as_they_were():
    augment, images = build_augment(FULL), random_images(16)
    before = images.clone()
    first, again, other = (augment(images, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", FULL)
def test_each_image_draws_for_itself(name):
    same = random_images(1, height=20, width=20).expand(32, -1, -1, -1).contiguous()
    augmented = build_augment({name: FULL[name]})(same, generator())
    assert len(augmented.flatten(1).unique(dim=0)) > 1


def test_order_is_the_one_given():
    images = random_images()
    erase, jitter = {"erase": {"p": 1.0}}, {"jitter": {"brightness": 0.5}}
    one, other = (build_augment(steps)(images, generator()) for steps in ({**erase, **jitter}, {**jitter, **erase}))
    assert not torch.equal(one, other)


@pytest.mark.parametrize("steps, message", [
    ({"flop": {}}, r"unknown augmentations \['flop'\].*'crop', 'cutout', 'erase', 'flip', 'grey', 'jitter'"),
    ({"flip": {"probability": 1}}, r"augment\.flip=.*probability"),
    ({"flip": {"p": 1.5}}, r"flip\.p=1\.5 must lie in \[0, 1\]"),
    ({"crop": {"padding": -1}}, "must be >= 0 pixels"),
    ({"erase": {"area": (0.5, 0.1)}}, "0 < smallest <= largest <= 1"),
    ({"erase": {"aspect": 3}}, "aspect=3 must lie"),
    ({"erase": {"fill": "zero"}}, "'mean' or 'noise'"),
    ({"patch": {"largest": 2}}, r"patch\.smallest=0\.01, patch\.largest=2: .*largest <= 1"),
    ({"patch": {"aspect": 0}}, r"patch\.aspect=0 must lie"),
    ({"patch": {"mirror": 2}}, r"patch\.mirror=2"),
    ({"zoom": {"scale": 0.9}}, r"zoom\.scale=0\.9 must lie in \[1, 4\]"),
    ({"cutout": {"share": 0}}, r"cutout\.share=0 must lie in \(0, 1\]"),
    ({"cutout": {"p": 2}}, r"cutout\.p=2"),
    ({"autoaugment": {"p": -1}}, r"autoaugment\.p=-1"),
    ({"autoaugment": {"policy": "cifar"}}, r"augment\.autoaugment=.*policy"),
    ({"jitter": {"saturation": -0.1}}, r"jitter\.saturation=-0\.1"),
])
def test_bad_arguments(steps, message):
    with pytest.raises(ConfigError, match=message):
        build_augment(steps)


def test_the_batch_goes_through_in_pieces_unless_a_step_mixes_images(monkeypatch):
    images, seen = random_images(), []
    monkeypatch.setattr(augment, "_PIECE", 2 * images[0].numel())

    class Note:
        def draw(self, images, generator):
            return ()

        def apply(self, piece):
            seen.append(len(piece))
            return piece.flip(2)

    assert torch.equal(Augment([Note()])(images, generator()), normalise(images.flip(2)))
    assert max(seen) == 2 and sum(seen) == len(images)
    patching = RandomPatch(1.0)
    whole = normalise(patching(images, generator()).flip(2))
    assert torch.equal(Augment([patching, Note()])(images, generator()), whole) and seen[-1] == len(images)


@pytest.mark.parametrize("name", sorted(set(AUGMENTATIONS) - {"patch"}))
@pytest.mark.parametrize("pieces", [1, 4])
def test_an_image_is_augmented_by_its_place_in_the_batch_whoever_has_it(name, pieces, monkeypatch):
    images = random_images(6, height=16, width=16)
    arguments = {"autoaugment": {"p": 1.0}, "jitter": {"brightness": 0.5}, "erase": {"p": 0.8, "fill": "noise"}}
    augmentation = build_augment({"flip": {}, name: arguments.get(name, {})})
    whole = augmentation(images.clone(), generator())
    monkeypatch.setattr(augment, "_PIECE", pieces * images[0].numel())
    parts = [augmentation(images[first:first + 2].clone(), generator(), first=first, of=6) for first in (0, 2, 4)]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=0.02 if name in ("jitter", "autoaugment") else 0)
