"""P x K batches: P identities with K images each."""

from bisect import bisect_left

import numpy as np
import torch
from torch import Tensor

from nas_reid.errors import ConfigError, DataError
from nas_reid.seed import derive_seed


class IdentitySampler:
    """Which images form each batch of an epoch, as a pure function of (seed, epoch).

    An epoch shuffles each identity's images and cuts them into chunks of K; leftovers wait for another epoch, and an
    identity of fewer than K images makes one chunk that repeats them evenly. Batches take P chunks of different
    identities, until no further full batch can be formed whatever the order: at most P - 1 chunks are dropped, and
    those that an identity has beyond one per batch. The number of batches hence depends on the labels alone.

    Args:
        labels: int64 [N], the identity of each image.
        num_identities: P.
        num_instances: K.
        seed: of every draw.

    Raises:
        ConfigError: P or K below 1.
        DataError: fewer than P identities.
    """

    def __init__(self, labels: Tensor, *, num_identities: int, num_instances: int, seed: int) -> None:
        check_shape(num_identities, num_instances)
        _, identity, counts = np.unique(labels.numpy(), return_inverse=True, return_counts=True)
        if len(counts) < num_identities:
            raise DataError(f"a batch needs {num_identities} identities and the data have {len(counts)}; "
                            + ("lower batch.size or raise batch.instances" if len(counts) > 1 else
                               "there is nobody to tell from it: give data of two or more identities"))
        self.num_identities, self.num_instances, self.seed = num_identities, num_instances, seed
        self._identity, self._counts = identity, counts
        self._first = np.cumsum(counts) - counts                 # of each identity, in images sorted by identity
        chunks = np.maximum(counts // num_instances, 1)
        self.num_batches = _most_batches(chunks, num_identities)
        usable = np.minimum(chunks, self.num_batches)            # an identity occurs once per batch
        self._owner = np.repeat(np.arange(len(counts)), usable)  # identity of each usable chunk
        self._number = np.arange(len(self._owner)) - np.repeat(np.cumsum(usable) - usable, usable)

    def epoch(self, epoch: int) -> Tensor:
        """The batches of an epoch.

        Returns:
            int64 [num_batches, P * K]: indices into ``labels``, the K of an identity side by side.
        """
        rng = np.random.default_rng(derive_seed(self.seed, "identities", epoch))
        table = self._chunk_table(rng)                                                           # [batches, P]
        images = self._shuffled_images(rng)
        owner = self._owner[table][..., None]                                                    # [batches, P, 1]
        place = self._number[table][..., None] * self.num_instances + np.arange(self.num_instances)
        chosen = images[self._first[owner] + place % self._counts[owner]]                        # [batches, P, K]
        return torch.from_numpy(chosen.reshape(self.num_batches, -1))

    def _shuffled_images(self, rng: np.random.Generator) -> np.ndarray:
        """All images, grouped by identity, in random order within each."""
        images = rng.permutation(len(self._identity))
        return images[np.argsort(self._identity[images], kind="stable")]

    def _chunk_table(self, rng: np.random.Generator) -> np.ndarray:
        """Chunks [num_batches, P] such that no batch (row) has two of one identity.

        McNaughton's wrap-around rule: the chunks of an identity follow each other in a list, which fills the table
        column by column. Each column is shuffled; an identity that continues in the next column takes rows there
        that it does not have yet. Identities are in random order, so which of them meet is as good as independent.
        """
        size = self.num_batches * self.num_identities
        kept = rng.permutation(len(self._owner))[:size]
        order = rng.permutation(len(self._counts))
        columns = kept[np.argsort(order[self._owner[kept]], kind="stable")].reshape(self.num_identities, -1)
        table = np.empty_like(columns)
        rows_of_last = np.empty(0, np.int64)
        for column, chunks in enumerate(columns):
            owner = self._owner[chunks]
            continued = int((owner == self._owner[columns[column - 1, -1]]).sum()) if column else 0
            rows = rng.permutation(self.num_batches)
            if continued:
                free = rows[~np.isin(rows, rows_of_last)]
                rest = np.setdiff1d(rows, free[:continued])
                rows = np.concatenate([free[:continued], rng.permutation(rest)])
            table[column, rows] = chunks
            rows_of_last = rows[owner == owner[-1]]
        return table.T


def check_shape(num_identities: int, num_instances: int) -> None:
    """Refuse batches without images.

    Raises:
        ConfigError: P or K below 1.
    """
    if num_identities < 1 or num_instances < 1:
        raise ConfigError(f"a batch of {num_identities} identities x {num_instances} images: both must be >= 1")


def _most_batches(chunks: np.ndarray, identities: int) -> int:
    """The largest T with sum_i min(chunks_i, T) >= identities * T: so many batches of different ones can be formed."""
    candidates = range(1, int(chunks.sum()) // identities + 1)
    return bisect_left(candidates, True, key=lambda t: np.minimum(chunks, t).sum() < identities * t)
