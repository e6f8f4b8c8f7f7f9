"""P x K batches in which every identity has as many infrared images as visible ones."""

import logging

import numpy as np
import torch
from torch import Tensor

from nas_reid.data.sampler import check_shape
from nas_reid.errors import ConfigError, DataError
from nas_reid.seed import derive_seed

log = logging.getLogger(__name__)


class ModalityPairSampler:
    """Which images form each batch of an epoch, as a pure function of (seed, epoch).

    A batch has P identities with K / 2 visible and K / 2 infrared images each. An epoch is as long as the modality with
    more images lasts: their number / (P K / 2), rounded up (696 batches of 8 x (4 + 4) on SYSU-MM01, 65 on RegDB).
    Identities take turns, so that none occurs more often than another by more than one; of each modality an identity's
    images do so too.

    Identities of which there are images of one modality only are left out, with a warning.

    Args:
        labels: int64 [N], the identity of each image.
        modalities: int64 [N], 0 visible, 1 infrared.
        num_identities: P.
        num_instances: K, even.
        seed: of every draw.

    Raises:
        ConfigError: P or K below 1, or K odd.
        DataError: one modality only, or fewer than P identities with both.
    """

    def __init__(self, labels: Tensor, modalities: Tensor, *, num_identities: int, num_instances: int,
                 seed: int) -> None:
        check_shape(num_identities, num_instances)
        if num_instances % 2:
            raise ConfigError(f"batch.instances={num_instances} must be even with batch.sampler=modality_pairs: half "
                              "of an identity's images are visible, half infrared")
        self.num_identities, self.half, self.seed = num_identities, num_instances // 2, seed
        infrared = modalities.numpy().astype(bool)
        if infrared.all() or not infrared.any():
            kind = "infrared" if infrared.any() else "visible"
            raise DataError(f"batch.sampler=modality_pairs needs visible and infrared images, and all {len(labels):,} "
                            f"training images are {kind}; use batch.sampler=identity, or data of both (data=sysu_mm01)")
        identities, identity = np.unique(labels.numpy(), return_inverse=True)
        counts = np.stack([np.bincount(identity[infrared == flag], minlength=len(identities))
                           for flag in (False, True)])                                           # [2, identities]
        paired = (counts[0] > 0) & (counts[1] > 0)
        self.num_left_out = int((~paired).sum())
        if paired.sum() < num_identities:
            raise DataError(f"a batch needs {num_identities} identities with visible and infrared images, and "
                            f"{int(paired.sum())} of {len(identities)} have both; lower batch.size or raise "
                            "batch.instances")
        if self.num_left_out:
            log.warning("left out %s of %s training identities, of which there are visible images only or infrared "
                        "ones only", f"{self.num_left_out:,}", f"{len(identities):,}")
        self._identity, self._infrared, self._paired, self._counts = identity, infrared, paired, counts[:, paired]
        self.num_batches = -(-int(self._counts.sum(axis=1).max()) // (num_identities * self.half))

    def epoch(self, epoch: int) -> Tensor:
        """The batches of an epoch.

        Returns:
            int64 [num_batches, P * K]: indices into ``labels``, those of an identity side by side, its
            visible images first.
        """
        rng = np.random.default_rng(derive_seed(self.seed, "modality pairs", epoch))
        table = self._identity_table(rng)                                                        # [batches, P]
        images = [self._shuffled_images(rng, infrared=flag) for flag in (False, True)]
        table, turn = table[..., None], _occurrence(table)[..., None]
        place = turn * self.half + np.arange(self.half)                                          # [batches, P, K / 2]
        first = np.cumsum(self._counts, axis=1) - self._counts
        chosen = [images[m][first[m][table] + place % self._counts[m][table]] for m in (0, 1)]
        return torch.from_numpy(np.stack(chosen, axis=2).reshape(self.num_batches, -1))

    def _identity_table(self, rng: np.random.Generator) -> np.ndarray:
        """Identities [num_batches, P], counted among those with both modalities; those of a batch differ.

        Random orders of all identities follow one another. Where a batch spans two, the second order first gives those
        that the batch does not have yet.
        """
        size, number = self.num_identities, self._counts.shape[1]
        turns = np.empty(0, np.int64)
        while len(turns) < self.num_batches * size:
            order = rng.permutation(number)
            begun = turns[len(turns) - len(turns) % size:]
            fitting = order[~np.isin(order, begun)][:size - len(begun)] if len(begun) else order[:0]
            turns = np.concatenate([turns, fitting, order[~np.isin(order, fitting)]])
        return turns[:self.num_batches * size].reshape(self.num_batches, size)

    def _shuffled_images(self, rng: np.random.Generator, *, infrared: bool) -> np.ndarray:
        """The images of one modality, grouped by identity, in random order within each."""
        images = rng.permutation(np.flatnonzero((self._infrared == infrared) & self._paired[self._identity]))
        return images[np.argsort(self._identity[images], kind="stable")]


def _occurrence(table: np.ndarray) -> np.ndarray:
    """How often the entry's value has occurred before it, row by row; of the shape of ``table``."""
    flat = table.ravel()
    order = np.argsort(flat, kind="stable")
    counts = np.bincount(flat)
    before = np.empty_like(flat)
    before[order] = np.arange(len(flat)) - np.repeat(np.cumsum(counts) - counts, counts)
    return before.reshape(table.shape)
