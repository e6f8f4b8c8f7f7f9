"""Where lists are compared: on the network's device if what that takes fits there, else on the CPU.

Plain distances are exact on either, so that ranks do not depend on it. Variants that take powers or means agree to the
rounding of their last step.
"""

import logging

import torch

from nas_reid.evaluation.distance import BLOCK_MEMORY
from nas_reid.evaluation.features import Embedded
from nas_reid.network.free_memory import memory_of

BLOCKS = 4 * BLOCK_MEMORY
"""Bytes for what is there a block at a time: distances, masks, and what sorting takes beside them."""

log = logging.getLogger(__name__)


def place_for(needed: int, device: torch.device | str, *, what: str) -> torch.device:
    """``device``, or the CPU if so many bytes are not free on it.

    Args:
        needed: upper bound of the bytes that it takes.
        device: where the network is.
        what: is done, for the log.
    """
    device = torch.device(device)
    if device.type != "cuda":
        return device
    free = memory_of(device).free
    if free is None or needed <= free:
        return device
    log.info("%s is done on the CPU: it may take %.1f GiB and %.1f are free on %s", what, needed / 2**30, free / 2**30,
             device)
    return torch.device("cpu")


def feature_bytes(query: Embedded, gallery: Embedded, *, copies: int) -> int:
    """Bytes of so many float32 copies of all features."""
    return 4 * copies * (query.features.numel() + gallery.features.numel())
