"""A search's first steps in float64, by one process with whole batches or by several with a part of each."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import hydra
import torch
from torch import Tensor
from torch.optim import Optimizer

from nas_reid.data.batches import Batch
from nas_reid.nas.bilevel import Bilevel
from nas_reid.parallel.processes import rank, world
from nas_reid.registry import create_searchable
from nas_reid.run.composition import config_dir, prepare
from nas_reid.search import build_bilevel, train_one_epoch
from tests.composing import settings

IMAGES, CLASSES = 8, 4
SMALL = {"auto_reid": "space.channels=4 space.layers=[1,1] space.nodes=2 space.execution=fused",
         "osnet_ain": "space.width=0.0625 space.streams=2 space.fusion=addition",
         "nfs": "space.width=0.0625 data=synthetic_ir",
         "norm_sites": "space.width=0.0625 data=synthetic_ir"}
INFRARED = "batch.sampler=modality_pairs"


class Case(NamedTuple):
    """A space, and what is said of its search."""

    space: str
    overrides: str = ""


CASES = {
    "fused": Case("auto_reid", "head.embedding=6 head.dropout=0.3 algorithm.samples=2 "
                               "algorithm.regularisers.entropy=0.1"),
    "exact": Case("auto_reid", "algorithm=darts_second_order"),
    "differences": Case("auto_reid", "algorithm=darts_second_order algorithm.hessian=finite_difference"),
    "adversarial": Case("auto_reid", "algorithm=sdarts algorithm.perturbation=adversarial "
                                     "algorithm.perturbation_steps=1 objective.alphas.circle_pairs.weight=0.1"),
    "gdas": Case("auto_reid", "algorithm=gdas space.execution=plain objective.weights.center.weight=0.1"),
    "joint": Case("osnet_ain", "algorithm=osnet_ain space.execution=fused"),
    "nfs": Case("nfs", f"algorithm=nfs {INFRARED} objective.alphas.cross_modality.weight=1"),
    "norm_sites": Case("norm_sites", f"algorithm=gdas {INFRARED} objective.weights.hetero_center.weight=0.1"),
}


class Batches:
    """Random images of four people in both modalities; this process's rows of a batch that all share."""

    waited_s = 0.0

    def __init__(self, seed: int, steps: int, size: tuple[int, int]) -> None:
        self.seed, self.steps, self.size = seed, steps, size

    def __len__(self) -> int:
        return self.steps

    def stream(self, first: int, count: int) -> Iterator[Batch]:
        own = slice(rank() * IMAGES // world(), (rank() + 1) * IMAGES // world())
        for step in range(first, first + count):
            generator = torch.Generator().manual_seed(1000 * self.seed + step)
            images = torch.randn(IMAGES, 3, *self.size, generator=generator, dtype=torch.float64)
            images = images.contiguous(memory_format=torch.channels_last)
            yield Batch(images[own], (torch.arange(IMAGES) // 2)[own], (torch.arange(IMAGES) % 2)[own])


def run(case: Case, steps: int) -> dict[str, Any]:
    """The first step's gradients; alphas, weights with running statistics, and mean losses after so many steps."""
    configured = settings("search", f"space={case.space}", *SMALL[case.space].split(), *case.overrides.split(),
                          "batch.size=8", "batch.instances=2", "epochs=2", "algorithm.warmup_epochs=0",
                          "weights.lr=0.01")
    torch.manual_seed(0)
    space = create_searchable(configured.space)
    bilevel = build_bilevel(configured, space, CLASSES, torch.device("cpu"), steps=steps)
    as_double(bilevel)
    method = configured.algorithm
    size = (64, 32) if case.space == "osnet_ain" else (32, 16)  # smaller maps of two pixels are ill conditioned
    batches = [Batches(seed, steps, size) for seed in ((1,) if method.has_one_level else (1, 2))]
    gradients: dict[str, Tensor] = {}
    for name, level in (("weights", bilevel.lower), ("alphas", bilevel.upper)):
        level.optimizer.register_step_pre_hook(partial(note_gradients, gradients, name))
    losses = train_one_epoch(bilevel, batches, 0, algorithm=method, epochs=2, temperature=2.0)
    objective = bilevel.lower.objective.state_dict()
    return {"gradients": gradients,
            "alphas": {name: alpha.detach() for name, alpha in bilevel.arch.alphas().items()},
            "weights": bilevel.network.state_dict() | {f"objective.{name}": value for name, value in objective.items()},
            "losses": {name: torch.tensor(value) for name, value in losses.items() if "loss" in name}}


def note_gradients(gradients: dict[str, Tensor], name: str, optimizer: Optimizer, *_: object) -> None:
    """Keep the gradients of the first step, in one tensor."""
    if name not in gradients:
        gradients[name] = torch.cat([parameter.grad.flatten() for group in optimizer.param_groups
                                     for parameter in group["params"] if parameter.grad is not None])


def furthest(one: dict[str, Tensor], other: dict[str, Tensor]) -> tuple[float, str]:
    """The largest difference of a tensor, relative to its largest entry, and whose it is."""
    assert one.keys() == other.keys()
    return max(((one[name].double() - other[name].double()).abs().max().item()
                / max(one[name].double().abs().max().item(), 1e-9), name) for name in one if one[name].numel())


def as_double(bilevel: Bilevel) -> None:
    for module in (bilevel.network, bilevel.arch, bilevel.lower.objective, bilevel.upper.objective):
        module.double()
    bilevel.network.trunk_dtype = torch.float32  # no autocast


def run_all(steps: int) -> dict[str, dict[str, dict[str, Tensor]]]:
    prepare()
    with hydra.initialize_config_dir(config_dir(), version_base="1.3"):
        return {name: run(case, steps) for name, case in CASES.items()}
