"""Augmentation of whole batches of bytes, on their device, from an explicit generator.

An augmentation maps uint8 images [B, H, W, 3] and a generator to uint8 images of the same shape; each image draws for
itself. There is no loop over images, and nothing waits for the device. Bytes are a quarter of the traffic of floats,
so ``normalise`` comes last. A new one is a file in ``augmentations/`` and a line in ``AUGMENTATIONS``.

Torch's CPU and CUDA generators differ, so equal seeds give equal batches on one kind of device only.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Generator, Tensor

from nas_reid.data.augmentations.autoaugment import AutoAugment
from nas_reid.data.augmentations.channels import ChannelExchange, RandomGrey
from nas_reid.data.augmentations.crop import PadCrop
from nas_reid.data.augmentations.cutout import Cutout
from nas_reid.data.augmentations.erasing import RandomErasing
from nas_reid.data.augmentations.flip import HorizontalFlip
from nas_reid.data.augmentations.flip_crop import FlipCrop
from nas_reid.data.augmentations.jitter import ColourJitter
from nas_reid.data.augmentations.patch import RandomPatch
from nas_reid.data.augmentations.zoom import ZoomCrop
from nas_reid.data.normalise import new_floats, normalise
from nas_reid.errors import ConfigError

AUGMENTATIONS: dict[str, type] = {
    "flip": HorizontalFlip,
    "crop": PadCrop,
    "erase": RandomErasing,
    "jitter": ColourJitter,
    "patch": RandomPatch,
    "zoom": ZoomCrop,
    "cutout": Cutout,
    "grey": RandomGrey,
    "channels": ChannelExchange,
    "autoaugment": AutoAugment,
}
_PIECE = 2**20
"""Bytes of images at a time on a CPU: few enough for the cache, and enough for threads, which take turns in Python."""


class Augment:
    """Augmentations one after the other, then ``normalise``.

    On a CPU the batch goes through in pieces, unless a step has an attribute ``mixes_images`` that is true: it then
    needs the whole batch at once. A step may have the methods ``draw(images, generator)``, which returns tensors of
    length B and looks at the images' shape alone, and ``apply(images, *drawn)``, which may overwrite them: it then
    draws once for all pieces.

    ``steps`` are those given, ``merged`` those that run: one pass over memory less,
    for which see docs/benchmarks.md, note 2 on the 1,536 training images.
    """

    def __init__(self, steps: Sequence[Callable[[Tensor, Generator], Tensor]]) -> None:
        self.steps = tuple(steps)
        self.merged = _merged(steps)

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Augment and normalise.

        Args:
            images: uint8 [B, H, W, 3], contiguous; may be overwritten.
            generator: on the device of ``images``.

        Returns:
            float32 [B, 3, H, W], channels_last.
        """
        result = new_floats(images)
        whole = images.is_cuda or any(getattr(step, "mixes_images", False) for step in self.steps)
        size = len(images) if whole else max(1, _PIECE // images[0].numel())
        drawn = [zip(*(values.split(size) for values in step.draw(images, generator)), strict=True)
                 if hasattr(step, "apply") else None for step in self.merged]
        for piece, out in zip(images.split(size), result.split(size), strict=True):
            for step, values in zip(self.merged, drawn, strict=True):
                piece = step(piece, generator) if values is None else step.apply(piece, *next(values))
            normalise(piece, out)
        return result.permute(0, 3, 1, 2)


def _merged(steps: Sequence[Callable[[Tensor, Generator], Tensor]]) -> tuple[Any, ...]:
    """The steps, a flip and the crop after it as one."""
    merged: list[Any] = []
    for step in steps:
        if isinstance(step, PadCrop) and merged and isinstance(merged[-1], HorizontalFlip):
            merged.append(FlipCrop(merged.pop(), step))
        else:
            merged.append(step)
    return tuple(merged)


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
