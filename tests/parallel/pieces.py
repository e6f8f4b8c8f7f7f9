"""What the room offers, and whatever is built on it: by one process with whole batches, or by several with parts."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_reid.data.augment import build_augment
from nas_reid.data.batches import Batch, TrainBatches
from nas_reid.data.sample import Sample
from nas_reid.data.sampler import IdentitySampler
from nas_reid.data.store import ImageStore
from nas_reid.evaluation.features import extract
from nas_reid.losses.objective import Objective
from nas_reid.modules.head import Head
from nas_reid.network.model import Output, ReIDNetwork
from nas_reid.parallel.processes import rank, world
from nas_reid.parallel.tensors import average, gather, join, own_part, total
from nas_reid.parallel.turns import barrier, everyones, from_main, main_first
from nas_reid.parallel.whole_batch import whole_batch
from nas_reid.training.distillation import Distillation
from nas_reid.training.epoch import train_one_epoch
from nas_reid.training.optim import LearningRate, build_optimizer, parameter_groups
from nas_reid.training.training import Training
from tests.parallel.search_steps import run_all

TERMS = {"triplet": {}, "weighted_triplet": {}, "circle_pairs": {"scale": 4}, "cross_modality": {}, "cross_entropy": {},
         "center": {"weight": 0.1}}
LABELS, MODALITIES = torch.arange(8) // 4, torch.arange(8) % 2


def drawn(*shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes]


def own_rows(x: Tensor) -> Tensor:
    part: Tensor = own_part(x)
    return part


def mean(x: Tensor) -> Tensor:
    return average([x])[0]


def losses() -> dict[str, Tensor]:
    """Loss, gradient, a Hessian's row sums with respect to the weights, and the centres. A part has one identity."""
    images, weight, classifier = drawn((8, 5), (5, 3), (3, 2))
    weight.requires_grad_()
    features, labels, modalities = own_rows(images) @ weight, own_rows(LABELS), own_rows(MODALITIES)
    output = Output(features, features @ classifier)
    objective = Objective(TERMS, num_classes=2, width=3).double()
    loss, _ = objective(output, labels, modalities)
    gradient, = torch.autograd.grad(loss, weight, retain_graph=True)
    triplet, _ = Objective({"weighted_triplet": {}}, num_classes=2, width=3)(output, labels)
    slope, = torch.autograd.grad(triplet, weight, create_graph=True)
    curvature, = torch.autograd.grad(slope.sum(), weight)
    objective.update(output, labels, modalities)
    return {"loss": mean(loss.detach()), "gradient": mean(gradient), "curvature": mean(curvature),
            "centers": objective.losses["center"][0].centers}


def norms() -> dict[str, Tensor]:
    """Outputs, gradients, second gradients and running statistics of batch norms in three dimensions and two forms."""
    found = {}
    for name, shape in (("map", (6, 4, 3, 2)), ("vector", (6, 4)), ("list", (6, 4, 5))):
        x, scale, shift, weight = drawn(shape, (4,), (4,), shape)
        x = own_rows(x).requires_grad_()
        scale.requires_grad_()
        running = torch.zeros(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64)
        with whole_batch():
            y = functional.batch_norm(x, *running, scale, shift, training=True, momentum=0.3)
            y = functional.batch_norm(y.tanh(), None, None, training=True)  # without anything
        of_x, of_scale = torch.autograd.grad((y.sin() * own_rows(weight)).sum(), (x, scale), create_graph=True)
        second = torch.autograd.grad((of_x.square() * own_rows(weight)).sum(), (x, scale))
        found |= {f"{name}.y": join(y.detach()), f"{name}.of_x": join(of_x.detach()),
                  f"{name}.of_scale": total(of_scale.detach()), f"{name}.second_x": join(second[0]),
                  f"{name}.second_scale": total(second[1]), f"{name}.mean": running[0], f"{name}.var": running[1]}
    return found


def unequal_rows() -> dict[str, Tensor]:
    """Six rows, of which the first process has one: fewer than a norm by itself could do with."""
    x, = drawn((6, 3))
    own = x if world() == 1 else x.split([1, 5])[rank()]
    with whole_batch():
        norm = nn.BatchNorm1d(3).double()
        return {"y": join(norm(own).detach()), "var": norm.running_var}


def draws() -> dict[str, Tensor]:
    """What is drawn for each image: dropout in its forms and memory orders, and augmented batches."""
    found = {}
    for name, shape, form in (("vector", (6, 5), functional.dropout), ("map", (6, 4, 3, 2), functional.dropout),
                              ("channels", (6, 4, 3, 2), functional.dropout2d)):
        x = own_rows(drawn(shape)[0])
        x = x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
        torch.manual_seed(7)
        with whole_batch(norms=False):
            found[name] = join(form(x, 0.4))
            form(x, 0.4, True, True)
            found[f"{name}.again"] = join(x.contiguous())
    pixels = torch.randint(256, (12, 8, 6, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    store = ImageStore(pixels, tuple(Sample(f"{i:02d}.jpg", i % 4, 0, modality=i % 2) for i in range(12)))
    sampler = IdentitySampler(store.pids, num_identities=4, num_instances=2, seed=0)
    for name, steps in (("alone", {"flip": {}, "crop": {"padding": 2}, "erase": {"fill": "noise"}}),
                        ("mixed", {"patch": {"p": 1.0}, "jitter": {"brightness": 0.5}})):
        batch = TrainBatches(store, torch.arange(12), store.pids, sampler, build_augment(steps), seed=3,
                             device="cpu").load(1, 0)
        found |= {f"{name}.{field}": join(rows.contiguous()) for field, rows in batch._asdict().items()}
    return found


class FewBatches:
    """Six batches of eight random images; each of several processes has its rows of them."""

    waited_s = 0.0

    def __len__(self) -> int:
        return 6

    def epoch(self, epoch: int) -> list[Batch]:
        images, = drawn((6, 8, 3, 4, 4))
        return [Batch(own_rows(batch), own_rows(LABELS), own_rows(MODALITIES)) for batch in images]


class Own:
    """Five evaluation batches of two images, so that the first of two processes has three."""

    def own(self) -> list[Batch]:
        images, = drawn((5, 2, 3, 4, 4))
        return [Batch(batch, MODALITIES[:2], MODALITIES[:2]) for batch in own_rows(images)]


def training() -> dict[str, Tensor]:
    """Weights and their average after an epoch with a teacher, and what the network makes of images afterwards."""
    torch.manual_seed(0)
    networks = [ReIDNetwork(Trunk(), Head(4, 2, neck=True)).double() for _ in range(2)]
    network = networks[0]
    optimizer = build_optimizer("sgd", parameter_groups(network.named_parameters(), weight_decay=1e-3), lr=0.1)
    distillation = Distillation({"pkt": {"form": "sum"}, "kl": {}}, [(networks[1], (4, 4))])
    objective = Objective({"triplet": {}, "cross_entropy": {}}, num_classes=2, width=4).double()
    made = Training(network, objective, optimizer,
                    LearningRate(base=0.1, schedule="constant", epochs=1), distillation, None, 2, 1.0)
    record = train_one_epoch(made, FewBatches(), 0, seed=0, name="train")
    features = extract(network, Own(), flip=True, device="cpu")
    return {**network.state_dict(), "features": features, "loss": torch.tensor(record["train/loss"])}


class Trunk(nn.Sequential):
    """Two convolutions with a norm between them."""

    out_channels = 4

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 1))

    def forward(self, images: Tensor, modality: Tensor | None = None) -> Tensor:
        return super().forward(images)


def turns() -> dict[str, Tensor]:
    """Things that have one outcome whatever the number of processes."""
    with main_first():
        told = rank() + 7
    barrier()
    told = from_main(lambda: told)
    numbers = torch.arange(5)
    nobody = join(None)
    first_alone = join(numbers[:, None] if rank() == 0 else None)
    return {"told": torch.tensor(told), "numbers": join(own_rows(numbers)), "nobody": torch.tensor(nobody is None),
            "ranks": torch.tensor(everyones(rank()) == list(range(world()))), "first": first_alone,
            "gathered": gather(own_rows(drawn((4, 2))[0])), "sum": total(torch.ones(2) / world())}


def run(steps: int) -> dict[str, dict[str, dict[str, Tensor]]]:
    pieces = {"losses": losses(), "norms": norms(), "unequal": unequal_rows(), "draws": draws(),
              "training": training(), "turns": turns()}
    return {"pieces": pieces, **run_all(steps)}
