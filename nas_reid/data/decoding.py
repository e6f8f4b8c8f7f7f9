"""From an image file to RGB bytes of a fixed size, one at a time or many with threads."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def decode(path: Path, image_size: tuple[int, int]) -> np.ndarray:
    """Decode and resize one image.

    Bilinear with Pillow's antialiasing, as torchvision resizes Pillow images. Grey, palette and CMYK images become
    RGB; transparency is dropped; of 16-bit images the upper byte is kept (Pillow alone would clip them to white).

    Args:
        path: the image file.
        image_size: (height, width) of the result.

    Returns:
        uint8 [H, W, 3].

    Raises:
        OSError, SyntaxError, ValueError, ...: whatever Pillow's decoders raise for a broken file.
    """
    height, width = image_size
    with Image.open(path) as image:
        return np.asarray(_to_rgb(image).resize((width, height), Image.Resampling.BILINEAR))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    elif image.mode == "P":
        image = image.convert("RGBA")  # Pillow warns when it drops a palette's transparency directly
    return image.convert("RGB")


def map_in_order(function: Callable[[_Item], _Result], items: Iterable[_Item], *, workers: int) -> Iterator[_Result]:
    """``map`` on threads; at most eight results per worker wait for the consumer, whatever the number of items."""
    pending: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) == 8 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
