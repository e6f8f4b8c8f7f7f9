"""From probabilities to masks: which channels and pixels of each cell are kept."""

import math

import torch
from torch import Tensor

from nas_reid.errors import ConfigError

DERIVATIONS = ("threshold", "top_k")


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


def check_derivation(derivation: str, ratio: float, floor: float) -> None:
    """Refuse what ``kept`` could not use.

    Raises:
        ConfigError: names the argument of the space.
    """
    if derivation not in DERIVATIONS:
        raise ConfigError(f"space.derivation={derivation!r} is unknown; known are: {', '.join(DERIVATIONS)}")
    for name, value, low in (("ratio", ratio, "above 0"), ("floor", floor, "from 0")):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value <= 1 or (name == "ratio" and value == 0):
            raise ConfigError(f"space.{name}={value!r} is illegal; expected a share {low} to 1")
