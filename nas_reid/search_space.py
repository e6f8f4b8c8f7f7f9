"""The contract a search space fulfils; the engine knows nothing else about a space.

Everything searchable is *R independent categorical variables over K named choices*; a keep/drop mask is
``K = 2``. A space declares its decisions, builds a supernet that receives the mixing weights as an
**argument** of ``forward``, turns final probabilities into a genotype, and builds the fixed network.

Shapes used everywhere: ``B`` batch, ``C`` channels, ``H, W`` height and width, ``R`` rows, ``K`` choices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from nas_reid.drawing.graph import Graph
from nas_reid.drawing.masks import FeatureMasks
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
        row_names: what the rows are called in pictures, such as ``input0 → node2``; None: their numbers.

    Raises:
        ValueError: more or fewer names than rows.
    """

    name: str
    rows: int
    choices: tuple[Choice, ...]
    groups: tuple[int, ...] | None = None
    row_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.row_names is not None and len(self.row_names) != self.rows:
            raise ValueError(f"decision {self.name!r} has {self.rows} rows and {len(self.row_names)} row_names")

    @property
    def excluded(self) -> frozenset[int]:
        """Columns that no genotype takes: ``none`` beside other ops. Of two choices, such as to keep or to drop, each
        can be taken."""
        return frozenset(column for column, choice in enumerate(self.choices)
                         if "none" in choice.tags and len(self.choices) > 2)


@dataclass(frozen=True)
class Mix:
    """Mixing weights of one decision, as the supernet receives them.

    Args:
        weights: [R, K]; differentiable in the architecture phase, detached in the weight phase.
        index: [R] int64, the sampled choice of each row when the relaxation is hard, else None.
        sampled_only: run only the sampled choice of each row (``gumbel_sampled``); needs ``index``.
        all_gradients: with ``sampled_only``, give all weights their gradients; see ``sampled.sampled_mixture``.
        chosen: ``index`` as numbers, where whoever drew it has read it for all decisions at once.
    """

    weights: Tensor
    index: Tensor | None = None
    sampled_only: bool = False
    all_gradients: bool = False
    chosen: Sequence[int] | None = None

    def alone(self) -> Sequence[int] | None:
        """The choices [R] where the sampled ones run alone; None where all choices run.

        Waits for a GPU only if the mix was made without ``chosen``.
        """
        if not self.sampled_only or self.index is None:
            return None
        return self.index.tolist() if self.chosen is None else self.chosen


class SearchSpace(Protocol):
    """What a plugin implements. Constructor arguments are the keys of its ``conf/space/<name>.yaml``; ``name`` and
    ``version`` are attributes of the class, so that a genotype can be judged before a space is built.

    Both networks return a feature map [B, out_channels, H', W'] and carry ``out_channels: int``;
    the engine adds pooling, neck and classifier. ``modality`` is [B] int64, on the host, or None.
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


# What a space or a network may offer besides. The engine asks by ``isinstance``: a member of that name is enough.


@runtime_checkable
class OffersHead(Protocol):
    """A space whose published networks have a head of their own."""

    head: Mapping[str, Any]
    """Arguments of ``modules.head.Head``, used where the configuration says null."""


@runtime_checkable
class OffersOneHot(Protocol):
    """A space that can read a genotype back: for tests, and for whoever selects among genotypes."""

    def one_hot(self, genotype: Genotype) -> Mapping[str, Tensor]:
        """The probabilities ``{decision: [R, K]}`` that ``derive`` turns into this genotype: one-hot rows; zeros where
        the genotype leaves a row out and there is no choice for that; equal parts where it takes several choices."""
        ...


@runtime_checkable
class OffersOpParameters(Protocol):
    """A space whose ops have weights of their own, so that each can be stopped by itself."""

    def op_parameters(self) -> Mapping[tuple[str, int, str], Sequence[str]]:
        """(decision, row, choice) -> names of the parameters that belong to this choice alone, beginning with
        ``trunk.``, as the supernet's do in a ``ReIDNetwork``; choices without any are left out."""
        ...


@runtime_checkable
class OffersGraphs(Protocol):
    """A space whose genotypes are drawn as cells."""

    def graphs(self, genotype: Genotype) -> Sequence[Graph]:
        """The derived cells."""
        ...


@runtime_checkable
class OffersSupernetGraphs(Protocol):
    """A space whose supernet is drawn as cells."""

    def supernet_graphs(self, probs: Mapping[str, Tensor]) -> Sequence[Graph]:
        """The supernet's cells, each edge with its probability."""
        ...


@runtime_checkable
class OffersFeatureMasks(Protocol):
    """A space that keeps or drops features, whose genotypes are drawn and tabulated as masks."""

    def feature_masks(self, genotype: Genotype) -> Sequence[FeatureMasks]:
        """What is kept at each place."""
        ...


@runtime_checkable
class ConvertsWeights(Protocol):
    """A space that reads state dicts under other names than its networks': of another project, or of its supernet."""

    def convert_weights(self, state: Mapping[str, Tensor], genotype: Genotype) -> Mapping[str, Tensor]:
        """The entries under the names of a ``ReIDNetwork`` of the genotype; foreign ones as they are."""
        ...


@runtime_checkable
class ConvertsSupernetWeights(Protocol):
    """As ``ConvertsWeights``, for the supernet."""

    def supernet_weights(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The entries under the names of a ``ReIDNetwork`` around the supernet."""
        ...


@runtime_checkable
class DropsPaths(Protocol):
    """A fixed network with paths to drop."""

    def set_drop_path(self, rate: float) -> None:
        """Drop each path with this probability from now on, in [0, 1), while it trains."""
        ...


@runtime_checkable
class OffersGates(Protocol):
    """A fixed network whose gates tell images apart, which are then drawn in clusters."""

    def gating_vectors(self, images: Tensor) -> Tensor | None:
        """Gates [B, D] of images [B, 3, H, W]; None where this architecture has none."""
        ...


@runtime_checkable
class PreparesForInference(Protocol):
    """A module, anywhere in a network, that has a faster form once the network is trained."""

    def for_inference(self) -> nn.Module:
        """A module that computes the same; this one may be changed."""
        ...


OPTIONAL_OF_SPACES = (OffersHead, OffersOneHot, OffersOpParameters, OffersGraphs, OffersSupernetGraphs,
                      OffersFeatureMasks, ConvertsWeights, ConvertsSupernetWeights)
OPTIONAL_OF_NETWORKS = (DropsPaths, OffersGates, PreparesForInference)


def member_names(protocols: Sequence[type]) -> list[str]:
    """The names that protocols ask for, such as ``one_hot``."""
    return [name for protocol in protocols for name in (*vars(protocol).get("__annotations__", {}), *vars(protocol))
            if not name.startswith("_")]
