"""A trained network as a file: weights, and the plain data that rebuild the network around them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from nas_reid.errors import CheckpointError, NasReidError
from nas_reid.files.of_run import file_of_run
from nas_reid.files.regular import require_regular
from nas_reid.genotype import Genotype
from nas_reid.network.checkpoint import load_checkpoint
from nas_reid.network.finite import require_finite_weights
from nas_reid.network.model import ReIDNetwork, build_network
from nas_reid.network.sealed_tensors import read_tensors, sealed, write_sealed
from nas_reid.registry import space_of

_MOST = 2**31 - 1  # classes, or pixels of a side


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST


def _is_named(value: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "genotype": (lambda value: isinstance(value, str), "the JSON of a genotype"),
    "network": (_is_named, "arguments of its space by name"),
    "head": (_is_named, "arguments of a head by name"),
    "num_classes": (_is_count, f"a number from 1 to {_MOST:,}"),
    "image_size": (lambda value: isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_count, value)),
                   "[height, width] in pixels"),
    "identities": (lambda value: value is None or isinstance(value, str), "a digest, or nothing"),
}
"""Field of ``Description.to_plain`` -> whether a value is sound, and what it must be."""


@dataclass(frozen=True)
class Description:
    """What rebuilds a network, as plain data; nothing in it is ever executed.

    Args:
        genotype: the architecture.
        network: overrides of the genotype's space arguments.
        head: arguments of ``build_head``.
        num_classes: training identities.
        image_size: (height, width) it was trained on.
        identities: digest of who the classes are, see ``identity_digest``; None in files that do not say.
    """

    genotype: Genotype
    network: Mapping[str, Any]
    head: Mapping[str, Any]
    num_classes: int
    image_size: tuple[int, int]
    identities: str | None = None

    def build(self) -> ReIDNetwork:
        """The network with fresh weights, drawn from the global generator."""
        trunk = space_of(self.genotype, self.network).network(self.genotype)
        return build_network(trunk, self.num_classes, **self.head)

    def to_plain(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"genotype": self.genotype.to_json(), "network": dict(self.network), "head": dict(self.head),
                "num_classes": self.num_classes, "image_size": list(self.image_size), "identities": self.identities}

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> "Description":
        """Back from ``to_plain``.

        Raises:
            CheckpointError: a field is missing, or not what ``to_plain`` writes.
            GenotypeError: see ``Genotype.from_json``.
        """
        if not isinstance(plain, Mapping):
            raise CheckpointError(f"the description of a network is a {type(plain).__name__}; expected a mapping")
        for name, (is_sound, expected) in _FIELDS.items():
            if not is_sound(value := plain.get(name)):
                raise CheckpointError(f"the description of a network has {name}={str(value)[:80]}; expected {expected}")
        height, width = plain["image_size"]
        return Description(Genotype.from_json(plain["genotype"], origin="the checkpoint's genotype"), plain["network"],
                           plain["head"], plain["num_classes"], (height, width), plain.get("identities"))


def load_trained(path: Path, *, device: torch.device) -> tuple[ReIDNetwork, Description]:
    """The network of a retrain checkpoint (or of the folder of a run), in evaluation mode.

    Raises:
        CheckpointError: not a retrain checkpoint, a damaged one, or its weights do not fit its genotype or are not
            finite.
    """
    path = file_of_run(path)
    return trained_of(load_checkpoint(path, device=device), path, device=device)


def trained_of(state: Mapping[str, Any], path: Path, *, device: torch.device) -> tuple[ReIDNetwork, Description]:
    """As ``load_trained``, of a checkpoint that was read already: ``state``, from the file ``path``."""
    if "description" not in state:
        raise CheckpointError(f"{path} holds no trained network; expected checkpoints/best.pt or last.pt of a retrain "
                              "run (a search leaves a genotype.json: give it to nas_reid.retrain)")
    weights = state.get("weights")
    if not _is_named(weights) or not all(isinstance(tensor, Tensor) for tensor in weights.values()):
        raise CheckpointError(f"{path} describes a network and has no weights for it; expected names and tensors under "
                              "'weights'. Give another checkpoint of the run")
    return _rebuilt(path, state["description"], weights, device)


def load_safetensors(path: Path, *, device: torch.device) -> tuple[ReIDNetwork, Description]:
    """The network of a ``model.safetensors`` that ``export_safetensors`` wrote, in evaluation mode.

    Raises:
        CheckpointError: as of ``load_trained``.
    """
    try:
        require_regular(path)
        with safe_open(path, "pt") as file:
            description = json.loads((file.metadata() or {})["nas_reid"])
        weights = read_tensors(path)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path} is no model.safetensors of nas_reid, or is damaged: {type(error).__name__}: "
                              f"{error}. Expected a file that nas_reid.retrain or nas_reid.export wrote") from error
    return _rebuilt(path, description, weights, device)


def _rebuilt(path: Path, plain: Mapping[str, Any], weights: Mapping[str, Tensor],
             device: torch.device) -> tuple[ReIDNetwork, Description]:
    try:
        description = Description.from_plain(plain)
        with torch.device("meta"):
            shapes = description.build()  # a file that describes a network beyond all memory must not get it
    except NasReidError as error:
        raise type(error)(f"{path}: {error}") from None
    except Exception as error:  # arguments of the wrong types can make a constructor raise anything
        raise CheckpointError(f"{path}: its description builds no network: {type(error).__name__}: {error}. It is "
                              "damaged, or of another version of a search space") from error
    _require_fit(path, shapes, {name: tensor.to("meta") for name, tensor in weights.items()})
    require_finite_weights(path, weights)
    network = description.build().to(device)
    network.load_state_dict(weights)
    return network.eval(), description


def _require_fit(path: Path, network: ReIDNetwork, weights: Mapping[str, Tensor]) -> None:
    try:
        network.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: the weights do not fit the genotype: {str(error)[:500]}") from None


def export_safetensors(path: Path, network: ReIDNetwork, description: Description) -> None:
    """Write the weights as safetensors, with the description as JSON in the file's metadata, and a checksum."""
    write_sealed(path, *_to_seal(network, description))


def to_safetensors(network: ReIDNetwork, description: Description) -> bytes:
    """The bytes that ``export_safetensors`` writes."""
    return sealed(*_to_seal(network, description))


def _to_seal(network: ReIDNetwork, description: Description) -> tuple[dict[str, Tensor], dict[str, str]]:
    return network.state_dict(), {"nas_reid": json.dumps(description.to_plain())}
