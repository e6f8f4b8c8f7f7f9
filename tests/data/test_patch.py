"""Random patch against its pixel-by-pixel twin, and its sizes against torchreid's law."""

import math
import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nas_reid.data.augmentations.patch import RandomPatch, paste
from tests.data.test_augment import SHAPES, few, generator, random_images
from tests.oracles import augment as oracle


@few
@given(SHAPES, st.integers(0, 99))
def test_patches_equal_the_loop(shape, seed):
    images, patching = random_images(*shape), RandomPatch(0.8)
    patches = patching.draw(images, generator(seed))
    assert torch.equal(patching(images, generator(seed)), oracle.paste(images, patches))


def test_patches_are_unchanged_windows_of_the_batch():
    images = random_images(6, 20, 10)
    patches = RandomPatch(1.0, mirror=0.0, rotate=0.0).draw(images, generator())
    pasted = paste(images, patches)
    for b, (top, left, tall, wide, source, row, column, *_) in enumerate(zip(*patches, strict=True)):
        from_top, from_left = int(row - (tall - 1) / 2), int(column - (wide - 1) / 2)
        window = images[source, from_top:from_top + tall, from_left:from_left + wide]
        assert window.shape[:2] == (tall, wide)                 # it lies within its image
        assert torch.equal(pasted[b, top:top + tall, left:left + wide], window)
    mirrored = paste(images, patches._replace(mirror=-patches.mirror))
    top, left, tall, wide = (int(edge[0]) for edge in patches[:4])
    area = slice(top, top + tall), slice(left, left + wide)
    assert torch.equal(mirrored[0][area].flip(1), pasted[0][area])


def test_a_patch_turned_by_half_a_turn_is_upside_down():
    images = random_images(3, 16, 8)
    straight = RandomPatch(1.0, mirror=0.0, rotate=0.0).draw(images, generator(1))
    turned = paste(images, straight._replace(angle=torch.full((3,), torch.pi)))
    for b, (top, left, tall, wide) in enumerate(zip(*straight[:4], strict=True)):
        area = slice(top, top + tall), slice(left, left + wide)
        assert torch.equal(turned[b][area].flip(0, 1), paste(images, straight)[b][area])


def redrawn_sizes(height, width, count):
    """torchreid's law in plain Python: both numbers again until the rectangle fits."""
    draw, sizes = random.Random(0).uniform, []
    while len(sizes) < count:
        area, ratio = draw(0.01, 0.5) * height * width, draw(0.1, 10)
        tall, wide = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        sizes += [(tall, wide)] if tall < height and wide < width else []
    return torch.tensor(sizes).T


@pytest.mark.parametrize("size", [(256, 128), (128, 128)])
def test_sizes_of_patches_follow_torchreids_law(size):
    height, width = size
    images = torch.empty(1, dtype=torch.uint8).expand(20_000, *size, 3)
    patches = RandomPatch(1.0).draw(images, generator())
    assert (patches.height > 0).all() and (patches.height < height).all() and (patches.width < width).all()
    share = patches.height * patches.width / (height * width)
    if size == (256, 128):
        assert share.mean() == pytest.approx(0.2055, abs=0.004)              # 4 standard errors
        assert (share > 0.4).float().mean() == pytest.approx(0.102, abs=0.009)
    tall, wide = redrawn_sizes(height, width, 20_000)
    for ours, theirs in ((share, tall * wide / (height * width)), (patches.height / patches.width, tall / wide)):
        marks = torch.linspace(0.02, 0.98, 25)
        gap = (ours.quantile(marks)[:, None] >= theirs).float().mean(1) - marks
        assert gap.abs().max() < 0.017                                       # Kolmogorov-Smirnov at 0.5 %


def test_an_image_that_no_rectangle_fits_stays_as_it_is():
    images = random_images(4, 1, 6)
    assert torch.equal(RandomPatch(1.0)(images, generator()), images)


def test_every_image_of_the_batch_gives_patches():
    patches = RandomPatch(0.5).draw(torch.empty(4000, 64, 32, 3, dtype=torch.uint8), generator())
    assert 0.45 < (patches.height > 0).float().mean() < 0.55
    assert (patches.source.bincount(minlength=4000) > 0).float().mean() > 0.6 and patches.source.max() < 4000
    assert 0.45 < (patches.angle != 0).float().mean() < 0.55 and patches.angle.abs().max() <= torch.pi / 18
    assert 0.45 < (patches.mirror < 0).float().mean() < 0.55
    share = (patches.height * patches.width)[patches.height > 0] / (64 * 32)
    assert share.min() > 0.005 and share.max() < 0.53
