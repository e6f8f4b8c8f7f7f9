"""Search iterations (a step of the alphas and one of the weights) as ``nas_reid.search`` runs them."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from itertools import count
from typing import NamedTuple

import torch
from torch import nn

from benchmarks.measurement import Comparison, Setting, timed
from benchmarks.own_process import in_own_process
from nas_reid.data.batches import Batch
from nas_reid.modules.instance_norm import InstanceNorm
from nas_reid.nas.temperature import build_temperature
from nas_reid.registry import create_space
from nas_reid.run import compose
from nas_reid.search import build_bilevel, train_one_epoch

_CLASSES, _INSTANCES = 751, 4
_STEPS = 2  # of an epoch, which is what a round runs; each has samples of its own, the same in both forms
_AUTO_REID = ["space=auto_reid", "space.layers=[2,2,2,2]"]
_HARD = "algorithm.relaxation=gumbel_hard"


class _Case(NamedTuple):
    """An iteration in two forms, each given by what it changes in the search's configuration."""

    name: str
    shape: tuple[int, int, int, int]
    ours: list[str]
    plain: list[str] | None = None
    plain_form: str = ""
    asked: str = ""


def step(setting: Setting) -> Iterator[Comparison]:
    """The soft supernets: Auto-ReID's fused against edge by edge, OSNet's against candidate by candidate."""
    space, shape, asked = _auto_reid(setting, "≤ 0.03 s on an H200", "≥ 1.4×")
    yield _comparison(_Case("fused step", shape, space, [*space, "space.execution=plain"],
                            "every op of every edge by itself", asked), setting)
    for batch in (64, 256) if setting.paper else (16,):
        space = ["space=osnet_ain", "algorithm=osnet_ain"]
        yield _comparison(_Case("OSNet-AIN soft step, fused", _osnet_shape(setting, batch),
                                [*space, "space.execution=fused"], [*space, "space.execution=plain"],
                                "every candidate of a block by itself (the default)"), setting)
    if setting.device.type == "cpu":
        shape, space = (16, 3, 256, 128), ["space=osnet_ain", "algorithm=osnet_ain"]
        plain = in_own_process(partial(_iteration, space, shape, setting.device, change=_by_torch))
        yield Comparison(f"OSNet-AIN soft step, {'×'.join(map(str, shape))}", _iteration(space, shape, setting.device),
                         plain, "torch's instance norm, memory returned to the system, both in channels-last memory",
                         "≥ 1.5×", rounds=3, plain_elsewhere=True)


def sampled(setting: Setting) -> Iterator[Comparison]:
    """Hard Gumbel samples: the sampled ops alone against all of them."""
    space, shape, asked = _auto_reid(setting, "", "≥ 4×")
    space = [*space, "algorithm=gdas"]
    yield _comparison(_Case("sampled step", shape, space, [*space, _HARD, "space.execution=plain"],
                            "every op of every edge by itself, with the same one-hot weights", asked), setting)
    space = ["space=osnet_ain", "algorithm=gdas"]
    yield _comparison(_Case("OSNet-AIN sampled step", _osnet_shape(setting, 64 if setting.paper else 16), space,
                            [*space, _HARD], "all four candidates of every block"), setting)


def threads(setting: Setting) -> Iterator[Comparison]:
    """An iteration of the default search on all of a CPU's cores against one; nothing on a GPU."""
    most = torch.get_num_threads()
    if setting.device.type != "cpu" or most == 1:
        return
    shape = (16, 3, 128, 64)
    work = _iteration(_AUTO_REID, shape, setting.device)

    def on(count: int) -> None:
        torch.set_num_threads(count)
        try:
            work()
        finally:
            torch.set_num_threads(most)

    yield Comparison(f"fused step on {most} threads, {'×'.join(map(str, shape))}", partial(on, most), partial(on, 1),
                     "one thread", "≥ 1.5× on two cores", rounds=3)


def _auto_reid(setting: Setting, asked_on_paper: str, asked: str) -> tuple[list[str], tuple[int, int, int, int], str]:
    if setting.paper:
        return [*_AUTO_REID, "space.channels=32"], (16, 3, 384, 128), asked_on_paper
    return [*_AUTO_REID, "space.channels=16"], (16, 3, 128, 64), asked


def _osnet_shape(setting: Setting, batch: int) -> tuple[int, int, int, int]:
    return (batch, 3, 256, 128) if setting.paper else (batch, 3, 128, 64)


def _comparison(case: _Case, setting: Setting) -> Comparison:
    width = next((f", C={override.split('=')[1]}" for override in case.ours if "channels=" in override), "")
    fastest = partial(_in_faster_format, case.shape, setting.device)
    return Comparison(f"{case.name}{width}, {'×'.join(map(str, case.shape))}", fastest(case.ours),
                      fastest(case.plain) if case.plain else None, case.plain_form, case.asked)


def _in_faster_format(shape: tuple[int, ...], device: torch.device, overrides: list[str]) -> Callable[[], object]:
    """The iteration in the memory format in which it takes less time."""
    works = [_iteration([*overrides, f"channels_last={value}"], shape, device) for value in ("true", "false")]
    trials = [min(timed(work, device) for _ in range(2)) for work in works]
    return works[trials.index(min(trials))]


def _by_torch(network: nn.Module) -> None:
    """Let instance norms run as torch's own."""
    for module in network.modules():
        if isinstance(module, InstanceNorm):
            module.__class__ = nn.InstanceNorm2d  # type: ignore[assignment]  # what it is made from


def _iteration(overrides: list[str], shape: tuple[int, ...], device: torch.device,
               change: Callable[[nn.Module], object] = nn.Module.train) -> Callable[[], object]:
    """An epoch of two iterations on a batch of noise by the command's own code, each call the next one: every step
    draws anew, and what the command does once an epoch is shared by the steps.

    Args:
        overrides: of the search's configuration.
        shape: of the batch.
        device: what runs it.
        change: what is done to the network first.
    """
    settings = compose.settings("search", [*overrides, "algorithm.warmup_epochs=0", "epochs=1000"])
    arguments = dict(settings.space)
    space = create_space(arguments.pop("name"), arguments)
    torch.manual_seed(0)
    bilevel = build_bilevel(settings, space, _CLASSES, device, steps=_STEPS)
    change(bilevel.network)
    memory_format = torch.channels_last if settings.channels_last else torch.contiguous_format
    images = torch.randn(shape).to(device, memory_format=memory_format)
    labels = torch.arange(len(images), device=device) // _INSTANCES
    source = _OneBatch(Batch(images, labels, torch.zeros_like(labels)))
    batches = [source] if settings.algorithm.scheme == "joint" else [source, source]
    temperature, epochs = build_temperature(**asdict(settings.algorithm.temperature)), count()

    def run() -> None:
        epoch = next(epochs)
        train_one_epoch(bilevel, batches, epoch, algorithm=settings.algorithm, epochs=settings.epochs,
                        temperature=temperature(epoch, settings.epochs))

    return run


class _OneBatch:
    """Epochs of a single batch, for ``train_one_epoch``."""

    waited_s = 0.0

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def __len__(self) -> int:
        return _STEPS

    def stream(self, first: int, count: int) -> Iterator[Batch]:
        """The batch, ``count`` times."""
        return iter([self._batch] * count)
