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

    Only code that takes no generator depends on these: weight initialisation and drop-out.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
