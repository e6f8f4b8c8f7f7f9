"""State dicts between this package and torchreid (https://github.com/KaiyangZhou/deep-person-reid, v1.4).

torchreid has two families of keys: ``osnet`` (osnet.py: streams conv2a, conv2b, ...; transitions inside the stages)
and ``osnet_ain`` (osnet_ain.py and the search's child: streams conv2.0, conv2.1, ...; transitions pool2, pool3).
Ours are those of the second under ``trunk.``; its ``fc`` is our ``head.embedding``.
"""

import re
from collections.abc import Mapping
from string import ascii_lowercase
from typing import Any

from torch import Tensor

from nas_reid.errors import CheckpointError
from search_spaces.osnet_ain.trunk import BLOCKS, scaled_channels

FAMILIES = ("osnet", "osnet_ain")
_HEAD = {"fc.": "head.embedding.", "classifier.": "head.classifier."}
_BLOCK = r"^(conv[234]\.\d+)\."


def from_torchreid(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Entries under the names of a ``ReIDNetwork`` with an OSNet trunk and OSNet's head; either family."""
    return {_our_name(name): tensor for name, tensor in state.items()}


def to_torchreid(state: Mapping[str, Tensor], family: str) -> dict[str, Tensor]:
    """Entries under torchreid's names; entries that torchreid has no place for (a neck) are left out.

    Args:
        state: of a ``ReIDNetwork`` with an OSNet trunk and OSNet's head.
        family: one of ``FAMILIES``.
    """
    known = ("trunk.", *_HEAD.values())
    return {_their_name(name, family): tensor for name, tensor in state.items() if name.startswith(known)}


def describe_state(state: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, str]]:
    """What a state dict of ``from_torchreid`` says about its network.

    Returns:
        The arguments of the space that it shows (``width``, ``stem``), and the body of its genotype.

    Raises:
        CheckpointError: not the state of an OSNet.
    """
    stem = state.get("trunk.conv1.conv.weight")
    if stem is None or "trunk.conv4.1.conv3.conv.weight" not in state:
        raise CheckpointError(f"the weights are not those of an OSNet: no conv1.conv.weight or no conv4.1.conv3 among "
                              f"{len(state)} entries such as {', '.join(sorted(state)[:3])}")
    width = len(stem) / scaled_channels(1.0)[0]
    arguments = {"width": width, "stem": "batch" if "trunk.conv1.bn.running_mean" in state else "instance"}
    body = {}
    for block in BLOCKS:
        prefix = f"trunk.{block.replace('_', '.')}."
        if f"{prefix}IN_in.weight" in state:
            body[block] = "os_in_out"
        elif f"{prefix}IN.weight" in state:
            body[block] = "os_out" if f"{prefix}conv3.bn.weight" in state else "os_in"
        else:
            body[block] = "os"
    return arguments, body


def _our_name(name: str) -> str:
    for theirs, ours in _HEAD.items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    name = re.sub(_BLOCK + r"conv2a\.", r"\1.conv2.0.layers.0.", name)
    name = re.sub(_BLOCK + r"conv2([b-z])\.(\d+)\.",
                  lambda match: f"{match[1]}.conv2.{ascii_lowercase.index(match[2])}.layers.{match[3]}.", name)
    return "trunk." + re.sub(r"^conv([23])\.2\.0\.", r"pool\1.0.", name)


def _their_name(name: str, family: str) -> str:
    for theirs, ours in _HEAD.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    name = name.removeprefix("trunk.")
    if family == "osnet_ain":
        return name
    name = re.sub(_BLOCK + r"conv2\.0\.layers\.0\.", r"\1.conv2a.", name)
    name = re.sub(_BLOCK + r"conv2\.(\d+)\.layers\.(\d+)\.",
                  lambda match: f"{match[1]}.conv2{ascii_lowercase[int(match[2])]}.{match[3]}.", name)
    return re.sub(r"^pool([23])\.0\.", r"conv\1.2.0.", name)
