"""The bytes of a file of features, by format."""

import io
import json
from collections.abc import Callable, Sequence

import numpy as np
from safetensors.numpy import save


def npz(features: np.ndarray, paths: Sequence[str]) -> bytes:
    """Arrays ``features`` [N, D] and ``paths`` [N]."""
    buffer = io.BytesIO()
    np.savez(buffer, features=features, paths=np.array(paths))
    return buffer.getvalue()


def safetensors(features: np.ndarray, paths: Sequence[str]) -> bytes:
    """Tensor ``features`` [N, D]; ``paths`` as JSON in the metadata."""
    return save({"features": features}, metadata={"paths": json.dumps(list(paths))})


ENCODINGS: dict[str, Callable[[np.ndarray, Sequence[str]], bytes]] = {"npz": npz, "safetensors": safetensors}
