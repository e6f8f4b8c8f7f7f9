"""The conformance suite of a search space: what every plugin, ours or a stranger's, must fulfil.

    from nas_reid.conformance import check_search_space
    def test_conforms():
        check_search_space(MySpace())
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import torch
from torch import Tensor, nn

from nas_reid.errors import ConfigError
from nas_reid.genotype import Genotype
from nas_reid.nas.arch_parameters import ArchParameters
from nas_reid.search_space import (
    OPTIONAL_OF_NETWORKS,
    OPTIONAL_OF_SPACES,
    Decision,
    Mix,
    OffersOneHot,
    SearchSpace,
    member_names,
)

_ALIKE = 0.85  # of difflib: ``onehot`` and ``one_hot`` are, ``drop_path`` and ``set_drop_path`` are not


class ConformanceError(AssertionError):
    """A search space breaks the contract of ``nas_reid.search_space``."""


def check_search_space(space: SearchSpace, *, image_size: tuple[int, int] = (64, 32), batch: int = 4,
                       one_hot_equals_network: bool = False, searchable: bool = True) -> None:
    """Check one space against the contract; small sizes keep it at seconds.

    Args:
        space: the space, constructed as small as it can be.
        image_size: height and width of the random images used.
        batch: images per forward.
        one_hot_equals_network: the space promises that its fixed network, with weights of the same names, computes
            what the supernet computes under one-hot mixing weights (both in evaluation mode).
        searchable: False for a family of fixed networks, which declares no decision.

    Raises:
        ConformanceError: names the rule that is broken.
    """
    name, version = (getattr(type(space), attribute, None) for attribute in ("name", "version"))
    _require(isinstance(name, str) and isinstance(version, int), "name and version must be attributes of the class, "
             "a string and an integer")
    _check_spelling("the space", space, OPTIONAL_OF_SPACES)
    declared = space.decisions()
    try:
        if searchable:
            ArchParameters(declared, init_scale=0.0, generator=torch.Generator())
    except ConfigError as error:
        raise ConformanceError(f"decisions(): {error}") from error
    _require(searchable or not declared, f"decisions() is {list(declared)}; expected none of a space of fixed networks")
    decisions = {decision.name: decision for decision in declared}
    with torch.device("meta"):
        supernet = space.supernet()
    _require(isinstance(getattr(supernet, "out_channels", None), int), "supernet() has no integer out_channels")
    _check_spelling("the supernet", supernet, OPTIONAL_OF_NETWORKS)
    _check_gradients(space, decisions, image_size, batch)
    _check_sampling(space, decisions, image_size, batch)
    uniform = {name: torch.full((d.rows, len(d.choices)), 1 / len(d.choices)) for name, d in decisions.items()}
    genotype = space.derive(uniform)
    _check_genotype(space, genotype)
    _check_arguments(space, genotype)
    _check_fixed_point(space, decisions)
    _check_network(space, genotype, image_size, batch)
    if one_hot_equals_network:
        _check_one_hot(space, decisions, image_size, batch)


def random_one_hot(decisions: Mapping[str, Decision], *, seed: int = 0) -> dict[str, Tensor]:
    """Random one-hot probabilities {decision: [R, K]}."""
    generator = torch.Generator().manual_seed(seed)
    chosen = {name: torch.randint(len(d.choices), (d.rows,), generator=generator) for name, d in decisions.items()}
    return {name: nn.functional.one_hot(chosen[name], len(d.choices)).float() for name, d in decisions.items()}


def _require(condition: bool, rule: str) -> None:
    if not condition:
        raise ConformanceError(rule)


def _check_spelling(what: str, owner: object, protocols: Sequence[type]) -> None:
    """No member looks like an optional one, which the engine would not find under that name."""
    known = member_names(protocols)
    own = {name for name in dir(type(owner)) if not name.startswith("_") and not hasattr(nn.Module, name)}
    for name in sorted(own - set(known)):
        for meant in get_close_matches(name, known, n=1, cutoff=_ALIKE):
            raise ConformanceError(f"{what} has a member {name}, which looks like the optional {meant} and is none: "
                                   f"name it {meant}, or something else")


def _check_gradients(space: SearchSpace, decisions: Mapping[str, Decision], size: tuple[int, int], batch: int) -> None:
    """Every row of every decision influences the feature map."""
    generator = torch.Generator().manual_seed(0)
    weights = {name: torch.rand(d.rows, len(d.choices), generator=generator).softmax(-1).requires_grad_()
               for name, d in decisions.items()}
    supernet = space.supernet().train()
    images = torch.randn(batch, 3, *size, generator=generator)
    maps = supernet(images, {name: Mix(weight) for name, weight in weights.items()},
                    modality=torch.arange(batch) % 2)
    _require(maps.ndim == 4 and maps.shape[:2] == (batch, supernet.out_channels),
             f"supernet returned {tuple(maps.shape)}; expected [{batch}, {supernet.out_channels}, H', W']")
    probe = torch.randn(maps.shape, generator=generator)
    if not weights:
        return
    gradients = torch.autograd.grad((maps * probe).sum(), list(weights.values()), allow_unused=True)
    for name, gradient in zip(weights, gradients, strict=True):
        _require(gradient is not None, f"decision {name!r} receives no gradient")
        dead = (gradient.abs().sum(1) == 0).nonzero().flatten().tolist()
        _require(not dead, f"rows {dead} of decision {name!r} receive no gradient")


def _check_sampling(space: SearchSpace, decisions: Mapping[str, Decision], size: tuple[int, int], batch: int) -> None:
    """Whether a supernet runs all choices or the sampled ones alone, one-hot weights mean the same."""
    supernet = space.supernet().eval()
    images = torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(3))
    weights = {name: row.requires_grad_() for name, row in random_one_hot(decisions, seed=3).items()}
    every, sampled = (supernet(images, {name: Mix(row, row.argmax(1), only, all_gradients=only)
                                        for name, row in weights.items()}) for only in (False, True))
    _require(torch.allclose(every, sampled, rtol=1e-3, atol=1e-5),
             "the supernet computes something else with sampled_only than with the same one-hot weights")
    if not weights:
        return
    probe = torch.randn(every.shape, generator=torch.Generator().manual_seed(4))
    expected, gradients = (torch.autograd.grad((maps * probe).sum(), list(weights.values()), allow_unused=True)
                           for maps in (every, sampled))
    wrong = [name for name, full, ours in zip(weights, expected, gradients, strict=True)
             if ours is None or not torch.allclose(full, ours, rtol=1e-2, atol=1e-4 * full.abs().max().item())]
    _require(not wrong, f"with sampled_only and all_gradients, decisions {wrong} receive other gradients than with the "
             "same one-hot weights and all choices run")


def _check_genotype(space: SearchSpace, genotype: Genotype) -> None:
    _require(genotype.space == space.name and genotype.space_version == space.version,
             f"derive() names space {genotype.space!r} version {genotype.space_version}; "
             f"the space is {space.name!r} version {space.version}")
    try:
        again = Genotype.from_json(genotype.to_json())
    except TypeError as error:
        raise ConformanceError(f"the genotype cannot be written as JSON: {error}") from error
    _require(again == genotype, "the genotype changes when written to JSON and read back: use only JSON types")


def _check_arguments(space: SearchSpace, genotype: Genotype) -> None:
    """A genotype carries what builds its network again, wherever its file is read."""
    try:
        again = type(space)(**genotype.arguments)
    except TypeError as error:
        raise ConformanceError(f"the genotype's arguments do not construct the space: {error}") from error
    with torch.device("meta"):
        ours, theirs = (build.network(genotype).state_dict() for build in (space, again))
    _require({name: tensor.shape for name, tensor in ours.items()}
             == {name: tensor.shape for name, tensor in theirs.items()},
             "the space constructed from the genotype's arguments builds another network: they must hold all of them")


def _check_fixed_point(space: SearchSpace, decisions: Mapping[str, Decision]) -> None:
    """Deriving depends on the probabilities alone, and the one-hot probabilities of a genotype give it back."""
    for seed in range(3):
        probs = random_one_hot(decisions, seed=seed)
        first = space.derive(probs)
        _require(first.body == space.derive(probs).body, "derive() is not deterministic")
        if isinstance(space, OffersOneHot):
            _require(space.derive(space.one_hot(first)).body == first.body, "derive(one_hot(g)) is not g")


def _check_network(space: SearchSpace, genotype: Genotype, size: tuple[int, int], batch: int) -> None:
    network = space.network(genotype).train()
    _check_spelling("the fixed network", network, OPTIONAL_OF_NETWORKS)
    images = torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(1))
    maps = network(images, modality=torch.arange(batch) % 2)
    _require(maps.ndim == 4 and maps.shape[:2] == (batch, getattr(network, "out_channels", -1)),
             f"network returned {tuple(maps.shape)}; expected [{batch}, out_channels, H', W'] and integer out_channels")
    maps.square().mean().backward()
    dead = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    _require(not dead, f"parameters {dead} of the fixed network receive no gradient: build only what is used")


def _check_one_hot(space: SearchSpace, decisions: Mapping[str, Decision], size: tuple[int, int], batch: int) -> None:
    probs = random_one_hot(decisions)
    genotype = space.derive(probs)
    if isinstance(space, OffersOneHot):  # what is random need not be what it derives to, for example with ``none``
        probs = {name: weight.float() for name, weight in space.one_hot(genotype).items()}
    supernet, network = space.supernet().eval(), space.network(genotype).eval()
    missing, _ = network.load_state_dict(supernet.state_dict(), strict=False)
    _require(not missing, f"the fixed network has parameters that the supernet lacks: {missing}")
    images = torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(2))
    mixes = {name: Mix(weight, weight.argmax(1)) for name, weight in probs.items()}
    with torch.no_grad():
        difference = (supernet(images, mixes) - network(images)).abs().max().item()
    _require(difference < 1e-5, f"the one-hot supernet and the fixed network differ by {difference:.2e}")
