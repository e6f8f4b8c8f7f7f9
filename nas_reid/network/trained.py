"""A trained network as a file: weights, and the plain data that rebuild the network around them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from nas_reid.errors import CheckpointError
from nas_reid.files import write_atomically
from nas_reid.files.of_run import file_of_run
from nas_reid.genotype import Genotype
from nas_reid.network.checkpoint import load_checkpoint
from nas_reid.network.finite import require_finite_weights
from nas_reid.network.model import ReIDNetwork, build_network
from nas_reid.registry import space_of


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
        """Back from ``to_plain``."""
        height, width = plain["image_size"]
        return Description(Genotype.from_json(plain["genotype"], origin="the checkpoint's genotype"), plain["network"],
                           plain["head"], plain["num_classes"], (height, width), plain.get("identities"))


def load_trained(path: Path, *, device: torch.device) -> tuple[ReIDNetwork, Description]:
    """The network of a retrain checkpoint (or of the folder of a run), in evaluation mode.

    Raises:
        CheckpointError: not a retrain checkpoint, or its weights do not fit its genotype or are not finite.
    """
    path = file_of_run(path)
    state = load_checkpoint(path, device=device)
    if "description" not in state:
        raise CheckpointError(f"{path} holds no trained network; expected checkpoints/best.pt or last.pt of a retrain "
                              "run (a search leaves a genotype.json: give it to nas_reid.retrain)")
    description = Description.from_plain(state["description"])
    with torch.device("meta"):
        shapes = description.build()  # a file that describes a network beyond all memory must not get it
    _require_fit(path, shapes, {name: tensor.to("meta") for name, tensor in state["weights"].items()})
    require_finite_weights(path, state["weights"])
    network = description.build().to(device)
    network.load_state_dict(state["weights"])
    return network.eval(), description


def _require_fit(path: Path, network: ReIDNetwork, weights: Mapping[str, Tensor]) -> None:
    try:
        network.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: the weights do not fit the genotype: {str(error)[:500]}") from None


def export_safetensors(path: Path, network: ReIDNetwork, description: Description) -> None:
    """Write the weights as safetensors, with the description as JSON in the file's metadata."""
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    write_atomically(path, save(tensors, metadata={"nas_reid": json.dumps(description.to_plain())}))
