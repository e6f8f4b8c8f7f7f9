"""The chain of blocks as a neutral graph, for the engine to draw."""

from collections.abc import Iterable, Mapping

from torch import Tensor

from nas_reid.drawing.graph import Edge, Graph
from search_spaces.osnet_ain.block import PLACEMENTS
from search_spaces.osnet_ain.trunk import BLOCKS

_STEM, _OUTPUT = "conv1", "conv5"


def fixed_graph(body: Mapping[str, str]) -> Graph:
    """The chosen placements, from a genotype's body."""
    return _chain({block: [(body[block], None)] for block in BLOCKS})


def supernet_graph(probs: Mapping[str, Tensor]) -> Graph:
    """All placements of every block with their probabilities."""
    return _chain({block: list(zip(PLACEMENTS, probs[block][0].tolist(), strict=True)) for block in BLOCKS})


def _chain(labels: Mapping[str, Iterable[tuple[str, float | None]]]) -> Graph:
    before = (_STEM, *BLOCKS)
    edges = [Edge(source, block, label, weight) for source, block in zip(before, BLOCKS, strict=False)
             for label, weight in labels[block]]
    return Graph("blocks", (_STEM, *BLOCKS, _OUTPUT), (*edges, Edge(BLOCKS[-1], _OUTPUT)))
