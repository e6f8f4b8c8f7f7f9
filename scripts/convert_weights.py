"""Convert weights of other projects to a checkpoint of ours, to evaluate them; and OSNet's back to torchreid's layout.

    python scripts/convert_weights.py import osnet_ain_x1_0_msmt17.pth osnet_ain.pt
    python scripts/convert_weights.py import market_sbs_R50-ibn.pth sbs.pt --genotype resnet/resnet50_ibn_a_nl1
    python -m nas_reid.evaluate checkpoint=osnet_ain.pt data=market1501 data.root=DIR evaluation.distance=cosine
    python scripts/convert_weights.py export outputs/retrain/.../checkpoints/best.pt osnet_ain.pth

``import`` reads an OSNet's width and placement of instance normalisation off the file, which may be of either of
torchreid's key families, bare or wrapped in ``state_dict``, with or without ``module.``. Of any other network name the
genotype; the head is read off the file, but for a pooling without parameters. ``export`` writes a bare state dict. To
*train* from a file, no conversion is needed: python -m nas_reid.retrain weights=FILE.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor

from nas_reid.errors import CheckpointError, NasReidError
from nas_reid.genotype import Genotype
from nas_reid.network.checkpoint import save_checkpoint
from nas_reid.network.trained import Description, load_trained
from nas_reid.network.weights import load_weights, read_state, read_weights
from nas_reid.registry import load_genotype, space_of
from search_spaces.osnet_ain.space import OSNetAIN
from search_spaces.osnet_ain.torchreid_keys import FAMILIES, describe_state, from_torchreid, to_torchreid


def import_weights(source: Path, target: Path, *, image_size: tuple[int, int]) -> Genotype:
    """Write a checkpoint that ``nas_reid.evaluate`` reads; returns its genotype.

    Raises:
        CheckpointError: not the weights of one of torchreid's OSNets, or entries are missing.
    """
    state = from_torchreid(read_state(source))
    found, body = describe_state(state)
    arguments = {**load_genotype("osnet_ain/paper").arguments, **found}
    genotype = Genotype(OSNetAIN.name, OSNetAIN.version, body, arguments,
                        provenance={"kind": "import", "file": source.name, "layout": "torchreid"})
    # Only training uses the classifier; a file without one gets one for a single identity.
    classifier = state.get("head.classifier.weight")
    description = Description(genotype, {}, {**OSNetAIN.head, "neck": False},
                              1 if classifier is None else len(classifier), image_size)
    network = description.build()
    fit = load_weights(network, state, origin=str(source))
    lost = [line for line in fit.problems() if classifier is not None or "head.classifier." not in line]
    if lost:
        raise CheckpointError(f"{source} is incomplete or of another network: {'; '.join(lost[:4])}")
    save_checkpoint(target, {"description": description.to_plain(), "weights": network.state_dict()}, config={})
    return genotype


def import_network(source: Path, target: Path, *, reference: str, network: Mapping[str, Any], pooling: str,
                   image_size: tuple[int, int]) -> str:
    """Write a checkpoint of a named genotype's network; returns what its head is, in words.

    Args:
        source: a file that the genotype's space reads.
        target: file to write.
        reference: of the genotype.
        network: arguments of its space to change.
        pooling: of the head; a pooling with parameters is seen in the file.
        image_size: that the weights were trained on.

    Raises:
        GenotypeError, ConfigError: an unknown genotype or argument.
        CheckpointError: the file does not fit the network.
    """
    genotype = load_genotype(reference)
    space = space_of(genotype, network)
    state = read_weights(source, space, genotype, trunk=space.network(genotype))
    head = {"pooling": "gem" if "head.pooling.p" in state else pooling, **_head_of(state)}
    classifier = state.get("head.classifier.weight")
    description = Description(genotype, network, head, 1 if classifier is None else len(classifier), image_size)
    built = description.build()
    fit = load_weights(built, state, origin=str(source))
    lost = [line for line in fit.problems() if classifier is not None or "head.classifier." not in line]
    if lost:
        raise CheckpointError(f"{source} is of another network, or incomplete: {'; '.join(lost[:4])}")
    save_checkpoint(target, {"description": description.to_plain(), "weights": built.state_dict()}, config={})
    return ", ".join(f"{key} {value}" for key, value in head.items())


def _head_of(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The arguments of ``Head`` that entries show."""
    head: dict[str, Any] = {"neck": "head.neck.weight" in state, "classifier_bias": "head.classifier.bias" in state}
    if "head.reduction.weight" in state:
        head |= {"reduction": len(state["head.reduction.weight"]), "reduction_form": "linear"}
    if "head.embedding.0.weight" in state:
        head |= {"embedding": len(state["head.embedding.0.weight"]), "embedding_norm_relu": True}
    return head


def export_weights(source: Path, target: Path, *, family: str | None) -> int:
    """Write torchreid's state dict of a trained OSNet of ours; returns the number of entries.

    Args:
        source: checkpoint of a retraining.
        target: file to write.
        family: torchreid's names to use; None: those of the file of torchreid's that has such placements.

    Raises:
        CheckpointError: not a checkpoint of a retraining, or one of another space, or without OSNet's head.
    """
    network, description = load_trained(source, device=torch.device("cpu"))
    if description.genotype.space != OSNetAIN.name:
        raise CheckpointError(f"{source} is of space {description.genotype.space}; expected one of {OSNetAIN.name}")
    if family is None:
        family = "osnet" if set(description.genotype.body.values()) <= {"os", "os_out"} else "osnet_ain"
    state = to_torchreid(network.state_dict(), family)
    left_out = len(network.state_dict()) - len(state)
    if left_out or "fc.1.weight" not in state:
        raise CheckpointError(f"{source} has a head that torchreid's OSNet has not; train with head.neck=false and "
                              "leave head.embedding and head.embedding_norm_relu open")
    torch.save(state, target)
    return len(state)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("direction", choices=["import", "export"])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--image-size", type=int, nargs=2, default=(256, 128), metavar=("HEIGHT", "WIDTH"),
                        help="import: size that the weights were trained on")
    parser.add_argument("--genotype", help="import: the network, such as resnet/resnet50; default: OSNet")
    parser.add_argument("--network", nargs="*", default=[], metavar="KEY=VALUE",
                        help="import: arguments of its space to change, such as stem_pool=ceil last_stride=2")
    parser.add_argument("--pooling", default="average", help="import: the head's, where the file does not tell")
    parser.add_argument("--family", choices=FAMILIES, help="export: torchreid's names to use; default: by placement")
    options = parser.parse_args(arguments)
    try:
        height, width = options.image_size
        if options.direction == "import" and options.genotype:
            network: Any = OmegaConf.to_container(OmegaConf.from_dotlist(options.network))
            head = import_network(options.source, options.target, reference=options.genotype, network=network,
                                  pooling=options.pooling, image_size=(height, width))
            print(f"{options.target}: {options.genotype}, {head}")
        elif options.direction == "import":
            genotype = import_weights(options.source, options.target, image_size=(height, width))
            print(f"{options.target}: width {genotype.arguments['width']:g}, stem {genotype.arguments['stem']}, "
                  + ", ".join(f"{block} {choice}" for block, choice in genotype.body.items()))
        else:
            count = export_weights(options.source, options.target, family=options.family)
            print(f"{options.target}: {count} entries")
    except NasReidError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
