"""Losses on half of a batch, in one of two processes; ``test_gather`` is the first and runs this as the second.

    python -m tests.losses.two_processes FOLDER
"""

import sys

import torch
from torch import distributed

from nas_reid.losses.objective import Objective
from nas_reid.network.model import Output

TERMS = {"triplet": {}, "weighted_triplet": {}, "circle_pairs": {"scale": 4}, "cross_modality": {},
         "cross_entropy": {}, "center": {"weight": 0.1}}
LABELS, MODALITIES = torch.arange(8) // 4, torch.arange(8) % 2


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images, and the weights of a network that makes features and logits of them; the whole batch."""
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(*size, generator=generator, dtype=torch.float64) for size in ((8, 5), (5, 3), (3, 2)))


def compute(rows: slice) -> dict[str, torch.Tensor]:
    """Loss, gradient, a Hessian's row sums with respect to the weights, and the centres, from some rows."""
    images, weight, classifier = batch()
    weight.requires_grad_()
    features = images[rows] @ weight
    output = Output(features, features @ classifier)
    objective = Objective(TERMS, num_classes=2, width=3).double()
    loss, _ = objective(output, LABELS[rows], MODALITIES[rows])
    gradient, = torch.autograd.grad(loss, weight, retain_graph=True)
    triplet, _ = Objective({"weighted_triplet": {}}, num_classes=2, width=3)(output, LABELS[rows])
    slope, = torch.autograd.grad(triplet, weight, create_graph=True)
    curvature, = torch.autograd.grad(slope.sum(), weight)
    objective.update(output, LABELS[rows], MODALITIES[rows])
    return {"loss": loss.detach(), "gradient": gradient, "curvature": curvature,
            "centers": objective.losses["center"][0].centers}


def compute_share(rank: int, folder: str) -> dict[str, torch.Tensor]:
    """What ``compute`` finds with half of the batch, averaged over both processes."""
    distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    found = compute(slice(4 * rank, 4 * rank + 4))
    for name in ("loss", "gradient", "curvature"):
        distributed.all_reduce(found[name])
        found[name] /= 2
    distributed.destroy_process_group()
    return found


if __name__ == "__main__":
    torch.save(compute_share(1, sys.argv[1]), f"{sys.argv[1]}/second.pt")
