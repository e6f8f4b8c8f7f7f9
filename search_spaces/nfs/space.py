"""The search space itself: what the engine sees of NFS."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from nas_reid.backbones.two_stream import TwoStreamArguments, block_channels, check_arguments, fan_out
from nas_reid.drawing.masks import FeatureMasks
from nas_reid.errors import ConfigError, GenotypeError, require_known
from nas_reid.genotype import Genotype
from nas_reid.nas.bounds import costs_of
from nas_reid.registry import register
from nas_reid.search_space import Choice, Decision
from search_spaces.nfs.cells import COMBINATIONS, COSTS, LEVELS, POSITIONS, SHARED_CHANNELS, Cell, place_cells
from search_spaces.nfs.derive import Share, derivation_by_level, kept
from search_spaces.nfs.masks import CellMasks, read_masks
from search_spaces.nfs.networks import NORMS, MaskedNetwork, Supernet, kept_channels
from search_spaces.nfs.pruning import cut_of, cuts, sliced


@register("nfs")
class NFS:
    """Keep or drop, for each channel and each pixel after every shared stage of a two-stream ResNet, per modality.

    Args:
        depth: 18, 34 or 50.
        width: multiplier of all channels.
        specific: parts that each modality has for itself: 0 none, 1 the stem, 2 also ``layer1``, up to 4.
        last_stride: of ``layer4``, 1 or 2.
        image_size: [height, width] for which the pixels are decided; elsewhere their gates are resized.
        position: a cell after each shared ``stage`` or after each of its blocks (``block``).
        levels: what is decided: ``both``, ``channels`` or ``pixels``.
        combination: ``product`` or ``sum`` of the two levels' gates.
        initial_logit: initial logit of every gate; 2 begins 88 % open.
        derivation, ratio, floor: from probabilities to masks, see ``derive.kept``; per cell, level and modality.
            The shares are one number for both levels, or ``{"channels": ..., "pixels": ...}``.
        norms: of the shared parts: ``shared`` by the modalities, or ``split``, one for each, a key of ``NORMS``.
        costs: what keeping costs, for budgets: ``equal``, 1 each, or ``macs``, what the network without the channel
            saves; pixels save nothing.
        shared_channels: which cells keep the same channels for both modalities: the ``last`` stage's, or ``all``.

    Raises:
        ConfigError: an unknown name or a number out of range.
    """

    name = "nfs"
    version = 1
    head: ClassVar[Mapping[str, Any]] = {"init_std": 0.001}

    def __init__(self, depth: int, width: float, *, specific: int, last_stride: int, image_size: Sequence[int],
                 position: str, levels: str, combination: str, initial_logit: float, derivation: str, ratio: Share,
                 floor: Share, norms: str = "shared", costs: str = "equal",
                 shared_channels: str = "last") -> None:
        _check_numbers(image_size, initial_logit)
        self.arguments = {"depth": depth, "width": width, "specific": specific, "last_stride": last_stride,
                          "image_size": list(image_size), "position": position, "levels": levels,
                          "combination": combination, "initial_logit": initial_logit, "derivation": derivation,
                          "ratio": ratio, "floor": floor, "norms": norms, "costs": costs,
                          "shared_channels": shared_channels}
        check_arguments(depth, width, specific=specific, last_stride=last_stride)
        self._derivation = derivation_by_level(derivation, ratio, floor)
        for key, value, known in (("position", position, POSITIONS), ("levels", levels, LEVELS),
                                  ("combination", combination, COMBINATIONS), ("norms", norms, tuple(NORMS)),
                                  ("costs", costs, COSTS), ("shared_channels", shared_channels, SHARED_CHANNELS)):
            require_known(f"space.{key}", value, known)
        if costs == "macs" and (levels == "pixels" or (levels, combination) == ("both", "sum")):
            raise ConfigError(f"space.costs=macs does not go with space.levels={levels} and space.combination="
                              f"{combination}, of which no channel is taken out; use costs=equal")
        if norms == "split" and specific > 1:
            raise ConfigError(f"space.norms=split does not go with space.specific={specific}: those parts have norms "
                              "of their own; use specific 0 or 1")
        self._trunk: TwoStreamArguments = {"depth": depth, "width": width, "specific": specific,
                                           "last_stride": last_stride}
        self._norm = NORMS[norms]
        self.levels, self.combination, self.initial_logit, self.costs = levels, combination, initial_logit, costs
        self.image_size = image_size[0], image_size[1]
        self.cells = place_cells(**self._trunk, image_size=self.image_size, position=position,
                                 shared_channels=shared_channels)

    def decisions(self) -> Sequence[Decision]:
        """One per cell, level and modality; one for both of shared channels. To drop costs nothing."""
        gates = self._gates()
        costs = dict.fromkeys(gates, 1.0) if self.costs == "equal" else self._macs
        return [Decision(name, rows, (Choice("drop", frozenset({"none"})),
                                      Choice("keep", cost=costs.get(name, 0.0), initial=self.initial_logit)))
                for name, (_, rows) in gates.items()]

    def supernet(self) -> Supernet:
        """The two-stream network with a gate for every channel and pixel."""
        return Supernet(self.cells, levels=self.levels, combination=self.combination, norm=self._norm,
                        **self._trunk)

    def derive(self, probs: Mapping[str, Tensor]) -> Genotype:
        """The masks; a cell that keeps everything is left out. Probabilities, tens of thousands, stay in the run."""
        masks = {name: kept(probs[name], **self._derivation[level]) for name, (level, _) in self._gates().items()}
        body = {}
        for cell in self.cells.values():
            found = self._cell_masks(cell, masks)
            if not found.is_open():
                body[cell.name] = found.to_body()
        return Genotype(self.name, self.version, body, arguments=self.arguments)

    def one_hot(self, genotype: Genotype) -> dict[str, Tensor]:
        """Probabilities from which ``derive`` returns this genotype's body, [R, 2] per decision.

        Raises:
            GenotypeError: the body is malformed.
        """
        masks = self._read(genotype)
        rows = {name: torch.ones(count, dtype=torch.long) for name, (_, count) in self._gates().items()}
        for name, mask in masks.items():
            cell = self.cells[name]
            for level, decisions in ((mask.channels, cell.channel_decisions()), (mask.pixels, cell.pixel_decisions())):
                for decision, row in zip(decisions, [] if level is None else level, strict=level is not None):
                    rows[decision] = torch.from_numpy(row.reshape(-1)).long()
        return {name: nn.functional.one_hot(row, 2).float() for name, row in rows.items()}

    def network(self, genotype: Genotype) -> nn.Module:
        """The fixed network of a genotype: masked, and without the channels that no modality keeps.

        Raises:
            GenotypeError: the body is malformed, or one of its masks would empty a stage.
        """
        return MaskedNetwork(self._read(genotype), self.cells, combination=self.combination, norm=self._norm,
                             **self._trunk)

    def convert_weights(self, state: Mapping[str, Tensor], genotype: Genotype) -> dict[str, Tensor]:
        """Entries under the names of a network of ``genotype``: from torchvision or from a supernet.

        Args:
            state: of a torchvision ResNet, of a search of this space, or of a network of ours, which is left as it is.
            genotype: of the network that the entries are for.
        """
        with torch.device("meta"):
            full = self.supernet()
        names = list(full.state_dict())
        if not any(name.startswith("trunk.") for name in state):
            state = {f"trunk.{name}": value for name, value in fan_out(state, names).items()}
        left = {f"trunk.{layer}": cut for layer, cut in
                cuts(full, kept_channels(self._read(genotype), self.cells, self.combination)).items()}
        shapes = {f"trunk.{name}": value.shape for name, value in full.state_dict().items()}
        if not left or any(state[name].shape != shape for name, shape in shapes.items() if name in state):
            return dict(state)  # of all channels, or already without those that are dropped
        # The head saw all channels, and classified other identities: it starts anew.
        return {name: value if (cut := cut_of(name, left)) is None else sliced(value, cut)
                for name, value in state.items() if not name.startswith("head.")}

    def supernet_weights(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Entries under the names of the supernet, from a torchvision ResNet or from a search of this space."""
        return self.convert_weights(state, Genotype(self.name, self.version, {}))

    def feature_masks(self, genotype: Genotype) -> list[FeatureMasks]:
        """What each cell keeps, for tables and pictures."""
        masks = self._read(genotype)
        found = []
        for cell in self.cells.values():
            mask = masks.get(cell.name, CellMasks(None, None))
            open_ = np.ones((2, cell.channels), bool), np.ones((2, *cell.size), bool)
            found.append(FeatureMasks(cell.name, *(every if level is None else level for level, every in
                                                   zip((mask.channels, mask.pixels), open_, strict=True))))
        return found

    def _gates(self) -> dict[str, tuple[str, int]]:
        """Decision -> its level and its number of gates."""
        gates: dict[str, tuple[str, int]] = {}
        for cell in self.cells.values():
            if self.levels != "pixels":
                gates |= dict.fromkeys(cell.channel_decisions(), ("channels", cell.channels))
            if self.levels != "channels":
                gates |= dict.fromkeys(cell.pixel_decisions(), ("pixels", cell.size[0] * cell.size[1]))
        return gates

    @cached_property
    def _macs(self) -> dict[str, float]:
        """Decision about channels -> MACs that the network without one of them saves, in halves where two decide it."""
        def macs(body: Mapping[str, Any]) -> int:
            """Of the network with these masks."""
            genotype = Genotype(self.name, self.version, body, arguments=self.arguments)
            return costs_of(self, genotype, self.image_size)["macs"]

        full = macs({})
        found: dict[str, float] = {}
        for cell in self.cells.values():
            all_but_one = np.arange(cell.channels)[None].repeat(2, 0) > 0
            names = cell.channel_decisions()
            saved = full - macs({cell.name: CellMasks(all_but_one, None).to_body()})
            found |= dict.fromkeys(names, saved / len(set(names)))
        return found

    def _cell_masks(self, cell: Cell, masks: Mapping[str, Tensor]) -> CellMasks:
        channels = pixels = None
        if self.levels != "pixels":
            channels = torch.stack([masks[name] for name in cell.channel_decisions()]).numpy()
        if self.levels != "channels":
            pixels = torch.stack([masks[name] for name in cell.pixel_decisions()]).unflatten(1, cell.size).numpy()
        return CellMasks(channels, pixels)

    def _read(self, genotype: Genotype) -> dict[str, CellMasks]:
        masks = read_masks(genotype.body, {name: cell.channels for name, cell in self.cells.items()},
                           shared=[name for name, cell in self.cells.items() if cell.shared_channels])
        self._check_widths(genotype, masks)
        return masks

    def _check_widths(self, genotype: Genotype, masks: Mapping[str, CellMasks]) -> None:
        """Runs of channels do not say of how many: in a wider network they would drop all the others."""
        depth, width = (genotype.arguments.get(key, self.arguments[key]) for key in ("depth", "width"))
        check_arguments(depth, width, specific=self._trunk["specific"], last_stride=self._trunk["last_stride"])
        searched = block_channels(depth, width)
        for name, mask in masks.items():
            cell = self.cells[name]
            before = searched[f"{cell.block.partition('.')[0]}.0"]  # as many after every block of a stage
            if mask.channels is not None and before != cell.channels:
                raise GenotypeError(f"cell {name}: its masks were searched for {before} channels, and this network has "
                                    f"{cell.channels}; keep depth={depth} and width={width} of the search")


def _check_numbers(image_size: Sequence[int], initial_logit: float) -> None:
    if not (isinstance(image_size, Sequence) and len(image_size) == 2 and all(
            isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in image_size)):
        raise ConfigError(f"space.image_size={image_size!r} is illegal; expected height and width in pixels, such as "
                          "[288, 144]")
    if isinstance(initial_logit, bool) or not isinstance(initial_logit, int | float) or not math.isfinite(
            initial_logit):
        raise ConfigError(f"space.initial_logit={initial_logit!r} is illegal; expected a finite number")
