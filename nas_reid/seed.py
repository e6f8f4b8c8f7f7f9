"""Seeds: one number per run, and from it an independent stream for every purpose."""

import hashlib
import random

import numpy as np
import torch


def derive_seed(*parts: int | str) -> int:
    """A seed in [0, 2^63) for the purpose that ``parts`` name, such as ``(run seed, "augment", epoch, step)``.

    The first eight bytes of BLAKE2b (RFC 7693) over the parts, so that neighbouring steps, epochs and run seeds
    give unrelated streams, alike on every machine and in every process. ``1`` and ``"1"`` are different parts.
    """
    text = repr([part if isinstance(part, str) else int(part) for part in parts])  # int(): NumPy's repr differs
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch (every device).

    Only code that takes no generator depends on these: weight initialisation, and what ``seed_draws`` is for.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def seed_draws(*parts: int | str, device: torch.device) -> None:
    """Make what modules draw from the global generators until the next call a function of ``parts`` alone.

    Dropout, drop-path and whatever else a plugin's modules draw take no generator. Called before every loss, so that
    equal arguments of a loss give equal values, and a run that continues needs no state of a generator. Takes some
    microseconds and waits for no device. Several processes begin with the same numbers, of which ``whole_batch`` gives
    each image those that it would have in one process.

    Args:
        parts: name the purpose, see ``derive_seed``.
        device: where the modules draw, beside the CPU.
    """
    seed = derive_seed("draws", *parts)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    # torch.manual_seed asks for the call's stack where no CUDA is running, which takes a hundred times as long.
    (torch.default_generator if device.type == "cpu" else torch).manual_seed(seed)
