"""Weights and features must be numbers: the one gate of evaluation, export and extraction."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from nas_reid.errors import CheckpointError, DataError


def require_finite_weights(path: Path, state: Mapping[str, Tensor]) -> None:
    """Refuse weights of which some are NaN or infinite.

    Args:
        path: of their file, for the message.
        state: weights and buffers by name.

    Raises:
        CheckpointError: names the first of them.
    """
    broken = [name for name, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if broken:
        raise CheckpointError(f"{path}: {len(broken)} of {len(state)} weights are NaN or infinite, such as "
                              f"{broken[0]}; the training that wrote it diverged. Give an earlier checkpoint")


def require_finite_features(features: Tensor, *, first: int = 0, names: Sequence[str] = ()) -> Tensor:
    """The features [N, D] as they are, if all are finite.

    Args:
        features: of images.
        first: number of the first image, for the message.
        names: of the images, where they have any.

    Raises:
        DataError: names the first image whose features are not.
    """
    finite = features.isfinite().all(dim=1)
    if not finite.all():
        bad = int(finite.logical_not().nonzero()[0])
        what = names[bad] if names else f"image {first + bad}"
        raise DataError(f"features of {what} are not finite; the network that made them diverged")
    return features
