"""Early stopping op by op: an op whose weights have begun to fit their own images alone is trained no further.

OLES (Jiang et al., Operation-Level Early Stopping for Robustifying Differentiable NAS, NeurIPS 2023, Algorithm 1).
Weights see the training half, alphas the validation half, and parametric ops that overfit the former lose against skips
on the latter. The sign is that the gradients of an op's weights on the two halves point apart: their agreement falls
below a threshold in the mean of some steps. The authors take 20 steps and 0.4.

Two things differ. The paper looks at each cell's op by itself; here the cells that share a decision stop theirs
together, as that is what the decision chooses. And where an op did not run in one of the two steps, as of sampled
relaxations, the step does not count.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from nas_reid.search_space import OffersOpParameters, SearchSpace


class Pending(NamedTuple):
    """The gradients of the step of the alphas, by parameter, and the epoch that it was in."""

    epoch: int
    gradients: Mapping[str, Tensor]


class OperationStopping:
    """Compares the two gradients of every op, and freezes ops.

    Args:
        network: the supernet with its head.
        ops: for each op the names of its parameters in ``network``.
        threshold: smallest mean agreement of an op that trains on, in [-1, 1].
        window: steps over which it is a mean, >= 1.
    """

    def __init__(self, network: nn.Module, ops: Sequence[Sequence[str]], *, threshold: float, window: int) -> None:
        parameters = dict(network.named_parameters())
        self.ops = [{name: parameters[name] for name in names} for names in ops]
        self.threshold, self.window = threshold, window
        device = next(iter(parameters.values())).device
        self.sums, self.counts = torch.zeros(len(ops), device=device), torch.zeros(len(ops), device=device)
        self.frozen = torch.zeros(len(ops), dtype=torch.bool)
        self._pending: Pending | None = None

    @property
    def watched(self) -> set[str]:
        """Names of the parameters of ops that are still trained."""
        return {name for op, frozen in zip(self.ops, self.frozen.tolist(), strict=True) if not frozen for name in op}

    def remember(self, epoch: int, gradients: Mapping[str, Tensor]) -> None:
        """Keep the gradients of ``watched`` on validation images until the next step of the weights in this epoch."""
        self._pending = Pending(epoch, gradients)

    def compare(self, epoch: int) -> int:
        """Compare what was kept with the gradients that the parameters have now; freeze what is due.

        Returns:
            The number of ops that were frozen; their gradients are dropped, so that no optimiser moves them.
        """
        pending, self._pending = self._pending, None
        if pending is None or pending.epoch != epoch:  # a run that is continued begins an epoch without it, too
            return 0
        values = torch.stack([self._agreement(op, pending.gradients) for op in self.ops])       # [ops], NaN: not run
        ran = values.isfinite()
        self.sums += values.nan_to_num(nan=0.0)
        self.counts += ran
        due = self.counts >= self.window
        stopped = due & (self.sums / self.counts.clamp_min(1) < self.threshold)
        self.sums[due], self.counts[due] = 0.0, 0.0
        chosen = stopped.nonzero().flatten().tolist()
        self._freeze(chosen)
        return len(chosen)

    def state_dict(self) -> dict[str, Tensor]:
        """Sums, counts and which ops are frozen, [ops] each."""
        return {"sums": self.sums.clone(), "counts": self.counts.clone(), "frozen": self.frozen.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a ``state_dict``; what was frozen is frozen again."""
        self.sums.copy_(state["sums"])
        self.counts.copy_(state["counts"])
        self._freeze(state["frozen"].nonzero().flatten().tolist())

    def _agreement(self, op: Mapping[str, nn.Parameter], validation: Mapping[str, Tensor]) -> Tensor:
        pairs = [(parameter.grad, validation[name]) for name, parameter in op.items()
                 if parameter.grad is not None and name in validation]
        if not pairs:
            return self.sums.new_tensor(torch.nan)
        ran = [torch.stack([gradient.abs().sum() for gradient in side]).sum() > 0 for side in zip(*pairs, strict=True)]
        value = torch.stack([agreement(training, other) for training, other in pairs]).mean()
        return torch.where(ran[0] & ran[1], value, torch.nan)

    def _freeze(self, ops: Sequence[int]) -> None:
        for op in ops:
            self.frozen[op] = True
            for parameter in self.ops[op].values():
                parameter.requires_grad_(False)
                parameter.grad = None


def agreement(training: Tensor, validation: Tensor) -> Tensor:
    """Cosine along dimension 0 of two gradients of one tensor, averaged over the others: a scalar in [-1, 1]."""
    return cosine_similarity(training, validation, dim=0).mean()


def build_stopping(space: SearchSpace, network: nn.Module, *, threshold: float | None,
                   window: int) -> OperationStopping | None:
    """For the ops that the space names; None without a threshold."""
    if threshold is None or not isinstance(space, OffersOpParameters):  # refused by ``require_limits_that_can_stop``
        return None
    return OperationStopping(network, list(space.op_parameters().values()), threshold=threshold, window=window)
