"""The alphas: one module, one tensor per decision, apart from the supernet's weights.

They are real parameters (so ``state_dict``, ``.to`` and checkpoints work) in sorted decision order (so the
positional state of an optimiser always meets the same alphas), and the supernet never holds them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nas_reid.errors import ConfigError
from nas_reid.search_space import Decision


class ArchParameters(nn.Module):
    """Alphas [R, K] of every decision, float32 whatever the default dtype or autocast.

    Args:
        decisions: what is searched; the order does not matter.
        init_mean, init_scale: mean and standard deviation of the normal initial values (DARTS: 0 and 1e-3), to
            which ``Choice.initial`` is added.
        generator: source of the initial values, drawn in sorted decision order; its device is theirs.

    Raises:
        ConfigError: no decision, an illegal or repeated name, or an empty or inconsistent decision.
    """

    def __init__(
        self,
        decisions: Sequence[Decision],
        *,
        init_scale: float,
        generator: torch.Generator,
        init_mean: float = 0.0,
    ) -> None:
        super().__init__()
        _check_decisions(decisions)
        shapes = {decision.name: (decision.rows, len(decision.choices)) for decision in decisions}
        self.values = nn.ParameterDict()
        own = {d.name: torch.tensor([choice.initial for choice in d.choices]) for d in decisions}
        for name in sorted(shapes):
            drawn = torch.randn(shapes[name], generator=generator, device=generator.device, dtype=torch.float32)
            self.values[name] = nn.Parameter(init_mean + own[name].to(drawn) + init_scale * drawn)

    def alphas(self) -> dict[str, Tensor]:
        """The live parameters by decision name, in sorted order."""
        return dict(self.values.items())


def _check_decisions(decisions: Sequence[Decision]) -> None:
    if not decisions:
        raise ConfigError("the search space declares no decision; expected at least one Decision to search")
    names = [decision.name for decision in decisions]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ConfigError(f"decision names {repeated} are repeated; cells that share alphas use the same decision")
    for decision in decisions:
        _check_decision(decision)


def _check_decision(decision: Decision) -> None:
    # Attributes of ParameterDict ("keys", "training", ...) cannot be the name of a parameter in it.
    if not decision.name or "." in decision.name or hasattr(nn.ParameterDict(), decision.name):
        raise ConfigError(
            f"decision name {decision.name!r} is empty, holds a dot or is an attribute of nn.ParameterDict; rename it"
        )
    choices = [choice.name for choice in decision.choices]
    if decision.rows < 1 or not choices or len(set(choices)) < len(choices):
        raise ConfigError(
            f"decision {decision.name!r} has {decision.rows} rows and choices {choices}; "
            "expected at least one row and at least one choice, each named once"
        )
    if decision.groups is not None and len(decision.groups) != decision.rows:
        raise ConfigError(
            f"decision {decision.name!r} has {len(decision.groups)} groups for {decision.rows} rows; give one per row"
        )
