"""The contract a search space fulfils: one page, and the engine knows nothing else about a space.

Everything searchable is *R independent categorical variables over K named choices*; a keep/drop mask is
``K = 2``. A space declares its decisions, builds a supernet that receives the mixing weights as an
**argument** of ``forward``, turns final probabilities into a genotype, and builds the fixed network.

Shapes used everywhere: ``B`` batch, ``C`` channels, ``H, W`` height and width, ``R`` rows, ``K`` choices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from nas_reid.genotype import Genotype


@dataclass(frozen=True)
class Choice:
    """One named option of a decision.

    Args:
        name: the primitive's name, as it appears in genotype files.
        tags: what regularisers and early stopping may need to know: ``"none"``, ``"skip"``, ``"param_free"``.
        cost: relative cost (for example MACs) used by the expected-cost regulariser.
        initial: added to the initial alphas of this choice, for example so that gates begin open.
    """

    name: str
    tags: frozenset[str] = frozenset()
    cost: float = 0.0
    initial: float = 0.0


@dataclass(frozen=True)
class Decision:
    """``rows`` independent categorical variables over the same choices.

    Args:
        name: key of the alphas and of the mixes; cells that use the same decision share its alphas.
        rows: number of variables, R.
        choices: the K options, in the order of the columns.
        groups: row -> group (for example the node an edge enters); None when rows are unrelated.
    """

    name: str
    rows: int
    choices: tuple[Choice, ...]
    groups: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Mix:
    """Mixing weights of one decision, as the supernet receives them.

    Args:
        weights: [R, K]; differentiable in the architecture phase, detached in the weight phase.
        index: [R] int64, the sampled choice of each row when the relaxation is hard, else None.
        sampled_only: run only the sampled choice of each row (``gumbel_sampled``); needs ``index``.
        all_gradients: with ``sampled_only``, give all weights their gradients; see ``sampled.sampled_mixture``.
    """

    weights: Tensor
    index: Tensor | None = None
    sampled_only: bool = False
    all_gradients: bool = False

    def alone(self) -> Tensor | None:
        """``index`` where the sampled choices run alone, [R]; None where all choices run."""
        return self.index if self.sampled_only else None


class SearchSpace(Protocol):
    """What a plugin implements. Constructor arguments are the keys of its ``conf/space/<name>.yaml``; ``name`` and
    ``version`` are attributes of the class, so that a genotype can be judged before a space is built.

    Both networks return a feature map [B, out_channels, H', W'] and carry ``out_channels: int``;
    the engine adds pooling, neck and classifier. ``modality`` is [B] int64 or None.
    """

    name: str
    version: int

    def decisions(self) -> Sequence[Decision]:
        """The variables to search, each with a name unique in the space."""
        ...

    def supernet(self) -> nn.Module:
        """The over-parameterised network: ``forward(images, mixes, modality=None)``, images [B, 3, H, W]."""
        ...

    def derive(self, probs: Mapping[str, Tensor]) -> Genotype:
        """The discrete architecture of probabilities ``{decision: [R, K]}``. Must accept uniform rows."""
        ...

    def network(self, genotype: Genotype) -> nn.Module:
        """The fixed network of a genotype: ``forward(images, modality=None)``."""
        ...
