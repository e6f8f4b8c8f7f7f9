"""The search space itself: what the engine sees of the norm sites."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from nas_reid.backbones.two_stream import TwoStreamResNet, check_arguments
from nas_reid.errors import GenotypeError
from nas_reid.genotype import Genotype
from nas_reid.registry import register
from nas_reid.search_space import Choice, Decision
from search_spaces.norm_sites.sites import CHOICES, DECISION, SiteChoice, Supernet, find_sites, norms_of

_NORM_PART = re.compile(r"\.(?:split|share|visible|infrared)(?=\.)")


@register("norm_sites")
class NormSites:
    """For each norm of a ResNet: one for both modalities (``share``) or one for each (``split``); 2^53 networks of
    depth 50. Convolutions are always shared.

    Args:
        depth: 18, 34 or 50.
        width: multiplier of all channels.
        last_stride: of ``layer4``, 1 or 2.

    Raises:
        ConfigError: an unknown depth or a number out of range.
    """

    name = "norm_sites"
    version = 1
    head: ClassVar[Mapping[str, Any]] = {"init_std": 0.001}

    def __init__(self, depth: int, width: float, *, last_stride: int) -> None:
        check_arguments(depth, width, specific=0, last_stride=last_stride)
        self.arguments = {"depth": depth, "width": width, "last_stride": last_stride}
        self._depth, self._width, self._last_stride = depth, width, last_stride
        self.sites = tuple(find_sites(depth, width, last_stride))

    def decisions(self) -> Sequence[Decision]:
        """One, a row for each site in the order of construction; to split costs 1, to share 0."""
        return [Decision(DECISION, len(self.sites), (Choice("split", cost=1.0), Choice("share")), row_names=self.sites)]

    def supernet(self) -> nn.Module:
        """The network with both norms at every site."""
        return Supernet({site: row for row, site in enumerate(self.sites)}, self._depth, self._width,
                        last_stride=self._last_stride)

    def derive(self, probs: Mapping[str, Tensor]) -> Genotype:
        """The likelier choice of each site; equally likely ones share."""
        split = (probs[DECISION][:, 0] > probs[DECISION][:, 1]).tolist()
        body = {site: CHOICES[0 if apart else 1] for site, apart in zip(self.sites, split, strict=True)}
        return Genotype(self.name, self.version, body, arguments=self.arguments,
                        probabilities={DECISION: probs[DECISION].detach().double().tolist()})

    def one_hot(self, genotype: Genotype) -> dict[str, Tensor]:
        """Probabilities from which ``derive`` returns this genotype's body.

        Raises:
            GenotypeError: the body is malformed.
        """
        body = self._checked(genotype)
        return {DECISION: one_hot(torch.tensor([CHOICES.index(body[site]) for site in self.sites], device="cpu"),
                                  2).float()}

    def network(self, genotype: Genotype) -> nn.Module:
        """The fixed network, with the chosen norms alone.

        Raises:
            GenotypeError: the body is malformed.
        """
        return TwoStreamResNet(self._depth, self._width, specific=0, last_stride=self._last_stride,
                               norm=norms_of(self._checked(genotype)))

    def op_parameters(self) -> dict[tuple[str, int, str], list[str]]:
        """(``sites``, site, choice) -> the parameters of its norms."""
        with torch.device("meta"):
            modules = dict(self.supernet().named_modules())
        return {(DECISION, module.row, choice): [f"trunk.{name}.{choice}.{parameter}" for parameter, _ in
                                                 module.get_submodule(choice).named_parameters()]
                for name, module in modules.items() if isinstance(module, SiteChoice) for choice in CHOICES}

    def convert_weights(self, state: Mapping[str, Tensor], genotype: Genotype) -> dict[str, Tensor]:
        """Entries under the names of a network of ``genotype``: from torchvision or from a supernet.

        Args:
            state: of a torchvision ResNet, of a search of this space, or of a network of ours, which is left as it is.
            genotype: of the network that the entries are for.
        """
        with torch.device("meta"):
            names = list(self.network(genotype).state_dict())
        if not any(name.startswith("trunk.") for name in state):
            return _from_torchvision(state, names)
        if not any(".split." in name for name in state):
            return dict(state)
        own = {f"trunk.{name}": f"trunk.{_in_supernet(name, genotype.body)}" for name in names}
        return ({name: value for name, value in state.items() if name.startswith("head.")}
                | {name: state[source] for name, source in own.items() if source in state})

    def supernet_weights(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Entries under the names of the supernet, from a torchvision ResNet or from a search of this space."""
        if any(name.startswith("trunk.") for name in state):
            return dict(state)
        with torch.device("meta"):
            return _from_torchvision(state, list(self.supernet().state_dict()))

    def _checked(self, genotype: Genotype) -> Mapping[str, str]:
        body = genotype.body
        if set(body) != set(self.sites):
            strange = sorted(set(body) ^ set(self.sites))
            raise GenotypeError(f"genotype has {len(body)} norm sites, this network {len(self.sites)}; they differ in "
                                f"{', '.join(strange[:4])}. Was it searched with another depth?")
        for site, choice in body.items():
            if choice not in CHOICES:
                raise GenotypeError(f"site {site} is {choice!r}; it can be: {', '.join(CHOICES)}")
        return body


def _from_torchvision(state: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """Every norm of a site gets that of the plain network."""
    sources = {name: _NORM_PART.sub("", name).removeprefix("stem.") for name in names}
    return {f"trunk.{name}": state[source] for name, source in sources.items() if source in state}


def _in_supernet(name: str, body: Mapping[str, str]) -> str:
    """The supernet's name of an entry of the fixed network."""
    owner, _, entry = name.rpartition(".")
    site = _NORM_PART.sub("", f"{owner}.")[:-1].removeprefix("stem.")
    if site not in body:
        return name
    inner = owner.rpartition(".")[2] if body[site] == "split" else ""
    root = owner.removesuffix(f".{inner}") if inner else owner
    return f"{root}.split.{inner}.{entry}" if inner else f"{root}.share.{entry}"
