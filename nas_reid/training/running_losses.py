"""Losses of an epoch, kept on the device so that a step never waits for it; of several processes, their means."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from nas_reid.errors import NonFiniteError
from nas_reid.parallel.tensors import average

_WAY_OUT = ("the last good checkpoint is kept. Lower the learning rate or clip the gradients, then repeat the command "
            "with resume=never, or with another hydra.run.dir=")


class RunningLosses:
    """Collects scalars per step; reads them (one wait) every ``every`` steps and refuses NaN and infinity.

    Args:
        epoch: for messages, counted from 1.
        every: steps between two reads.
    """

    def __init__(self, epoch: int, *, every: int = 10) -> None:
        self.epoch = epoch
        self.every = every
        self._pending: list[tuple[int, str, Tensor]] = []
        self._values: dict[str, list[float]] = {}

    def add(self, step: int, losses: Mapping[str, Tensor]) -> bool:
        """Note the detached scalars of a step (from 0); True when they were read, so that a bar may show ``means``.

        Raises:
            NonFiniteError: names the quantity, the epoch and the step.
        """
        self._pending += [(step, name, value.detach()) for name, value in losses.items()]
        if (step + 1) % self.every:
            return False
        self.read()
        return True

    def read(self) -> None:
        """Fetch what is pending; see ``add`` for the error."""
        if not self._pending:
            return
        values, = average([torch.stack([value.float() for _, _, value in self._pending])])
        numbers = values.tolist()
        for (step, name, _), number in zip(self._pending, numbers, strict=True):
            if number - number != 0.0:
                raise NonFiniteError(f"{name} became {number} at epoch {self.epoch}, step {step + 1}; {_WAY_OUT}")
            self._values.setdefault(name, []).append(number)
        self._pending.clear()

    def finish(self, *modules: nn.Module) -> dict[str, float]:
        """The means over the epoch, once its last losses and the parameters of ``modules`` are known to be finite.

        Raises:
            NonFiniteError: a loss, see ``add``; or a parameter, which the last step may have spoilt unseen.
        """
        self.read()
        parameters = dict(pair for module in modules for pair in module.named_parameters())
        finite = torch.stack([parameter.isfinite().all() for parameter in parameters.values()]).tolist()  # one wait
        for name, is_finite in zip(parameters, finite, strict=True):
            if not is_finite:
                raise NonFiniteError(f"{name} is not finite after epoch {self.epoch}; {_WAY_OUT}")
        return self.means()

    def means(self) -> dict[str, float]:
        """Mean of each quantity over the steps read so far."""
        return {name: sum(values) / len(values) for name, values in self._values.items()}
