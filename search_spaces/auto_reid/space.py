"""The search space itself: what the engine sees of Auto-ReID."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from nas_reid.drawing.graph import Graph
from nas_reid.errors import ConfigError, GenotypeError, require_known
from nas_reid.genotype import Genotype
from nas_reid.network.complexity import count_macs_of
from nas_reid.registry import register
from nas_reid.search_space import Choice, Decision
from search_spaces.auto_reid.cell import cell_edges, source_name
from search_spaces.auto_reid.derive import KINDS, check_body, derive_cell, one_hot_cell
from search_spaces.auto_reid.graphs import fixed_graph, supernet_graph
from search_spaces.auto_reid.macro import STEMS
from search_spaces.auto_reid.network import Network
from search_spaces.auto_reid.ops import OPS, PRIMITIVES, TAGS, OpSettings
from search_spaces.auto_reid.part_aware import PART_AWARE
from search_spaces.auto_reid.partial import chosen_edges, edge_decisions, edge_weights
from search_spaces.auto_reid.supernet import EXECUTIONS, Supernet


@register("auto_reid")
class AutoReID:
    """Cells of B nodes over a set of primitives, in ResNet's macro structure.

    Weights start from PyTorch's default (Kaiming uniform) initialisation, drawn from the global generator in the
    order of construction, so one seed gives one network.

    Args:
        channels: width C of the first block; later blocks double it. At least 3, at most 65,536 in the last block.
        layers: cells per block, l, each at most 256; every block after the first opens with a reduction cell.
        nodes: intermediate nodes B per cell, at most 64.
        primitives: op set, a key of ``PRIMITIVES``.
        parts: stripes M of the part-aware op.
        part_attention: layout of the part-aware op, a key of ``PART_AWARE``.
        stem: a key of ``STEMS``.
        execution: how the supernet runs, ``fused`` or ``plain``; no property of the architecture.
        partial: k; the supernet's ops work on 1/k of the channels and its edges are searched too (PC-DARTS: 4). 1: on
            all channels. No property of the architecture either.

    Raises:
        ConfigError: an unknown name, a number out of range, or less than three channels per k.
    """

    name = "auto_reid"
    version = 1

    def __init__(self, channels: int, layers: Sequence[int], *, nodes: int, primitives: str, parts: int,
                 part_attention: str, stem: str, execution: str = "fused", partial: int = 1) -> None:
        names: tuple[tuple[str, str, Iterable[str]], ...] = (
            ("primitives", primitives, PRIMITIVES), ("part_attention", part_attention, PART_AWARE),
            ("stem", stem, STEMS), ("execution", execution, EXECUTIONS))
        for key, name, known in names:
            require_known(f"space.{key}", name, sorted(known))
        for key, value, smallest, largest in (("channels", channels, 3, 65_536), ("nodes", nodes, 1, 64),
                                              ("parts", parts, 1, 1_024), ("partial", partial, 1, 1_024)):
            _check_integer(key, value, smallest, largest)
        if channels % partial or channels // partial < 3:
            raise ConfigError(f"space.partial={partial} of space.channels={channels} leaves {channels / partial:g} "
                              f"channels to the ops; expected a whole number of at least 3, such as space.channels="
                              f"{max(4, -(-channels // partial)) * partial}")
        if not layers or not isinstance(layers, list | tuple):
            raise ConfigError(f"space.layers={layers!r} is illegal; expected the number of cells of each block, for "
                              "example [2, 2, 2, 2]")
        for value in layers:
            _check_integer("layers", value, 1, 256)
        if len(layers) > 12 or channels * 2 ** (len(layers) - 1) > 65_536:
            raise ConfigError(f"space.layers={layers!r} is illegal: every block doubles the channels, {channels} at "
                              "first, and no network needs more than 12 blocks or 65,536 channels")
        self.arguments = {"channels": channels, "layers": list(layers), "nodes": nodes, "primitives": primitives,
                          "parts": parts, "part_attention": part_attention, "stem": stem}
        self.channels, self.layers, self.nodes, self.stem = channels, tuple(layers), nodes, stem
        self.execution, self.partial = execution, partial
        self.primitives = PRIMITIVES[primitives]
        self._settings = functools.partial(OpSettings, parts=parts, part_attention=part_attention)
        self._parts = parts

    def decisions(self) -> Sequence[Decision]:
        """``normal`` and ``reduce``: one row per edge, grouped by the node it enters. With partial channels also, per
        kind and node, the edges that enter it."""
        choices = tuple(Choice(name, TAGS.get(name, frozenset()), cost)
                        for name, cost in zip(self.primitives, self._costs, strict=True))
        edges = cell_edges(self.nodes)
        names = tuple(f"{source_name(edge.source)} → {source_name(edge.node)}" for edge in edges)
        ops = [Decision(kind, len(edges), choices, tuple(edge.node for edge in edges), names) for kind in KINDS]
        return ops + [decision for kind in KINDS if self.partial > 1 for decision in edge_decisions(kind, self.nodes)]

    def supernet(self) -> Supernet:
        """The supernet; its batch norms have no affine parameters and no running statistics."""
        return Supernet(self.channels, self.layers, nodes=self.nodes, primitives=self.primitives, stem=self.stem,
                        execution=self.execution, partial=self.partial, settings=self._settings(search=True))

    def derive(self, probs: Mapping[str, Tensor]) -> Genotype:
        """Two likeliest predecessors per node, the likeliest op other than ``none`` on each.

        With partial channels an op is as likely as it is on its edge, times its edge (PC-DARTS, section 3.3).
        """
        body = {kind: derive_cell(self._by_edge(probs, kind), primitives=self.primitives, nodes=self.nodes)
                for kind in KINDS}
        names = [decision.name for decision in self.decisions()]
        return Genotype(self.name, self.version, body, arguments=self.arguments,
                        probabilities={name: probs[name].detach().double().tolist() for name in names})

    def one_hot(self, genotype: Genotype) -> dict[str, Tensor]:
        """Probabilities from which ``derive`` returns this genotype's body, [rows, K] per decision.

        With partial channels a node's two edges have one half each, so that nothing else enters it.

        Raises:
            GenotypeError: the body is malformed, or uses an op outside this space's primitives.
        """
        check_body(genotype.body, nodes=self.nodes)
        used = {entry["op"] for cell in genotype.body.values() for node in cell for entry in node["inputs"]}
        if foreign := sorted(used - set(self.primitives)):
            raise GenotypeError(f"genotype uses {', '.join(foreign)}; space.primitives="
                                f"{self.arguments['primitives']} has: {', '.join(self.primitives)}")
        rows = {kind: one_hot_cell(genotype.body[kind], primitives=self.primitives) for kind in KINDS}
        for kind in KINDS if self.partial > 1 else ():
            rows |= chosen_edges(genotype.body[kind], kind, self.nodes)
        return rows

    def network(self, genotype: Genotype) -> nn.Module:
        """The fixed network of a genotype at this space's widths and depths. Any known op may occur in it.

        ``set_drop_path(rate)`` of the network sets drop-path for training.

        Raises:
            GenotypeError: the body is malformed.
        """
        check_body(genotype.body, nodes=self.nodes)
        return Network(self.channels, self.layers, body=genotype.body, stem=self.stem,
                       settings=self._settings(search=False))

    def op_parameters(self) -> dict[tuple[str, int, str], list[str]]:
        """(kind, edge, op) -> its parameters in all cells of the kind. Fused execution joins them anew in each forward,
        so that each keeps a gradient of its own."""
        with torch.device("meta"):
            cells = self.supernet().cells
        found: dict[tuple[str, int, str], list[str]] = {}
        for position, cell in enumerate(cells):
            for row, ops in enumerate(cell.edges):
                for op, module in ops.items():
                    found.setdefault((cell.plan.kind, row, op), []).extend(
                        f"trunk.cells.{position}.edges.{row}.{op}.{name}" for name, _ in module.named_parameters())
        return {key: names for key, names in found.items() if names}

    def graphs(self, genotype: Genotype) -> list[Graph]:
        """The derived cells, to draw."""
        return [fixed_graph(kind, genotype.body[kind]) for kind in KINDS]

    def supernet_graphs(self, probs: Mapping[str, Tensor]) -> list[Graph]:
        """The supernet's cells with weighted edges, to draw."""
        return [supernet_graph(kind, self._by_edge(probs, kind), primitives=self.primitives, nodes=self.nodes)
                for kind in KINDS]

    def _by_edge(self, probs: Mapping[str, Tensor], kind: str) -> Tensor:
        """Probabilities of a kind's ops, [rows, K], times those of their edges if these are searched."""
        if self.partial == 1:
            return probs[kind]
        return probs[kind] * edge_weights(probs, kind, self.nodes)[:, None]

    @cached_property
    def _costs(self) -> list[float]:
        """Multiply-accumulates of each primitive on a cell's map at stride 1, relative to the dearest."""
        settings = self._settings(search=True)
        rows = max(16, self._parts)
        with torch.device("meta"):
            x = torch.zeros(2, self.channels, rows, rows)
            ops = [OPS[name](self.channels, 1, settings) for name in self.primitives]
        macs = [count_macs_of(op, x) for op in ops]
        return [count / max(1, *macs) for count in macs]  # pools and skips alone cost nothing


def _check_integer(key: str, value: object, smallest: int, largest: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not smallest <= value <= largest:
        raise ConfigError(f"space.{key}={value!r} is illegal; expected an integer of at least {smallest} and at most "
                          f"{largest:,}")
