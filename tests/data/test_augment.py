"""Batched augmentation against its image-by-image twin."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_reid.data.augment import AUGMENTATIONS, build_augment, normalise
from nas_reid.data.augmentations.crop import PadCrop
from nas_reid.data.augmentations.erasing import RandomErasing
from nas_reid.data.augmentations.flip import HorizontalFlip
from nas_reid.data.augmentations.jitter import ColourJitter, adjust
from nas_reid.errors import ConfigError
from tests.oracles import augment as oracle

FULL = {"flip": {}, "crop": {"padding": 3}, "erase": {"p": 0.8}, "jitter": {"brightness": 0.2, "contrast": 0.15}}
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


def test_switched_off_is_normalise_only():
    images = random_images()
    off = {"flip": {"p": 0.0}, "crop": {"padding": 0}, "erase": {"p": 0.0}, "jitter": {}}
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
    ({"flop": {}}, r"unknown augmentations \['flop'\].*'crop', 'erase', 'flip', 'jitter'"),
    ({"flip": {"probability": 1}}, r"augment\.flip=.*probability"),
    ({"flip": {"p": 1.5}}, r"flip\.p=1\.5 must lie in \[0, 1\]"),
    ({"crop": {"padding": -1}}, "must be >= 0 pixels"),
    ({"erase": {"area": (0.5, 0.1)}}, "0 < smallest <= largest <= 1"),
    ({"erase": {"aspect": 3}}, "aspect=3 must lie"),
    ({"erase": {"fill": "zero"}}, "'mean' or 'noise'"),
    ({"jitter": {"saturation": -0.1}}, r"jitter\.saturation=-0\.1"),
])
def test_bad_arguments(steps, message):
    with pytest.raises(ConfigError, match=message):
        build_augment(steps)
