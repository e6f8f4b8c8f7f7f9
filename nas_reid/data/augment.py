"""Augmentation of whole batches of bytes, on their device, from an explicit generator.

An augmentation maps uint8 images [B, H, W, 3] and a generator to uint8 images of the same shape; each image draws for
itself. There is no loop over images, and nothing waits for the device. Bytes are a quarter of the traffic of floats,
so ``normalise`` comes last. A new one is a file in ``augmentations/`` and a line in ``AUGMENTATIONS``.

Torch's CPU and CUDA generators differ, so equal seeds give equal batches on one kind of device only.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Generator, Tensor

from nas_reid.data.augmentations.crop import PadCrop
from nas_reid.data.augmentations.erasing import RandomErasing
from nas_reid.data.augmentations.flip import HorizontalFlip
from nas_reid.data.augmentations.jitter import ColourJitter
from nas_reid.data.normalise import normalise
from nas_reid.errors import ConfigError

AUGMENTATIONS: dict[str, type] = {
    "flip": HorizontalFlip,
    "crop": PadCrop,
    "erase": RandomErasing,
    "jitter": ColourJitter,
}


class Augment:
    """Augmentations one after the other, then ``normalise``."""

    def __init__(self, steps: Sequence[Callable[[Tensor, Generator], Tensor]]) -> None:
        self.steps = tuple(steps)

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Augment and normalise.

        Args:
            images: uint8 [B, H, W, 3], contiguous; not changed.
            generator: on the device of ``images``.

        Returns:
            float32 [B, 3, H, W], channels_last.
        """
        for step in self.steps:
            images = step(images, generator)
        return normalise(images)


def build_augment(steps: Mapping[str, Mapping[str, Any] | None]) -> Augment:
    """An ``Augment`` from names and arguments.

    Args:
        steps: key of ``AUGMENTATIONS`` -> keyword arguments, in the order of application; None leaves it out.

    Raises:
        ConfigError: unknown name, unknown argument, or a value out of range.
    """
    unknown = sorted(set(steps) - set(AUGMENTATIONS))
    if unknown:
        raise ConfigError(f"unknown augmentations {unknown}; choose from {sorted(AUGMENTATIONS)}")
    built = []
    for name, arguments in steps.items():
        if arguments is None:
            continue
        if not isinstance(arguments, Mapping):
            raise ConfigError(f"augment.{name}={arguments!r}: expected its arguments, such as {{p: 0.5}}, or null")
        try:
            built.append(AUGMENTATIONS[name](**arguments))
        except TypeError as error:
            raise ConfigError(f"augment.{name}={dict(arguments)}: {error}") from None
    return Augment(built)
