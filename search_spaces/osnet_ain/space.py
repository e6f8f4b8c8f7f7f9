"""The search space itself: what the engine sees of OSNet-AIN."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from nas_reid.drawing.graph import Graph
from nas_reid.errors import ConfigError, GenotypeError, require_known
from nas_reid.genotype import Genotype
from nas_reid.registry import register
from nas_reid.search_space import Choice, Decision
from search_spaces.osnet_ain.block import BOTTLENECK, PLACEMENTS, BlockSettings, OSBlock
from search_spaces.osnet_ain.candidates import CANDIDATES
from search_spaces.osnet_ain.convolutions import CONVOLUTIONS
from search_spaces.osnet_ain.fused_candidates import FusedCandidates
from search_spaces.osnet_ain.fusion import FUSIONS, GATED, REDUCTION
from search_spaces.osnet_ain.graphs import fixed_graph, supernet_graph
from search_spaces.osnet_ain.inheritance import inherit
from search_spaces.osnet_ain.torchreid_keys import from_torchreid
from search_spaces.osnet_ain.trunk import BLOCKS, STAGES, STEMS, Trunk, initialise, scaled_channels

EXECUTIONS = ("plain", "fused")


@register("osnet_ain")
class OSNetAIN:
    """Where instance normalisation goes in each of OSNet's six blocks: 4^6 networks.

    Args:
        width: multiplier of all channels, > 0; published are 1, 0.75, 0.5 and 0.25.
        streams: T, streams per block.
        stream_depth: layers of every stream; 0: stream t has t layers, the omni-scale design.
        convolution: a key of ``CONVOLUTIONS``.
        fusion: how streams are fused, a key of ``FUSIONS``.
        stem: norm of the first convolution, ``instance`` or ``batch``; not searched.
        candidates: what the supernet's four candidates share, a key of ``CANDIDATES``.
        execution: how the supernet runs separate candidates, ``plain`` or ``fused``; no property of the architecture.

    Raises:
        ConfigError: an unknown name, a number out of range, or a width at which a gate has no hidden channel.
    """

    name = "osnet_ain"
    version = 1
    # Arguments of the engine's Head where the configuration leaves them open: torchreid's fc.
    head: ClassVar[Mapping[str, Any]] = {"embedding": 512, "embedding_norm_relu": True, "init_std": 0.01}

    def __init__(self, width: float, *, streams: int, stream_depth: int, convolution: str, fusion: str, stem: str,
                 candidates: str, execution: str = "plain") -> None:
        for key, value, known in (("convolution", convolution, CONVOLUTIONS), ("fusion", fusion, FUSIONS),
                                  ("stem", stem, STEMS), ("candidates", candidates, CANDIDATES),
                                  ("execution", execution, EXECUTIONS)):
            require_known(f"space.{key}", value, sorted(known))
        for key, number, smallest in (("streams", streams, 1), ("stream_depth", stream_depth, 0)):
            if not isinstance(number, int) or isinstance(number, bool) or not smallest <= number <= 64:
                raise ConfigError(f"space.{key}={number!r} is illegal; expected an integer of at least {smallest} and "
                                  "at most 64")
        _check_width(width, fusion)
        self.arguments = {"width": width, "streams": streams, "stream_depth": stream_depth, "convolution": convolution,
                          "fusion": fusion, "stem": stem, "candidates": candidates}
        self.width, self.stem = width, stem
        is_fused = execution == "fused" and candidates == "separate"  # shared candidates are one block as they are
        self._candidates = FusedCandidates if is_fused else CANDIDATES[candidates]
        self._settings = partial(BlockSettings, streams, stream_depth, convolution, fusion)

    def decisions(self) -> Sequence[Decision]:
        """One per block, with the four placements.

        A placement costs its number of instance norms, times the elements of the map relative to the largest: the
        candidates' multiply-accumulates are all the same, but unlike a batch norm an instance norm cannot be folded
        into a convolution.
        """
        channels = scaled_channels(self.width)[1:]
        elements = {stage: count / channels[0] / 4 ** position
                    for position, (stage, count) in enumerate(zip(STAGES, channels, strict=True))}
        return [Decision(block, 1, tuple(Choice(name, cost=sum(placement) * elements[block.split("_")[0]])
                                         for name, placement in PLACEMENTS.items())) for block in BLOCKS]

    def supernet(self) -> nn.Module:
        """The search network: no norm has scales and shifts; batch norms keep running statistics.

        Weights start from PyTorch's default values, as in the published search.
        """
        settings = self._settings(affine=False)
        return Trunk(self.width, stem=self.stem, settings=settings, build_block=lambda _, before, after:
                     self._candidates(before, after, settings=settings))

    def derive(self, probs: Mapping[str, Tensor]) -> Genotype:
        """The likeliest placement of each block; of equal ones the first."""
        names = tuple(PLACEMENTS)
        body = {block: names[int(probs[block][0].argmax())] for block in BLOCKS}
        return Genotype(self.name, self.version, body, arguments=self.arguments,
                        probabilities={block: probs[block].detach().double().tolist() for block in BLOCKS})

    def one_hot(self, genotype: Genotype) -> dict[str, Tensor]:
        """Probabilities from which ``derive`` returns this genotype's body, [1, 4] per decision.

        Raises:
            GenotypeError: the body is malformed.
        """
        body, names = _checked_body(genotype), tuple(PLACEMENTS)
        return {block: torch.eye(len(names))[[names.index(body[block])]] for block in BLOCKS}

    def network(self, genotype: Genotype) -> nn.Module:
        """The fixed network of a genotype, with torchreid's initial values.

        Raises:
            GenotypeError: the body is malformed.
        """
        body, settings = _checked_body(genotype), self._settings(affine=True)
        trunk = Trunk(self.width, stem=self.stem, settings=settings, build_block=lambda block, before, after:
                      OSBlock(before, after, placement=PLACEMENTS[body[block]], settings=settings))
        initialise(trunk)
        return trunk

    def convert_weights(self, state: Mapping[str, Tensor], genotype: Genotype) -> dict[str, Tensor]:
        """Entries under the names of a network of ``genotype``: from torchreid (both families) or from a supernet.

        Args:
            state: of a torchreid model, of a search of this space, or of a network of ours, which is left as it is.
            genotype: of the network that the entries are for.
        """
        if not any(name.startswith("trunk.") for name in state):
            return from_torchreid(state)
        if any(f".{part}." in name for name in state for part in ("shared", *PLACEMENTS)):
            with torch.device("meta"):
                network = self.network(genotype)
            return inherit(state, network, genotype.body)
        return dict(state)

    def op_parameters(self) -> dict[tuple[str, int, str], list[str]]:
        """(block, 0, placement) -> the parameters of that candidate; none of shared candidates."""
        with torch.device("meta"):
            names = [f"trunk.{name}" for name, _ in self.supernet().named_parameters()]
        prefixes = {(block, 0, placement): f"trunk.{block.replace('_', '.')}.{placement}."
                    for block in BLOCKS for placement in PLACEMENTS}
        found = {key: [name for name in names if name.startswith(prefix)] for key, prefix in prefixes.items()}
        return {key: own for key, own in found.items() if own}

    def graphs(self, genotype: Genotype) -> list[Graph]:
        """The chain of chosen blocks."""
        return [fixed_graph(_checked_body(genotype))]

    def supernet_graphs(self, probs: Mapping[str, Tensor]) -> list[Graph]:
        """The chain of blocks with the probabilities of all placements."""
        return [supernet_graph(probs)]


def _check_width(width: float, fusion: str) -> None:
    if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width < float("inf"):
        raise ConfigError(f"space.width={width!r} is illegal; expected a positive number")
    narrowest, needed = scaled_channels(width)[1], BOTTLENECK * (REDUCTION if fusion in GATED else 1)
    if narrowest < needed:
        raise ConfigError(f"space.width={width} leaves conv2's blocks {narrowest} channels; fusion={fusion!r} needs at "
                          f"least {needed}, otherwise nothing is left of " + ("its gate's hidden layer"
                          if fusion in GATED else "the streams") + f": use a width of at least {needed / 256:g}")


def _checked_body(genotype: Genotype) -> Mapping[str, str]:
    body = genotype.body
    if set(body) != set(BLOCKS):
        raise GenotypeError(f"genotype body has {sorted(body)}; expected the blocks {', '.join(BLOCKS)}")
    for block, choice in body.items():
        if choice not in tuple(PLACEMENTS):
            raise GenotypeError(f"block {block} is {choice!r}; it can be: {', '.join(PLACEMENTS)}")
    return body
