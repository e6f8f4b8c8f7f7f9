"""How much memory a search step takes, found on the meta device before anything is allocated."""

import logging
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call

from nas_reid.errors import ConfigError
from nas_reid.genotype import Genotype
from nas_reid.network.free_memory import memory_of
from nas_reid.search_space import Decision, Mix, SearchSpace

_COPIES_OF_WEIGHTS = {"first_order": 3, "joint": 3, "one_shot": 3, "second_order": 6}
"""Weights, gradients and momentum; the unrolled step adds the moved weights, their gradients and the difference's."""

_EXACT_HESSIAN = 3
"""Times what a forward pass keeps: the training loss's, its gradient's graph (as much again), the validation loss's."""

_WITH_TEMPORARIES = 1.3

log = logging.getLogger(__name__)


class SavedTensors:
    """Storages that autograd keeps for the backward pass, each counted once; ``pack`` is for ``saved_tensors_hooks``.

    The counts in docs/benchmarks.md are made with it, and so is the estimate before a search.

    Args:
        apart: tensors that are not counted, such as parameters.
    """

    def __init__(self, apart: Sequence[Tensor]) -> None:
        self._apart = {tensor.untyped_storage()._cdata for tensor in apart}
        self._storages: dict[int, torch.UntypedStorage] = {}

    def pack(self, tensor: Tensor) -> Tensor:
        """Note a tensor."""
        storage = tensor.untyped_storage()
        if storage._cdata not in self._apart:
            self._storages[storage._cdata] = storage  # held, so that no other tensor gets its address
        return tensor

    def size(self) -> int:
        """Bytes."""
        return sum(storage.nbytes() for storage in self._storages.values())


def saved_bytes(network: nn.Module, decisions: Sequence[Decision], images: Sequence[int], *,
                sampled_only: bool = False) -> int:
    """Bytes that a supernet's forward pass keeps for its backward pass when weights and alphas want gradients.

    In float32: bfloat16 takes little more than half of it. A compiled network is counted as if it were not, which is
    an upper bound of what it keeps.

    Args:
        network: ``forward(images, mixes, modality=...)``; on any device, left unchanged.
        decisions: of its space.
        images: shape [B, 3, H, W] of a batch.
        sampled_only: run one choice of each row, the last.
    """
    state = {name: _on_meta(tensor) for group in (network.named_parameters(), network.named_buffers())
             for name, tensor in group}
    mixes = {}
    for decision in decisions:
        rows, choices = decision.rows, len(decision.choices)
        mixes[decision.name] = Mix(torch.empty(rows, choices, device="meta", requires_grad=True),
                                   torch.full((rows,), choices - 1) if sampled_only else None, sampled_only)
    saved = SavedTensors(list(state.values()))
    # As written, compiled or not: there is nothing to compile for the meta device.
    with torch.compiler.set_stance("force_eager"), saved_tensors_hooks(saved.pack, lambda tensor: tensor):
        output = functional_call(network, state, (torch.empty(images, device="meta"), mixes),
                                 {"modality": torch.empty(images[0], dtype=torch.int64, device="meta")})
    size = saved.size()
    del output
    return size


def step_bytes(network: nn.Module, decisions: Sequence[Decision], images: Sequence[int], *, samples: int,
               scheme: str, sampled_only: bool, hessian: str = "finite_difference") -> int:
    """Bytes that one search step takes: what is kept for the backward pass, the weights and their companions.

    Temporaries are not counted: expect some tenths more.

    Args:
        network, decisions, images, sampled_only: see ``saved_bytes``.
        samples: Monte Carlo samples per loss, all of which are kept at a time.
        scheme: ``first_order``, ``second_order`` or ``joint``.
        hessian: of the second order, ``finite_difference`` or ``exact``.
    """
    weights = sum(parameter.numel() * parameter.element_size() for parameter in network.parameters())
    saved = saved_bytes(network, decisions, images, sampled_only=sampled_only)
    graphs = _EXACT_HESSIAN if scheme == "second_order" and hessian == "exact" else 1
    return graphs * samples * saved + _COPIES_OF_WEIGHTS[scheme] * weights


def foresee(space: SearchSpace, images: Sequence[int], *, instances: int, samples: int, scheme: str,
            sampled_only: bool, device: torch.device, hessian: str = "finite_difference") -> None:
    """Log what a search step will need, before any of it is allocated; a warning with advice where it is not free.

    The head is left out: it is small beside a supernet.

    Args:
        space: its supernet is built on the meta device.
        images, samples, scheme, sampled_only, hessian: see ``step_bytes``.
        instances: K of the batches.
        device: where the search runs.

    Raises:
        ConfigError: the device does not have half as much in all, free or not: not even in bfloat16 would it do.
    """
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        network = space.supernet()
    needed = step_bytes(network, space.decisions(), images, samples=samples, scheme=scheme, sampled_only=sampled_only,
                        hessian=hessian)
    memory = memory_of(device)
    warning = advice(needed, memory.free, batch_size=images[0], instances=instances)
    if memory.total is not None and needed / 2 > memory.total:
        raise ConfigError(f"{device} has {memory.total / 2**30:.1f} GiB in all, too little for space={space.name} as "
                          f"it is configured: {warning}")
    if warning:
        log.warning(warning)
    else:
        log.info("a search step keeps about %.2f GiB", needed / 2**30)


def require_room(space: SearchSpace, genotype: Genotype, device: torch.device, image_size: Sequence[int]) -> None:
    """Refuse a network whose training cannot fit, or that images are too small for, before any of it is allocated.

    Args:
        space, genotype: of the network, which is built on the meta device.
        device: where it will be trained.
        image_size: height and width of the images.

    Raises:
        ConfigError: its weights, their gradients and two moments take more than the device has in all; it refuses
            images of this size.
    """
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        network = space.network(genotype)
    parameters, total = sum(parameter.numel() for parameter in network.parameters()), memory_of(device).total
    if total is not None and 4 * 4 * parameters > total:
        raise ConfigError(f"this network has {parameters:,} parameters: with gradients and moments "
                          f"{16 * parameters / 2**30:,.1f} GiB, and {device} has {total / 2**30:.1f} GiB in all. Give "
                          "it smaller widths or depths: network.<argument>= (of a search: space.<argument>=)")
    try:
        with torch.no_grad():
            network.eval()(torch.empty(2, 3, *image_size, device="meta"))
    except ConfigError as error:
        raise ConfigError(f"images of {image_size[0]} x {image_size[1]} pixels (data.image_size): {error}") from None
    except Exception:  # an op of somebody's that the meta device lacks: the first batch will tell
        return


def advice(needed: int, free: int | None, *, batch_size: int, instances: int) -> str | None:
    """What to change when ``needed`` bytes and their temporaries do not fit into ``free``; None when they do, or nobody
    knows.

    Args:
        needed: of ``step_bytes``; nearly all of it grows with the batch.
        free: of ``memory_of``.
        batch_size: images in a batch now.
        instances: K; a batch has a multiple of it.
    """
    if free is None or _WITH_TEMPORARIES * needed <= free:
        return None
    images = int(batch_size * free / (_WITH_TEMPORARIES * needed)) // instances * instances
    smaller = f"batch.size={images}, " if images >= 2 * instances else ""
    return (f"a search step needs about {needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free (temporaries take "
            f"some tenths more). What would make it fit: {smaller}algorithm.relaxation=gumbel_sampled (runs one choice "
            "of each decision), a smaller data.image_size (half of both sides: a quarter of the memory), or a smaller "
            "space")


def _on_meta(tensor: Tensor) -> Tensor:
    return torch.empty_like(tensor, device="meta").requires_grad_(tensor.requires_grad)
