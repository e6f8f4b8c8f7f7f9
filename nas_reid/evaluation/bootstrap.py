"""How sure a mean over queries is: bootstrap intervals over the identities of the queries.

Queries of one person share that person's clothes and gallery, so they are not independent and are drawn together: a
resample takes as many identities as there are, with replacement, each with all its queries (cluster bootstrap;
Davison and Hinkley 1997, Sec. 3.8). The interval says what other people of the same kind would have given; it covers
neither another training seed nor another data set.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nas_reid.errors import ConfigError
from nas_reid.evaluation.ranking import Ranking


@dataclass(frozen=True)
class Bootstrap:
    """Percentile intervals over resampled identities.

    Args:
        samples: resamples, at least 100.
        level: probability that the interval shall cover, in (0, 1).
        seed: of the resampling.
    """

    samples: int = 1000
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 100 or not 0 < self.level < 1 or self.seed < 0:
            raise ConfigError(f"evaluation.bootstrap has samples={self.samples}, level={self.level}, seed={self.seed}; "
                              "needs samples >= 100, 0 < level < 1 and seed >= 0")

    def intervals(self, ranking: Ranking, query_pids: Tensor) -> dict[str, list[float]]:
        """``mAP`` and ``rank1`` -> [lower, upper], of the valid queries.

        Args:
            ranking: of the queries.
            query_pids: [N_q].
        """
        valid = ranking.valid
        values = torch.stack([ranking.ap[valid], (ranking.first_hit[valid] == 1).double()], dim=1).numpy()
        means = self.resampled_means(values, query_pids[valid].numpy())
        tail = (1 - self.level) / 2
        lower, upper = np.quantile(means, [tail, 1 - tail], axis=0)
        return {name: [float(lower[i]), float(upper[i])] for i, name in enumerate(("mAP", "rank1"))}

    def resampled_means(self, values: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """Means [samples, M] over the values [n, M] of the resampled groups; ``groups`` is [n]."""
        _, group = np.unique(groups, return_inverse=True)
        sizes = np.bincount(group)
        sums = np.stack([np.bincount(group, weights=column) for column in values.T], axis=1)
        generator = np.random.default_rng(self.seed)
        means = np.empty((self.samples, values.shape[1]))
        for mean in means:  # a resample at a time: all at once would take samples x identities of memory
            drawn = generator.integers(len(sizes), size=len(sizes))
            mean[:] = sums[drawn].sum(axis=0) / sizes[drawn].sum()
        return means
