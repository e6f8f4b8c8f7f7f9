"""Looking for images in a folder: its features, computed once and kept, and which of them are nearest."""

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from torch import Tensor

from nas_reid.data.cache import cache_root
from nas_reid.data.store import unreadable
from nas_reid.data.threads import map_in_order
from nas_reid.errors import ConfigError, DataError
from nas_reid.evaluation.distance import feature_distances
from nas_reid.evaluation.nearest import nearest_of
from nas_reid.files import write_atomically
from nas_reid.files.foreign import user_path
from nas_reid.progress import progress

log = logging.getLogger(__name__)


class Extracts(Protocol):
    """What is needed of a ``FeatureExtractor``."""

    @property
    def identity(self) -> str:
        """A digest of all that its embeddings depend on, beside the images."""

    def read(self, image: str | Path, /) -> np.ndarray:
        """RGB bytes [H, W, 3] of an image at the size of the network."""

    def embed(self, images: np.ndarray, *, names: Sequence[str]) -> Tensor:
        """Embeddings [B, D] of RGB bytes [B, H, W, 3]."""


@dataclass(frozen=True)
class Features:
    """Of image files.

    Attributes:
        features: float32 [N, D].
        paths: of the N files, relative to their folder.
        failures: of each file that cannot be read, its path and why.
    """

    features: np.ndarray
    paths: list[str]
    failures: list[str]


@dataclass(frozen=True)
class Found:
    """The ranked lists of a search.

    Attributes:
        indices: int64 [N_q, k], into the gallery, the nearest first; -1 where a list is shorter.
        distances: float64 [N_q, k]; infinite there.
        paths: what the indices mean, where the gallery is files; else empty.
    """

    indices: Tensor
    distances: Tensor
    paths: tuple[str, ...] = ()


def nearest_images(query: Tensor, gallery: Tensor, *, k: int, distance: str, own: Mapping[int, int] | None = None,
                   paths: Sequence[str] = ()) -> Found:
    """The k nearest of a gallery for every query; equal distances in the order of the gallery.

    Args:
        query: [N_q, D].
        gallery: [N_g, D].
        k: length of the lists, at least 1.
        distance: a name of ``evaluation.distance.DISTANCES``.
        own: query -> the gallery image that it is itself, which is left out.
        paths: of the gallery.

    Raises:
        ConfigError: k below 1, unknown distance.
        DataError: an empty side, or features of different dimensions.
    """
    if k < 1:
        raise ConfigError(f"k={k} must be at least 1")

    def hide(block: Tensor, start: int, stop: int) -> None:
        """Put the queries' own images infinitely far away."""
        for row, column in (own or {}).items():
            if start <= row < stop:
                block[row - start, column] = torch.inf

    blocks = feature_distances(query.float(), gallery.float(), distance=distance)
    return Found(*nearest_of(blocks, k=k, hide=hide), tuple(paths))


def folder_features(extractor: Extracts, folder: Path, files: Sequence[Path], *, batch_size: int) -> Features:
    """Features of image files; the next batch is decoded meanwhile.

    Args:
        extractor: see there.
        folder: of the files.
        files: below ``folder``.
        batch_size: images that go through the network at once.
    """
    def read(batch: Sequence[Path]) -> tuple[list[np.ndarray], list[str], list[str]]:
        """Pictures and names of what can be read, and why the others cannot."""
        images, paths, failures = [], [], []
        for file in batch:
            name = file.relative_to(folder).as_posix()
            try:
                images.append(extractor.read(file))
                paths.append(name)
            except DataError as error:
                failures.append(f"{name}: {str(error).removeprefix(f'{file} ')}")
        return images, paths, failures

    batches = [files[start:start + batch_size] for start in range(0, len(files), batch_size)]
    decoded = map_in_order(read, batches, workers=1, window=2)
    features, kept, lost = [], [], []
    for images, paths, failures in progress(decoded, description="extract", total=len(batches), unit="batch"):
        if images:
            features.append(extractor.embed(np.stack(images), names=paths).numpy())
        kept += paths
        lost += failures
    return Features(np.concatenate(features) if features else np.empty((0, 0), np.float32), kept, lost)


def require_readable(failures: Sequence[str], files: Sequence[Path], folder: Path, *, key: str,
                     on_corrupt: str) -> None:
    """Refuse images of a folder that cannot be read, or say which are left out.

    Args:
        failures: of each file that cannot be read, its path and why.
        files: all that there are.
        folder: of the files.
        key: of the configuration that names it.
        on_corrupt: ``error`` or ``skip``.

    Raises:
        DataError: there are such and ``on_corrupt`` is error, or there are no others.
    """
    if failures and (on_corrupt == "error" or len(failures) == len(files)):
        raise DataError(unreadable(failures, len(files), folder, keys=(key, "on_corrupt")))
    if failures:
        log.warning("left out %s of %s images, which cannot be read:\n  %s", f"{len(failures):,}", f"{len(files):,}",
                    "\n  ".join([*failures[:5], *(["..."] if len(failures) > 5 else [])]))


def cached_features(extractor: Extracts, folder: Path, files: Sequence[Path], *, cache: str | Path | None,
                    batch_size: int) -> Features:
    """As ``folder_features``, and kept: only files that are new, or have another size or date, are extracted again.

    Args:
        extractor, folder, files, batch_size: as there.
        cache: folder of the kept features, created when missing; None for ``features`` in ``cache_root()``. One file
            for a model and a folder of images.

    Raises:
        DataError: the cache cannot be written.
    """
    key = hashlib.blake2b(f"{extractor.identity}\0{folder.resolve()}".encode(errors="surrogateescape"), digest_size=16)
    kept = (user_path(cache) if cache else cache_root() / "features") / f"{key.hexdigest()}.safetensors"
    states = {file.relative_to(folder).as_posix(): _state(file) for file in files}
    rows, old = _read(kept)
    fresh = folder_features(extractor, folder, [file for file, (name, state) in
                                                zip(files, states.items(), strict=True) if (name, state) not in rows],
                            batch_size=batch_size)
    new = {name: row for row, name in enumerate(fresh.paths)}
    paths = [name for name, state in states.items() if name in new or (name, state) in rows]
    if not new and len(paths) == len(rows):
        return Features(old, paths, fresh.failures)
    both = np.concatenate([part for part in (old, fresh.features) if part.size]) if paths else old
    order = [len(old) + new[name] if name in new else rows[name, states[name]] for name in paths]
    features = np.ascontiguousarray(both[order])
    if new:
        log.info("features of %d images of %s are computed, those of %d were kept", len(new), folder,
                 len(paths) - len(new))
    _write(kept, features, [(name, states[name]) for name in paths])
    return Features(features, paths, fresh.failures)


def _state(file: Path) -> str:
    try:
        status = os.stat(file)
    except OSError:
        return "gone"
    return f"{status.st_size} {status.st_mtime_ns}"


def _read(kept: Path) -> tuple[dict[tuple[str, str], int], np.ndarray]:
    """(name, state) -> row, and the features [N, D]; nothing where there is no such file or it is damaged."""
    try:
        content = kept.read_bytes()
        tensors = load_tensors(content[32:])
        listed = json.loads(tensors["files"].tobytes())
        sound = hashlib.blake2b(content[32:], digest_size=32).digest() == content[:32]
        if sound and len(listed) == len(tensors["features"]):
            return {(name, state): row for row, (name, state) in enumerate(listed)}, tensors["features"]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        pass
    if kept.exists():
        log.warning("the kept features %s are damaged and are computed again", kept)
    return {}, np.empty((0, 0), np.float32)


def _write(kept: Path, features: np.ndarray, files: Sequence[tuple[str, str]]) -> None:
    names = np.frombuffer(json.dumps(files).encode(), np.uint8)
    content = save_tensors({"features": features, "files": names})
    try:
        write_atomically(kept, hashlib.blake2b(content, digest_size=32).digest() + content)
    except OSError as error:
        raise DataError(f"cannot keep features in {kept.parent}: {error.strerror}; set cache= (or NAS_REID_CACHE) to a "
                        "writable folder with room") from None
