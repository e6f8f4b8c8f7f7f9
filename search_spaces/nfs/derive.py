"""From probabilities to masks: which channels and pixels of each cell are kept."""

import math
from collections.abc import Mapping
from typing import TypedDict

import torch
from torch import Tensor

from nas_reid.errors import ConfigError, require_known

DERIVATIONS = ("threshold", "top_k")


class Derivation(TypedDict):
    """Arguments of ``kept`` beside the probabilities."""

    derivation: str
    ratio: float
    floor: float


Share = float | Mapping[str, float]
"""One number for both levels, or ``{"channels": ..., "pixels": ...}``."""


def kept(probs: Tensor, *, derivation: str, ratio: float, floor: float) -> Tensor:
    """The rows to keep, bool [R].

    Args:
        probs: [R, 2], columns ``drop`` and ``keep``.
        derivation: ``threshold``: rows that are more likely kept than dropped, filled up to ``floor`` with the
            likeliest others; ``top_k``: the likeliest ``ratio`` of the rows. Equal ones: the first.
        ratio: of ``top_k``, in (0, 1].
        floor: share of the rows kept in any case, in [0, 1]; at least one row is kept.
    """
    score = (probs[:, 1] - probs[:, 0]).detach().double().cpu()
    order = score.argsort(descending=True, stable=True)
    least = max(1, math.ceil((ratio if derivation == "top_k" else floor) * len(score) - 1e-9))
    mask = torch.zeros(len(score), dtype=torch.bool) if derivation == "top_k" else score > 0
    mask[order[:least]] = True
    return mask


def derivation_by_level(derivation: str, ratio: Share, floor: Share) -> dict[str, Derivation]:
    """The arguments of ``kept`` for ``channels`` and for ``pixels``.

    Raises:
        ConfigError: names the argument of the space that is illegal.
    """
    require_known("space.derivation", derivation, DERIVATIONS)
    ratios, floors = _by_level("ratio", ratio, may_be_0=False), _by_level("floor", floor, may_be_0=True)
    return {level: {"derivation": derivation, "ratio": ratios[level], "floor": floors[level]} for level in ratios}


def _by_level(key: str, share: Share, *, may_be_0: bool) -> dict[str, float]:
    shares = dict(share) if isinstance(share, Mapping) else {"channels": share, "pixels": share}
    sound = set(shares) == {"channels", "pixels"} and all(
        isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
        and (value > 0 or may_be_0) for value in shares.values())
    if not sound:
        low = "from 0" if may_be_0 else "above 0"
        raise ConfigError(f"space.{key}={share!r} is illegal; expected a share {low} to 1, or one each: "
                          "{channels: 0.7, pixels: 0.9}")
    return shares
