"""Trained networks that teach: read from checkpoints, and checked against the student."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nas_reid.errors import CheckpointError, ConfigError
from nas_reid.files.of_run import file_of_run
from nas_reid.modules.head import Head, StripeHead
from nas_reid.network.checkpoint import load_checkpoint
from nas_reid.network.model import ReIDNetwork
from nas_reid.network.trained import Description, load_trained

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Teacher:
    """A trained network and where it comes from.

    Args:
        network: on the student's device.
        description: what it was built from.
        provenance: file, its digest, data, seed and validation metrics, for the student's record.
    """

    network: ReIDNetwork
    description: Description
    provenance: Mapping[str, Any]

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) it was trained on."""
        height, width = self.description.image_size
        return height, width


def load_teachers(paths: str | Sequence[str] | None, image_size: Sequence[int], *, resize: bool,
                  device: torch.device) -> list[Teacher]:
    """The networks of retrain checkpoints.

    Args:
        paths: one file or folder of a run, several, or none.
        image_size: (height, width) of the student's images.
        resize: accept teachers of another size, for which the images will be resized.
        device: where the teachers go.

    Raises:
        CheckpointError: a file that holds no trained network.
        ConfigError: neither a path nor paths; or a teacher of another input size without ``resize``.
    """
    paths = [paths] if isinstance(paths, str) else paths or []
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise ConfigError(f"teacher={paths!r}: expected a checkpoint of a retraining, or several: [FILE,FILE]")
    teachers = [_load(file_of_run(path), device) for path in paths]
    for path, teacher in zip(paths, teachers, strict=True):
        if teacher.image_size != tuple(image_size) and not resize:
            theirs, ours = ("[{},{}]".format(*size) for size in (teacher.image_size, image_size))
            raise ConfigError(f"teacher {path} was trained on images of {theirs} and the student's are {ours}; set "
                              f"data.image_size={theirs}, or teacher_resize=true to resize the images for the teacher")
    return teachers


def check_teachers(teachers: Sequence[Teacher], losses: Mapping[str, tuple[float, nn.Module]], head: Head | StripeHead,
                   identities: str | None) -> None:
    """Whether the losses that compare classifiers can: same identities, same number of stripes.

    Args:
        teachers: to be checked.
        losses: of ``distillation.build_distillation``.
        head: of the student.
        identities: digest of the student's training identities.

    Raises:
        ConfigError: they cannot; the message says which losses can.
    """
    names = [name for name, (_, loss) in losses.items() if loss.compares_classes]
    for teacher in teachers if names else ():
        known, file = teacher.description, teacher.provenance["checkpoint"]
        way_out = (f"distillation.{' and distillation.'.join(names)} compare{'' if names[1:] else 's'} classifiers. "
                   f"Set {'them' if names[1:] else 'it'} to null and use "
                   "distillation.pkt={}, which compares features, or give a teacher of the same training identities "
                   "(data, seed and validation fraction decide on them)")
        if known.num_classes != head.num_classes:
            raise ConfigError(f"teacher {file} tells {known.num_classes} identities apart and the student "
                              f"{head.num_classes}; {way_out}")
        if known.identities not in (None, identities):
            raise ConfigError(f"teacher {file} was trained on {known.num_classes} other identities than the student; "
                              f"{way_out}")
        if teacher.network.head.stripes != head.stripes:
            raise ConfigError(f"teacher {file} has {teacher.network.head.stripes} classifiers, one for each stripe, "
                              f"and the student {head.stripes}; {way_out}")
        if known.identities is None:
            log.warning("teacher %s does not say whom it was trained on; its %d classes are taken for the student's",
                        file, known.num_classes)


def require_same_teachers(saved: Sequence[Mapping[str, Any]], teachers: Sequence[Teacher]) -> None:
    """Refuse to continue a run whose teachers' files have changed.

    Raises:
        CheckpointError: names the file.
    """
    for before, teacher in zip(saved, teachers, strict=True):
        if before["blake2b"] != teacher.provenance["blake2b"]:
            raise CheckpointError(f"teacher {before['checkpoint']} is no longer the file that this run began with; "
                                  "restore it, or start anew with resume=never")


def _load(path: Path, device: torch.device) -> Teacher:
    with torch.random.fork_rng(devices=[]):  # the student starts as it would without a teacher
        network, description = load_trained(path, device=device)
    state, content = load_checkpoint(path), path.read_bytes()
    config = state.get("config", {})
    provenance = {"checkpoint": str(path), "blake2b": hashlib.blake2b(content, digest_size=16).hexdigest(),
                  "space": description.genotype.space, "image_size": list(description.image_size),
                  "data": config.get("data", {}).get("name"), "seed": config.get("seed"), "epoch": state.get("epoch"),
                  "validation": dict(state.get("validation") or {})}
    return Teacher(network, description, provenance)
