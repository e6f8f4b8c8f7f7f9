"""Splits of the training images: validation identities, and the two parts of a search."""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import compress
from operator import not_
from typing import TypeVar

import numpy as np

from nas_reid.data.places import has_no_cameras
from nas_reid.data.sample import Sample
from nas_reid.data.test_lists import as_test, grouped, has_both_modalities, in_order, queries_of, without
from nas_reid.errors import ConfigError, DataError
from nas_reid.seed import derive_seed

_Item = TypeVar("_Item")

WITHOUT_VALIDATION = ("A retraining can do without (full_training_set=true) or take other data (validation_data=NAME); "
                      "where cameras are unknown, evaluation.protocol=same_camera_allowed lets a person's other images "
                      "count")
"""The ways out where nothing can be held out."""


def hold_out(samples: Sequence[Sample], *, by: str, fraction: float, seed: int,
             official: Collection[int] = ()) -> tuple[list[Sample], list[Sample], list[Sample]]:
    """Hold training images out for validation.

    Args:
        samples: the training images.
        by: a name in ``HOLD_OUTS``. "identity", "camera": see the functions below. "official": the identities that the
            data set's authors meant for validation, tested as in ``hold_out_identities``.
        fraction: share to hold out, in (0, 1); unused where it is official.
        seed: of the draw.
        official: pids that the data set's authors meant for validation.

    Returns:
        The other images, the queries and the gallery, each sorted by path.

    Raises:
        ConfigError: unknown ``by``, or ``fraction`` outside (0, 1); ``by`` is official and the data set has none.
        DataError: nothing can be held out.
    """
    if by == "camera":
        return hold_out_cameras(samples, fraction=fraction, seed=seed)
    if by == "identity":
        return hold_out_identities(samples, fraction=fraction, seed=seed)
    if by != "official":
        raise ConfigError(f"validation_by={by!r} is unknown; choose one of {sorted(HOLD_OUTS)}")
    rest, held_out = _official_parts(samples, official, key="validation_by")
    return rest, *as_test(held_out, _generator(seed))


def hold_out_identities(
    samples: Sequence[Sample], *, fraction: float, seed: int
) -> tuple[list[Sample], list[Sample], list[Sample]]:
    """Hold identities out of the training images and give them the structure of a test.

    Only identities that two cameras saw can be held out: others could not be evaluated and stay in training. Of
    each held-out identity, every camera contributes one image as a query and the rest to the gallery, as in
    Market-1501. Where fewer than two cameras would then have it in the gallery, its most frequent camera gives no
    query, so that every query has a match from another camera.

    Images at places of their own (see ``places``) are query and gallery at once: each looks for the others.

    With visible and infrared images, identities of both are held out: their infrared images search the visible ones.

    Args:
        samples: the training images.
        fraction: share of all identities to hold out, in (0, 1); rounded to the nearest number, at least one, at
            most all that two cameras saw, and one fewer if none would be left to train on.
        seed: of the draw.

    Returns:
        The other images, the queries and the gallery, each sorted by path.

    Raises:
        ConfigError: ``fraction`` outside (0, 1).
        DataError: no identity can be held out.
    """
    _check_fraction("validation_fraction", fraction)
    samples = in_order(samples)
    by_pid = grouped(samples, lambda sample: sample.pid)
    across = has_both_modalities(samples)
    eligible = [pid for pid, images in by_pid.items() if _can_be_searched(images, across=across)]
    count = min(max(1, math.floor(fraction * len(by_pid) + 0.5)), len(eligible), len(by_pid) - 1)
    if count < 1:
        seen = "were seen by two cameras" + (", one of them infrared" if across else "")
        raise DataError(f"no identity can be held out for validation: of {len(by_pid)} training identities "
                        f"{len(eligible)} {seen}, and one must be left to train on. {WITHOUT_VALIDATION}")
    rng = _generator(seed)
    held_out = {eligible[i] for i in rng.permutation(len(eligible))[:count]}
    return ([s for s in samples if s.pid not in held_out],
            *as_test([s for s in samples if s.pid in held_out], rng))


def hold_out_cameras(
    samples: Sequence[Sample], *, fraction: float, seed: int
) -> tuple[list[Sample], list[Sample], list[Sample]]:
    """Hold whole cameras out of the training images: validation then measures the transfer to unseen cameras.

    The people in front of them may be those that are trained on, seen by the other cameras. Everyone whom two of the
    held-out cameras saw is looked for as in ``hold_out_identities``; the others are in the gallery all the same.

    Args:
        samples: the training images.
        fraction: share of all cameras to hold out, in (0, 1); rounded to the nearest number, at least two, of which two
            saw the same person, and at most all but one.
        seed: of the draw.

    Returns:
        The other cameras' images, the queries and the gallery, each sorted by path.

    Raises:
        ConfigError: ``fraction`` outside (0, 1).
        DataError: no cameras can be held out.
    """
    _check_fraction("validation_fraction", fraction)
    _require_cameras(samples, key="validation_by")
    rng = np.random.default_rng(derive_seed(seed, "hold out cameras"))
    samples = in_order(samples)
    cameras = sorted({sample.camid for sample in samples})
    pairs = _cameras_of_one_person(samples)
    if not pairs or len(cameras) < 3:
        raise DataError(f"no cameras can be held out for validation: of the {len(cameras)} training cameras two must "
                        "have seen the same person, and one be left to train on. "
                        + ("Use validation_by=identity" if pairs else WITHOUT_VALIDATION))
    first = pairs[rng.integers(len(pairs))]
    others = rng.permutation([camera for camera in cameras if camera not in first]).tolist()
    count = min(math.floor(fraction * len(cameras) + 0.5), len(cameras) - 1)
    chosen = {*first, *others[:max(0, count - 2)]}
    held_out = [sample for sample in samples if sample.camid in chosen]
    query = [image for images in grouped(held_out, lambda sample: sample.pid).values()
             if len({image.camid for image in images}) > 1 for image in queries_of(images, rng)]
    return ([sample for sample in samples if sample.camid not in chosen], in_order(query),
            without(held_out, query))


HOLD_OUTS = ("identity", "camera", "official")
"""What ``hold_out`` can do."""


def split_search(
    samples: Sequence[Sample], *, by: str, fraction: float, seed: int, official: Collection[int] = ()
) -> tuple[list[Sample], list[Sample]]:
    """Split the training images of a search between the weights and the alphas.

    Args:
        samples: the training images.
        by: "image": both parts have every identity, each with its share of images, rounded up for the weights; an
            identity of one image (of a modality) is the weights' only. "identity": the parts have different
            identities. "camera": they have different cameras, so that the alphas answer for cameras that the weights
            did not see. "official": the alphas have the identities that the data set's authors meant for validation,
            the weights the others.
        fraction: share of the weights, in (0, 1); neither part gets nothing of what can be divided.
        seed: of the draw.
        official: pids that the data set's authors meant for validation.

    Returns:
        The weights' part and the alphas' part, each sorted by path.

    Raises:
        ConfigError: unknown ``by``, or ``fraction`` outside (0, 1); ``by`` is official and the data set has none.
        DataError: one part would be empty.
    """
    if by == "official":
        return _official_parts(samples, official, key="split.by")
    if by not in _SPLITS:
        raise ConfigError(f"split.by={by!r} is unknown; choose one of {sorted((*_SPLITS, 'official'))}")
    _check_fraction("split.weights_fraction", fraction)
    if by == "camera":
        _require_cameras(samples, key="split.by")
    rng = np.random.default_rng(derive_seed(seed, "split search"))
    samples = in_order(samples)
    for_weights = _SPLITS[by](samples, fraction, rng)
    weights_part, alphas_part = (list(compress(samples, flags)) for flags in (for_weights, map(not_, for_weights)))
    if not weights_part or not alphas_part:
        raise DataError(f"cannot split {len(samples)} images of {len({s.pid for s in samples})} identities by {by} "
                        "into two parts; each needs at least one")
    return weights_part, alphas_part


def _official_parts(samples: Sequence[Sample], official: Collection[int], *,
                    key: str) -> tuple[list[Sample], list[Sample]]:
    """The images to train on, and those of the identities that the authors meant for validation, sorted."""
    chosen = set(official)
    if not chosen:
        raise ConfigError(f"{key}=official: the data set names no identities for validation, as SYSU-MM01 does with "
                          "data.options.with_val=true; choose identity")
    samples = in_order(samples)
    rest, held_out = [s for s in samples if s.pid not in chosen], [s for s in samples if s.pid in chosen]
    if not rest or not held_out:
        raise DataError(f"{key}=official: of {len(samples)} training images {len(held_out)} are of the {len(chosen)} "
                        "identities for validation; these and others are needed")
    return rest, held_out


def _can_be_searched(images: Sequence[Sample], *, across: bool) -> bool:
    """Whether another camera saw this identity too; ``across``: an infrared and another, visible one."""
    if not across:
        return len({image.camid for image in images}) > 1
    infrared, visible = ({i.camid for i in images if bool(i.modality) is flag} for flag in (True, False))
    return len(infrared | visible) > 1 and bool(infrared and visible)


def _cameras_of_one_person(samples: Iterable[Sample]) -> list[tuple[int, int]]:
    """The pairs of cameras that saw the same person, sorted."""
    seen_by: dict[int, set[int]] = defaultdict(set)
    seen_with: dict[int, set[int]] = defaultdict(set)
    for sample in samples:
        seen_by[sample.pid].add(sample.camid)
    for cameras in seen_by.values():
        for camera in cameras:
            seen_with[camera] |= cameras
    return sorted((one, other) for one, others in seen_with.items() for other in others if one < other)


def _require_cameras(samples: Iterable[Sample], *, key: str) -> None:
    if has_no_cameras(samples):
        raise DataError(f"{key}=camera: the images' cameras are unknown, or do not count "
                        "(evaluation.protocol=same_camera_allowed); choose identity")


def _generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(derive_seed(seed, "hold out identities"))


def _by_image(samples: Sequence[Sample], fraction: float, rng: np.random.Generator) -> list[bool]:
    chosen = {id(image) for images in grouped(samples, lambda sample: (sample.pid, sample.modality)).values()
              for image in _share(images, fraction, rng)}
    return [id(sample) in chosen for sample in samples]


def _by_identity(samples: Sequence[Sample], fraction: float, rng: np.random.Generator) -> list[bool]:
    pids = set(_share(sorted({sample.pid for sample in samples}), fraction, rng))
    return [sample.pid in pids for sample in samples]


def _by_camera(samples: Sequence[Sample], fraction: float, rng: np.random.Generator) -> list[bool]:
    cameras = set(_share(sorted({sample.camid for sample in samples}), fraction, rng))
    return [sample.camid in cameras for sample in samples]


_SPLITS: dict[str, Callable[[Sequence[Sample], float, np.random.Generator], list[bool]]] = {
    "image": _by_image,
    "identity": _by_identity,
    "camera": _by_camera,
}
"""From sorted images to whether each is for the weights."""

SPLITS = (*_SPLITS, "official")


def _share(items: Sequence[_Item], fraction: float, rng: np.random.Generator) -> list[_Item]:
    """``fraction`` of ``items`` at random, rounded up, but not all of several."""
    count = min(math.ceil(fraction * len(items) - 1e-9), max(1, len(items) - 1))  # 1e-9: 0.28 * 25 is 7, not 8
    return [items[i] for i in rng.permutation(len(items))[:count].tolist()]


def _check_fraction(name: str, fraction: float) -> None:
    if not 0 < fraction < 1:
        raise ConfigError(f"{name}={fraction} must lie strictly between 0 and 1")
