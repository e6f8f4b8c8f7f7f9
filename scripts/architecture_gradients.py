"""How far first order and DARTS's finite differences are from the exact gradient of the alphas, along a search.

    python scripts/architecture_gradients.py experiment=smoke epochs=12      # overrides as of nas_reid.search
    python scripts/architecture_gradients.py epochs=5

Only the weights move; at every eighth step all three gradients are computed. One line for each: median and worst cosine
and relative error to the exact gradient, and the time that all of them took.
"""

import argparse
import time
from collections.abc import Iterator

import torch
from torch import Tensor

from nas_reid.config.schemas import SearchConfig
from nas_reid.data.batches import Batch
from nas_reid.nas.architect import Tensors, first_order, second_order
from nas_reid.nas.bilevel import Bilevel, Moment
from nas_reid.registry import create_searchable
from nas_reid.run.compose import settings
from nas_reid.run.search_data import load_data
from nas_reid.search import build_bilevel, step_weights
from nas_reid.seed import seed_everything
from nas_reid.training.optim import set_lr

EVERY = 8
"""Steps of the weights between two comparisons."""
KINDS = ("first_order", "finite_difference", "exact")


def main() -> None:
    """Train the weights, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of nas_reid.search")
    config = settings("search", parser.parse_args().overrides)
    seconds, rows = dict.fromkeys(KINDS, 0.0), []
    for found in gradients(config, seconds):
        exact = found["exact"]
        rows.append([[torch.cosine_similarity(found[kind], exact, dim=0), (found[kind] - exact).norm() / exact.norm()]
                     for kind in KINDS])
    table = torch.tensor(rows)                                                               # [steps, kinds, 2]
    for number, kind in enumerate(KINDS):
        cosine, error = table[:, number].unbind(1)
        print(f"{kind:<18} cosine {cosine.median():.3f} (worst {cosine.min():.3f})   relative error "
              f"{error.median():.3f} (worst {error.max():.3f})   {seconds[kind]:6.1f} s at {len(rows)} steps")


def gradients(config: SearchConfig, seconds: dict[str, float]) -> Iterator[dict[str, Tensor]]:
    """Yield kind -> gradient, float64 [all alphas], at every ``EVERY``-th step; adds up the seconds of each kind."""
    seed_everything(config.seed)
    device = torch.device("cpu")
    space = create_searchable(config.space)
    (training, validation), _, num_classes = load_data(config, device)
    bilevel = build_bilevel(config, space, num_classes, device, steps=len(training))
    bilevel.network.train()
    for number in range(config.epochs * len(training)):
        epoch, step = divmod(number, len(training))
        batch, moment = training.load(epoch, step), Moment(epoch, step, config.epochs, temperature=1.0)
        set_lr(bilevel.lower.optimizer, bilevel.lower.rate.at(number / len(training)))
        if number % EVERY == EVERY - 1:
            other, found = validation.load(epoch, step), {}
            for kind in KINDS:
                began = time.perf_counter()
                found[kind] = gradient(kind, bilevel, batch, other, moment)
                seconds[kind] += time.perf_counter() - began
            yield found
        step_weights(bilevel, batch, moment, clip=config.algorithm.clip_weights, joint=False)


def gradient(kind: str, bilevel: Bilevel, batch: Batch, other: Batch, moment: Moment) -> Tensor:
    """The gradient of the alphas by one of ``KINDS``, on a training batch and a validation batch."""
    alphas, weights = bilevel.arch.alphas(), dict(bilevel.network.named_parameters())

    def val_loss(w: Tensors, a: Tensors) -> Tensor:
        return bilevel.upper_loss(other, moment, weights=w, alphas=a).loss

    def train_loss(w: Tensors, a: Tensors) -> Tensor:
        return bilevel.lower_loss(batch, moment, weights=w, alphas=a).loss

    if kind == "first_order":
        found = first_order(val_loss, weights, alphas)[1]
    else:
        group, state = bilevel.lower.optimizer.param_groups[0], bilevel.lower.optimizer.state
        buffers = {name: state[weight]["momentum_buffer"] for name, weight in weights.items()
                   if state[weight].get("momentum_buffer") is not None}
        found = second_order(train_loss, val_loss, weights, alphas, xi=group["lr"], momentum=group["momentum"],
                             weight_decay=group["weight_decay"], momentum_buffers=buffers, hessian=kind)[1]
    return torch.cat([found[name].flatten() for name in sorted(found)]).double()


if __name__ == "__main__":
    main()
