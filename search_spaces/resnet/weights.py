"""Weight files of other projects, under the names of a ``ReIDNetwork`` around a residual trunk.

Known layouts:

- torchvision, IBN-Net and ResNeSt: a bare trunk with an ImageNet classifier ``fc``.
- torchreid: a bare trunk, ``fc.0`` and ``fc.1`` (its embedding, if it has one) and ``classifier``.
- FastReID: ``backbone.`` and ``heads.``, of version 0.1 (``heads.bnneck``, ``heads.classifier``) or 1.x
  (``heads.bottleneck``, ``heads.weight``), with its pixel statistics; non-local blocks are ``NL_2.0``, ``NL_2.1``, ...
"""

import logging
import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nas_reid.data.normalise import IMAGENET_MEAN, IMAGENET_STD

log = logging.getLogger(__name__)

_BARE = {"fc.weight": "head.classifier.weight", "fc.bias": "head.classifier.bias"}
_BARE_PREFIXES = {"fc.": "head.embedding.", "classifier.": "head.classifier."}
_FASTREID_PREFIXES = {"heads.bnneck.": "head.neck.", "heads.classifier.": "head.classifier.",
                      "heads.weight": "head.classifier.weight", "heads.pool_layer.": "head.pooling.",
                      "backbone.": "trunk."}
# Ours are of values in [0, 1], FastReID's in [0, 255].
_PIXELS = {"pixel_mean": IMAGENET_MEAN, "pixel_std": IMAGENET_STD}


def our_names(state: Mapping[str, Tensor], *, lengths: Sequence[int], non_local: Sequence[int],
              stem_pool: str) -> dict[str, Tensor]:
    """Entries under our names; what is of no known layout keeps its name and is then reported as unexpected.

    Args:
        state: of a file, without ``module.``.
        lengths: blocks of each stage of the network that the entries are for.
        non_local: how many of the last blocks of each stage have a non-local block.
        stem_pool: of that network; the log tells if the file's origin had another.
    """
    if any(name.startswith("trunk.") for name in state):
        return dict(state)
    if not any(name.startswith("backbone.") for name in state):
        return {_BARE.get(name) or _replace(name, _BARE_PREFIXES, otherwise="trunk."): tensor
                for name, tensor in state.items()}
    if stem_pool != "ceil" and not (any(".bn0." in name for name in state) or _is_grouped(state)):
        log.warning("FastReID's ResNets pool the stem without padding: network.stem_pool=ceil computes what these "
                    "weights were trained with")
    _report_pixels(state)
    after = {f"backbone.NL_{stage + 1}.{index}.": f"trunk.layer{stage + 1}.non_local.{length - count + index}."
             for stage, (length, count) in enumerate(zip(lengths, non_local, strict=True)) for index in range(count)}
    prefixes = {**after, **_bottleneck(state), **_FASTREID_PREFIXES}
    ours = {_replace(name, prefixes): tensor for name, tensor in state.items() if name not in _PIXELS}
    if "head.reduction.weight" in ours:  # a 1x1 convolution there; on a pooled map a linear layer does the same
        ours["head.reduction.weight"] = ours["head.reduction.weight"].flatten(1)
    return ours


def _replace(name: str, prefixes: Mapping[str, str], *, otherwise: str = "") -> str:
    for theirs, ours in prefixes.items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return otherwise + name


def _bottleneck(state: Mapping[str, Tensor]) -> dict[str, str]:
    """FastReID 1.x keeps an optional 1x1 convolution and the BN neck in one sequence."""
    neck = next((match[1] for name in state if (match := re.match(r"heads\.bottleneck\.(\d)\.running_mean", name))), "")
    names = {f"heads.bottleneck.{neck}.": "head.neck."} if neck else {}
    return names | ({"heads.bottleneck.0.weight": "head.reduction.weight"} if neck == "1" else {})


def _is_grouped(state: Mapping[str, Tensor]) -> bool:
    """Whether these are a ResNeXt's entries, whose stem FastReID pads as everybody does."""
    weight = state.get("backbone.layer1.0.conv2.weight")
    return weight is not None and weight.shape[0] != weight.shape[1]


def _report_pixels(state: Mapping[str, Tensor]) -> None:
    for name, ours in _PIXELS.items():
        if name not in state:
            continue
        theirs = state[name].flatten().float() / 255
        if theirs.shape == (3,) and torch.allclose(theirs, torch.tensor(ours), atol=1e-4):
            log.info("%s of the file is ours: RGB, %s of 255", name, [round(value, 4) for value in theirs.tolist()])
        else:
            log.warning("%s of the file is %s of 255; this package normalises with %s, so that its features will "
                        "differ from those the weights were trained with", name,
                        [round(value, 4) for value in theirs.tolist()], list(ours))
