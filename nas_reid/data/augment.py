"""Augmentation of whole batches of bytes, on their device, from an explicit generator.

An augmentation has two steps. ``draw`` takes uint8 images [B, H, W, 3], of which it looks at shape and device alone,
and a generator, and returns tensors of length B: each image draws for itself. ``apply`` maps images and what was drawn
for them to images of the same shape, and may overwrite them. There is no loop over images, and nothing waits for the
device. Bytes are a quarter of the traffic of floats, so ``normalise`` comes last. A new one is a file in
``augmentations/`` and a line in ``AUGMENTATIONS``.

What is drawn is a function of the seed and of an image's place in the batch: neither the pieces in which a CPU takes a
batch nor the processes that share one change it.

Torch's CPU and CUDA generators differ, so equal seeds give equal batches on one kind of device only.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

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
from nas_reid.parallel.tensors import own_slice

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


class Augmentation(Protocol):
    """One step, see above."""

    def draw(self, images: Tensor, generator: Generator) -> Sequence[Tensor]:
        """What each image needs, tensors [B, ...]."""

    def apply(self, images: Tensor, *drawn: Any) -> Tensor:
        """Change images by what was drawn for them."""


class Augment:
    """Augmentations one after the other, then ``normalise``.

    On a CPU the batch goes through in pieces, unless a step has an attribute ``mixes_images`` that is true: it then
    needs the whole batch at once, and so says ``mixes_images`` of this object.

    ``steps`` are those given, ``merged`` those that run: one pass over memory less,
    for which see docs/benchmarks.md, note 2 on the 1,536 training images.
    """

    def __init__(self, steps: Sequence[Augmentation]) -> None:
        self.steps = tuple(steps)
        self.merged = _merged(steps)
        self.mixes_images = any(getattr(step, "mixes_images", False) for step in steps)

    def __call__(self, images: Tensor, generator: Generator, *, first: int = 0, of: int | None = None) -> Tensor:
        """Augment and normalise.

        Args:
            images: uint8 [B, H, W, 3], contiguous; may be overwritten.
            generator: on the device of ``images``.
            first, of: the images are those from number ``first`` on of a batch of so many; None: they are a batch.

        Returns:
            float32 [B, 3, H, W], channels_last.
        """
        result, count = new_floats(images), len(images)
        batch = images.new_empty(()).expand(of or count, *images.shape[1:])  # a shape without memory
        drawn = [[values[first:first + count] for values in step.draw(batch, generator)] for step in self.merged]
        size = count if images.is_cuda or self.mixes_images else max(1, _PIECE // images[0].numel())
        for start in range(0, count, size):
            here = slice(start, start + size)
            piece = images[here]
            for step, values in zip(self.merged, drawn, strict=True):
                piece = step.apply(piece, *(value[here] for value in values))
            normalise(piece, result[here])
        return result.permute(0, 3, 1, 2)


def augment_own_part(augment: Augment, gather: Callable[[slice], Tensor], generator: Generator, count: int) -> Tensor:
    """This process's part of an augmented batch of ``count`` images: that of the batch that one process makes.

    Every process draws for all images, which are a few numbers each. Where images are mixed, it makes the whole batch.

    Args:
        augment: what to do.
        gather: images of the batch, uint8 [n, H, W, 3].
        generator: the same in every process.
        count: images of the batch, in all processes.
    """
    own = own_slice(count)
    if augment.mixes_images:
        return augment(gather(slice(0, count)), generator)[own]
    return augment(gather(own), generator, first=own.start, of=count)


def _merged(steps: Sequence[Augmentation]) -> tuple[Augmentation, ...]:
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
