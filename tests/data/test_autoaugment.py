"""Each operation of AutoAugment against Pillow's, image by image; the drawing against the published policy."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from nas_reid.data.augmentations import per_image
from nas_reid.data.augmentations.autoaugment import NOTHING, OPERATIONS, AutoAugment, operate

AFFINE, BILINEAR, GREY = Image.Transform.AFFINE, Image.Resampling.BILINEAR, (128, 128, 128)
PILLOW: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "posterize": lambda image, bits: ImageOps.posterize(image, int(bits)),
    "solarize": lambda image, threshold: ImageOps.solarize(image, int(threshold)),
    "invert": lambda image, _: ImageOps.invert(image),
    "contrast": lambda image, factor: ImageEnhance.Contrast(image).enhance(factor),
    "autocontrast": lambda image, _: ImageOps.autocontrast(image),
    "equalize": lambda image, _: ImageOps.equalize(image),
    "colour": lambda image, factor: ImageEnhance.Color(image).enhance(factor),
    "sharpness": lambda image, factor: ImageEnhance.Sharpness(image).enhance(factor),
    "rotate": lambda image, degrees: image.rotate(degrees, BILINEAR, fillcolor=GREY),
    "shear": lambda image, rate: image.transform(image.size, AFFINE, (1, rate, 0, 0, 1, 0), BILINEAR, fillcolor=GREY),
}
VALUES = {"posterize": (4, 5, 6, 7, 8), "solarize": (0, 76, 128, 204, 256), "contrast": (0.1, 0.82, 1.0, 1.54, 1.9),
          "colour": (0.1, 0.46, 1.0, 1.54, 1.9), "sharpness": (0.1, 0.5, 1.0, 1.36, 1.9),
          "rotate": (-27, -9, 0, 24, 30), "shear": (-0.3, -0.15, 0, 0.15, 0.3)}


def pictures() -> Tensor:
    """Noise, a smooth picture of few levels, a dark one, one colour, two colours: uint8 [5, 40, 24, 3]."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(256, (40, 24, 3), generator=generator)
    slope = torch.linspace(30, 200, 40)[:, None, None] + torch.linspace(-20, 20, 24)[:, None] + torch.arange(3) * 5
    dark = torch.randint(10, 60, (40, 24, 3), generator=generator)
    flat = torch.tensor([7, 100, 255]).expand(40, 24, 3)
    halves = torch.where(torch.arange(24)[:, None] < 12, torch.tensor([0, 50, 100]), torch.tensor([200, 60, 255]))
    return torch.stack([noise, slope.long(), dark, flat, halves.expand(40, 24, 3)]).to(torch.uint8)


def differences(operation: str) -> Tensor:
    """Levels between ours and Pillow's, for every picture and value."""
    found = []
    for value in VALUES.get(operation, (0,)):
        images = pictures()
        ours = operate(images, torch.full((5,), OPERATIONS.index(operation)), torch.full((5,), float(value)))
        theirs = [np.asarray(PILLOW[operation](Image.fromarray(image.numpy()), value)) for image in images]
        found.append(ours.int() - torch.from_numpy(np.stack(theirs)).int())
    return torch.stack(found).abs()


@pytest.mark.parametrize("operation", ["posterize", "solarize", "invert", "contrast", "autocontrast", "equalize"])
def test_operations_by_table_are_pillows_to_the_byte(operation: str) -> None:
    assert differences(operation).max() == 0


@pytest.mark.parametrize("operation", ["colour", "sharpness"])
def test_blends_are_pillows_to_the_byte(operation: str) -> None:
    assert differences(operation).max() == 0


@pytest.mark.parametrize("operation", ["rotate", "shear"])
def test_warps_are_pillows_but_for_rounding(operation: str) -> None:
    """Pillow weighs in float64 and cuts fractions off. Ours are float32: next to a whole number it can be a level."""
    difference = differences(operation)
    assert difference.max() <= 1 and (difference > 0).float().mean() < 0.005


def test_every_image_gets_its_own_operation_and_nothing_changes_nothing() -> None:
    picture = pictures()[4]
    images = picture.expand(len(OPERATIONS) + 1, -1, -1, -1).contiguous()
    value = torch.tensor([4, 100, 0, 0.5, 0, 0, 0.5, 0.5, 20, 0.2, 0.7])
    result = operate(images, torch.arange(len(OPERATIONS) + 1), value)
    assert torch.equal(result[NOTHING], picture) and torch.equal(images[0], picture)
    for index, name in enumerate(OPERATIONS):
        alone = operate(picture[None], torch.tensor([index]), value[index:index + 1])
        assert torch.equal(result[index], alone[0]) and not torch.equal(alone[0], picture), name


def test_all_at_once_as_on_a_gpu_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.cat([pictures(), pictures().flip(0)])
    ours = AutoAugment(0.7)(images, torch.Generator().manual_seed(3))

    def everywhere(images: Tensor, chosen: Tensor, change: Callable[..., Tensor], *values: Tensor) -> Tensor:
        return per_image.blend_(change(images, *values), images, per_image.byte_mask(chosen)[:, None, None, None])

    monkeypatch.setattr("nas_reid.data.augmentations.autoaugment.change_chosen", everywhere)
    assert torch.equal(AutoAugment(0.7)(images, torch.Generator().manual_seed(3)), ours)


def test_drawing_follows_the_policy() -> None:
    """How often each pair of operations comes, counted from Table 9 of the paper."""
    images = torch.empty(200_000, 1, 1, 3, dtype=torch.uint8)
    operation, value = AutoAugment(0.5).draw(images, torch.Generator().manual_seed(0))
    names = (*OPERATIONS, "nothing")
    found = Counter(map(tuple, operation.tolist()))
    share = {(names[one], names[two]): count / len(images) for (one, two), count in found.items()}
    expected = {  # 1/50 for each sub-policy that has the pair, times the chances of its operations
        ("posterize", "rotate"): 0.4 * 0.6, ("rotate", "solarize"): 0.2 * 0.6, ("posterize", "equalize"): 0.8,
        ("solarize", "autocontrast"): 2 * 0.36, ("equalize", "equalize"): 2 * 0.48, ("shear", "equalize"): 0.6,
        ("invert", "equalize"): 2 * 0.6, ("colour", "contrast"): 2 * 0.6, ("sharpness", "invert"): 0.24,
        ("rotate", "colour"): 0.8 * 0.4 + 0.8, ("colour", "solarize"): 0.64, ("posterize", "posterize"): 0.36,
        ("equalize", "solarize"): 2 * 0.08, ("rotate", "nothing"): 0.2 * 0.4 + 0.8 * 0.6 + 0.4 * 0.4,
    }
    for pair, times in expected.items():
        assert share[pair] == pytest.approx(times / 50, abs=0.0015), pair
    assert not set(share) & {("shear", "nothing"), ("nothing", "sharpness"), ("invert", "nothing")}
    values = {name: sorted({round(number, 3) for number in value[operation == index].tolist()})
              for index, name in enumerate(OPERATIONS)}
    assert values["rotate"] == [-27, -24, -9, 9, 24, 27] and values["shear"] == [-0.15, 0.15]
    assert values["posterize"] == [6, 7] and values["solarize"] == [76, 102, 128, 179, 204]
    assert values["colour"] == [0.1, 0.46, 0.82, 1.54] and values["contrast"] == [1.54]
    assert values["sharpness"] == [1.36]
