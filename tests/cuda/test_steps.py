"""Steps of searches and trainings on a pretended GPU: all tensors on it, and no wait but those listed."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nas_reid.backbones.blocks import BlockSettings
from nas_reid.backbones.norms import IBN_NORMS
from nas_reid.backbones.resnet import ResNet
from nas_reid.backbones.stages import StagePlan
from nas_reid.backbones.two_stream import TwoStreamResNet
from nas_reid.data.batches import Batch, EvalBatch
from nas_reid.evaluation.features import extract
from nas_reid.losses.objective import LOSSES, build_objective
from nas_reid.modules.head import build_head
from nas_reid.nas.arch_parameters import ArchParameters
from nas_reid.nas.bilevel import Bilevel, Level
from nas_reid.nas.paths import relaxation_of
from nas_reid.nas.regularisers import build_regulariser
from nas_reid.nas.relaxation import RELAXATIONS
from nas_reid.network.execution import place
from nas_reid.network.model import ReIDNetwork, build_network
from nas_reid.search import train_one_epoch as search_one_epoch
from nas_reid.search_space import SearchSpace
from nas_reid.training.distillation import Distillation
from nas_reid.training.ema import WeightAverage
from nas_reid.training.epoch import train_one_epoch
from nas_reid.training.optim import LearningRate, build_optimizer, parameter_groups
from nas_reid.training.training import Training
from search_spaces.norm_sites import NormSites
from tests.cuda.pretended import DEVICE, pretended_cuda
from tests.search_spaces import auto_reid_spaces, nfs_spaces, osnet_networks
from tests.toy_space import ToySpace

CPU = torch.device("cpu")
STEPS = 1
SIZE = (32, 16)
RATE = LearningRate(base=0.05, schedule="constant", epochs=2)
LOSS = {"cross_entropy": {}, "triplet": {}}
SPACES = {
    "auto_reid": partial(auto_reid_spaces.make_space, nodes=2),
    "auto_reid_plain": partial(auto_reid_spaces.make_space, nodes=1, execution="plain"),
    "auto_reid_partial": partial(auto_reid_spaces.make_space, channels=12, nodes=2, partial=2),
    "osnet_ain": partial(osnet_networks.make_space, width=1 / 16, streams=2, fusion="addition"),
    "nfs": partial(nfs_spaces.make_space, image_size=list(SIZE)),
    "norm_sites": partial(NormSites, depth=18, width=1 / 16, last_stride=1)}

READS = "nas_reid/training/running_losses.py"
SAMPLES = "nas_reid/nas/relaxation.py:_told"
ALLOWED = {
    f"{READS}:read": 1,  # the losses, every ten steps
    f"{READS}:finish": 1,  # whether all is finite at the end of an epoch
    "search_spaces/auto_reid/fan.py:_build": 9}  # once for every size of a map
"""Function -> how often it may wait in an epoch."""


class Batches(list[Batch]):
    """The same batches whatever the epoch."""

    waited_s = 0.0

    def stream(self, _first: int, _count: int) -> Iterator[Batch]:
        return iter(self)

    def epoch(self, _epoch: int) -> "Batches":
        return self


def batches(device: torch.device, *, size: tuple[int, int] = SIZE) -> Batches:
    images = torch.randn(8, 3, *size, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    return Batches([Batch(images.to(device), labels.to(device), torch.arange(8) % 2)] * STEPS)


def bilevel_of(space: SearchSpace, relaxation: str, device: torch.device, *, terms: dict[str, Any],
               precision: str = "float32") -> Bilevel:
    torch.manual_seed(0)
    decisions = space.decisions()
    network = build_network(space.supernet(), 4, running_stats=False, neck=True, classifier="cosine")
    network = place(network, device, channels_last=True, precision=precision)
    arch = ArchParameters(decisions, init_scale=0.1, generator=torch.Generator().manual_seed(1)).to(device)
    lower, upper = (Level(build_objective(terms, network.head),
                          build_optimizer(name, parameter_groups(module.named_parameters(), weight_decay=1e-3),
                                          lr=0.05), RATE) for name, module in (("sgd", network), ("adam", arch)))
    chosen = relaxation_of(relaxation, space)
    return Bilevel(network, arch, lower, upper, chosen, 1,
                   build_regulariser({"entropy": 0.5}, decisions, sums_to_one=chosen.sums_to_one), seed=3)


def search(space: SearchSpace, relaxation: str, device: torch.device, *, scheme: str = "first_order",
           terms: dict[str, Any] = LOSS, precision: str = "float32", size: tuple[int, int] = SIZE) -> Tensor:
    """An epoch of a search and features of its supernet."""
    bilevel = bilevel_of(space, relaxation, device, terms=terms, precision=precision)
    algorithm = SimpleNamespace(scheme=scheme, order="alphas_first", hessian="exact", warmup_epochs=0, clip_weights=5.0,
                                has_one_level=scheme in ("joint", "one_shot"))
    data = batches(device, size=size)
    clear_waits()
    search_one_epoch(bilevel, [data] if algorithm.has_one_level else [data, data], 0, algorithm=algorithm, epochs=2,
                     temperature=1.0)
    return extract(bilevel.without_noise(), [EvalBatch(batch.images, batch.modalities) for batch in data], flip=True,
                   device=device)


def clear_waits() -> None:
    """What was waited for until now, such as weights on their way to the device, does not count."""
    for mode in torch.utils._python_dispatch._get_current_dispatch_mode_stack():
        mode.waits.clear()


def unexpected(waits: Counter[str], **more: int) -> dict[str, int]:
    allowed = ALLOWED | {SAMPLES: 0} | more
    return {where: count for where, count in waits.items() if count > allowed.get(where, 0)}


@pytest.mark.parametrize("relaxation", ["softmax", "gumbel_sampled"])
@pytest.mark.parametrize("space", SPACES)
def test_every_space_is_searched_and_evaluated(space: str, relaxation: str) -> None:
    with pretended_cuda() as cuda:
        features = search(SPACES[space](), relaxation, DEVICE)
    draws = 2 * STEPS + 1 if relaxation == "gumbel_sampled" else 0  # for weights, for alphas, and for evaluation
    assert features.isfinite().all() and not unexpected(cuda.waits, **{SAMPLES: draws})
    assert cuda.waits[SAMPLES] == draws


@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_every_relaxation(relaxation: str) -> None:
    space = SPACES["nfs"]() if RELAXATIONS[relaxation].is_binary else ToySpace()
    with pretended_cuda() as cuda:
        search(space, relaxation, DEVICE)
    draws = 2 * STEPS + 1 if RELAXATIONS[relaxation].sampled_only else 0
    assert not unexpected(cuda.waits, **{SAMPLES: draws})


@pytest.mark.parametrize("scheme", ["second_order", "joint", "one_shot"])
def test_every_scheme(scheme: str) -> None:
    with pretended_cuda() as cuda:
        search(ToySpace(), "softmax", DEVICE, scheme=scheme)
    assert not unexpected(cuda.waits)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss(loss: str) -> None:
    with pretended_cuda() as cuda:
        search(ToySpace(), "softmax", DEVICE, terms={loss: {}}, precision="auto", size=(8, 4))
    assert not unexpected(cuda.waits)


def test_the_numbers_are_those_of_the_cpu() -> None:
    expected = search(ToySpace(), "gumbel", CPU, size=(8, 4))
    with pretended_cuda():
        found = search(ToySpace(), "gumbel", DEVICE, size=(8, 4))
    assert torch.equal(found, expected)


def fixed(space: str) -> nn.Module:
    made = SPACES[space]()
    uniform = {decision.name: torch.full((decision.rows, len(decision.choices)), 1 / len(decision.choices))
               for decision in made.decisions()}
    return made.network(made.derive(uniform))


def residual(block: str, *, ibn: str = "none", stage: dict[str, Any] | None = None, **blocks: Any) -> nn.Module:
    plan = StagePlan(block=block, lengths=(1, 1, 1, 1), planes=16, **(stage or {}))
    return ResNet(16, plan, BlockSettings(norm=IBN_NORMS[ibn], **blocks))


BACKBONES = {
    **{space: partial(fixed, space) for space in ("auto_reid", "osnet_ain", "nfs", "norm_sites")},
    "resnet": partial(residual, "basic"), "ibn_a": partial(residual, "bottleneck", ibn="a"),
    "ibn_b": partial(residual, "bottleneck", ibn="b"), "se": partial(residual, "bottleneck", se=True),
    "resnext": partial(residual, "bottleneck", groups=4, group_width=16),
    "resnest": partial(residual, "bottleneck", radix=2, average_shortcut=True),
    "two_stream": partial(TwoStreamResNet, 18, 1 / 16, specific=2)}


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_is_trained_taught_averaged_and_evaluated(backbone: str) -> None:
    torch.manual_seed(0)
    trunk = BACKBONES[backbone]()
    network, teacher = (ReIDNetwork(trunk, build_head(trunk.out_channels, 4, neck=True, dropout=0.1)) for _ in range(2))
    with pretended_cuda() as cuda:
        for one in (network, teacher):
            place(one, DEVICE, channels_last=True, precision="auto")
        optimizer = build_optimizer("adam", parameter_groups(network.named_parameters(), weight_decay=1e-3), lr=0.05)
        training = Training(network, build_objective(LOSS, network.head), optimizer, RATE,
                            Distillation({"pkt": {}, "kl": {}}, [(teacher, (32, 16))]), WeightAverage(network, 0.9),
                            accumulate=2, clip=5.0)
        data = batches(DEVICE)
        clear_waits()
        train_one_epoch(training, data, 0, seed=0, name="retrain")
        features = extract(training.network_to_keep, [EvalBatch(*batch[::2]) for batch in data], flip=True,
                           device=DEVICE)
    assert features.isfinite().all() and not unexpected(cuda.waits)
