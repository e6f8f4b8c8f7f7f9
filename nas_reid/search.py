"""Search: configuration -> data -> supernet -> alternate alphas and weights -> genotype.

    python -m nas_reid.search space=auto_reid
    python -m nas_reid.search -m space=auto_reid seed=0,1,2,3

Leaves in the run folder: genotype.json (rewritten every epoch), metrics.jsonl, result.json, checkpoints/last.pt,
pictures/ and report.html. Repeating the command with ``hydra.run.dir=<that folder>`` continues a stopped run.
"""

if __name__ == "__main__":
    from nas_reid.run.door import enter
    enter("search")  # help needs none of the imports below

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from nas_reid.config.algorithm import AlgorithmConfig
from nas_reid.config.loading import load
from nas_reid.config.schemas import SearchConfig
from nas_reid.data.batches import Batch, BatchStream, EvalBatches, LoadShare
from nas_reid.evaluation.retrieval import retrieve
from nas_reid.genotype import Genotype
from nas_reid.losses.objective import build_objective
from nas_reid.modules.head import head_arguments
from nas_reid.nas.arch_parameters import ArchParameters
from nas_reid.nas.architect import Tensors, first_order, second_order
from nas_reid.nas.bilevel import Bilevel, Level, Moment
from nas_reid.nas.collapse import has_collapsed, look_ahead, signs_of_collapse
from nas_reid.nas.memory import foresee
from nas_reid.nas.operation_stopping import build_stopping
from nas_reid.nas.paths import relaxation_of
from nas_reid.nas.perturbation import build_perturbation
from nas_reid.nas.regularisers import build_regulariser
from nas_reid.nas.temperature import build_temperature
from nas_reid.network.complexity import size_of
from nas_reid.network.execution import place
from nas_reid.network.model import build_network
from nas_reid.network.streams import warn_of_a_single_modality
from nas_reid.network.weights import load_weights, read_pretrained
from nas_reid.parallel.processes import is_main, world
from nas_reid.parallel.tensors import average_buffers, average_gradients
from nas_reid.progress import progress
from nas_reid.record.pictures import draw_search
from nas_reid.record.provenance import versions
from nas_reid.registry import create_searchable
from nas_reid.run.by_lot import draw_by_lot
from nas_reid.run.command import command
from nas_reid.run.invocation import invocation
from nas_reid.run.job import Job, finished_result, start_job
from nas_reid.run.search_data import load_data
from nas_reid.search_space import SearchSpace
from nas_reid.seed import derive_seed, seed_everything
from nas_reid.training.optim import build_training, require_disjoint, set_lr
from nas_reid.training.running_losses import RunningLosses

log = logging.getLogger("nas_reid.search")


@command("search", several=True)
def main(cfg: DictConfig) -> float:
    """Hydra's entry. Returns the supernet's validation mAP, so that any sweeper can rank runs."""
    settings, call = load(cfg, SearchConfig), invocation()
    finished = finished_result(settings, call.folder)
    if finished is not None:
        return finished["selection"]["mAP"]
    with start_job(settings, call.folder, name=f"{settings.space['name']}-seed{settings.seed}", call=call) as job:
        return run(settings, job)


def run(settings: SearchConfig, job: Job) -> float:
    """One search, from the configuration to ``result.json``; returns the validation mAP."""
    # The space and every name come first: a mistake in one must not wait for the data.
    seed_everything(settings.seed)
    algorithm, epochs = settings.algorithm, settings.epochs
    space = create_searchable(settings.space)
    relaxation = relaxation_of(algorithm.relaxation, space)
    if algorithm.scheme == "random":
        return draw_by_lot(settings, space, job)
    look_ahead(algorithm, space, epochs=epochs)
    foresee(space, (settings.batch.size // world(), 3, *settings.data.image_size), instances=settings.batch.instances,
            samples=algorithm.samples, scheme=algorithm.scheme, sampled_only=relaxation.sampled_only, device=job.device,
            hessian=algorithm.hessian)
    temperature = build_temperature(**asdict(algorithm.temperature))
    pretrained = read_pretrained(settings.pretrained, space)

    # Data: validation identities stay apart; the weights learn from some images, the alphas from others.
    batches, lists, num_classes = load_data(settings, job.device, job.folder)

    # The supernet's weights below, the alphas above; continue where a stopped run left off.
    bilevel = build_bilevel(settings, space, num_classes, job.device, steps=len(batches[0]))
    warn_of_a_single_modality(bilevel.network, batches[0].modalities, data=settings.data.name)
    history, validation, last = [], {}, False
    if (saved := job.take_up()) is not None:
        bilevel.load_state_dict(saved["bilevel"])
        history, validation = saved["history"], saved["validation"]
        signs = signs_of_collapse(space.decisions(), history[-1], sums_to_one=bilevel.relaxation.sums_to_one)
        last = len(history) >= epochs or has_collapsed(signs, algorithm)
    elif pretrained:
        load_weights(bilevel.network, pretrained, origin=str(settings.pretrained))

    # Alternate.
    while not last:
        started, epoch = time.monotonic(), len(history)
        record = train_one_epoch(bilevel, batches, epoch, algorithm=algorithm, epochs=epochs,
                                 temperature=temperature(epoch, epochs))
        history.append(bilevel.probabilities())
        record |= signs_of_collapse(space.decisions(), history[-1], sums_to_one=bilevel.relaxation.sums_to_one)
        last = epoch + 1 == epochs or has_collapsed(record, algorithm)
        if last or (epoch + 1) % settings.evaluation.every == 0:
            validation = validate(bilevel, lists, settings, job.device)
            record |= {f"search/val_{name}": validation[name] for name in ("mAP", "mINP", "rank1")}
        genotype = space.derive(history[-1]).with_provenance(**provenance(settings, epoch, validation))
        for path in ("genotype.json", f"genotypes/epoch_{epoch + 1:03d}.json") if is_main() else ():
            genotype.save(job.folder / path)
        job.finish_epoch(epoch, record, started)
        job.save({"epoch": epoch + 1, "bilevel": bilevel.state_dict(), "history": history, "validation": validation})

    # The result, and the command that comes next.
    if is_main():
        finish(settings, space, job, history, validation, num_classes)
    return validation["mAP"]


def finish(settings: SearchConfig, space: SearchSpace, job: Job, history: Sequence[Mapping[str, Tensor]],
           validation: Mapping[str, float], num_classes: int) -> None:
    """Draw, write the result, and say what comes next."""
    genotype = Genotype.load(job.folder / "genotype.json")
    network = build_network(space.network(genotype), num_classes, **head_arguments(asdict(settings.head), space))
    pictures = draw_search(space, genotype, history, job.folder / "pictures")
    job.tracker.artifact(job.folder / "genotype.json", "genotype", {"space": space.name, **validation})
    log.info("genotype: %s", job.folder / "genotype.json")
    job.finish({"kind": "search", "space": space.name, "data": settings.data.name, "seed": settings.seed,
                "selection": {"split": "validation", **validation}, "metrics": {},
                "genotype": str(job.folder / "genotype.json"), **size_of(network, settings.data.image_size)}, pictures,
               next_line(settings, job))


def next_line(settings: SearchConfig, job: Job) -> str | None:
    """The command that comes next: where no alphas moved, a choice on the supernet, and else the training."""
    if settings.algorithm.scheme == "one_shot":
        return job.next_line("select", {"search": job.folder}, same_data=False)
    return job.next_line("retrain", {"genotype": job.folder / "genotype.json"}, same_data=True)


def build_bilevel(settings: SearchConfig, space: SearchSpace, num_classes: int, device: torch.device, *,
                  steps: int) -> Bilevel:
    """The supernet with its head, the alphas, and how both are trained, in ``steps`` steps an epoch."""
    algorithm, decisions = settings.algorithm, space.decisions()
    network = build_network(space.supernet(), num_classes, **head_arguments(asdict(settings.head), space),
                            running_stats=False)
    exact = algorithm.scheme == "second_order"  # small differences of weights vanish in bfloat16
    network = place(network, device, channels_last=settings.channels_last, sync_norms=settings.sync_norms,
                    precision="float32" if exact else settings.precision, compile=settings.compile)
    arch = ArchParameters(decisions, init_mean=algorithm.init_mean, init_scale=algorithm.init_scale,
                          generator=torch.Generator().manual_seed(derive_seed(settings.seed, "alphas"))).to(device)
    require_disjoint(dict(network.named_parameters()), arch.alphas())
    lower, upper = (Level(build_objective(objective, network.head),
                          *build_training(module.named_parameters(), training, epochs=settings.epochs, steps=steps))
                    for objective, training, module in ((settings.objective.weights, settings.weights, network),
                                                        (settings.objective.alphas, settings.alphas, arch)))
    relaxation = relaxation_of(algorithm.relaxation, space)
    return Bilevel(network, arch, lower, upper, relaxation, algorithm.samples,
                   build_regulariser(algorithm.regularisers, decisions, sums_to_one=relaxation.sums_to_one),
                   settings.seed,
                   build_perturbation(algorithm.perturbation, size=algorithm.perturbation_size,
                                      steps=algorithm.perturbation_steps),
                   build_stopping(space, network, threshold=algorithm.stop_ops, window=algorithm.stop_ops_after))


def train_one_epoch(bilevel: Bilevel, batches: Sequence[BatchStream], epoch: int, *, algorithm: AlgorithmConfig,
                    epochs: int, temperature: float) -> dict[str, float]:
    """One pass over the weights' images; after the warm-up the alphas step once beside every step of the weights."""
    bilevel.network.train()
    losses, load, steps = RunningLosses(epoch + 1), LoadShare(batches), len(batches[0])
    alphas_move = epoch >= algorithm.warmup_epochs and algorithm.scheme != "one_shot"
    streams = zip(*(part.stream(epoch * steps, steps) for part in batches), strict=True)
    bar = progress(streams, description=f"epoch {epoch + 1}/{epochs}", total=steps, unit="step")
    for step, parts in enumerate(bar):
        train_batch, val_batch = parts[0], parts[-1]  # one and the same where there is one level
        moment = Moment(epoch, step, epochs, temperature)
        for level in (bilevel.lower, bilevel.upper):
            set_lr(level.optimizer, level.rate.at(epoch + step / steps))
        terms: dict[str, Tensor] = {}
        if alphas_move and not algorithm.has_one_level and algorithm.order == "alphas_first":
            terms |= step_alphas(bilevel, train_batch, val_batch, moment, algorithm)
        terms |= step_weights(bilevel, train_batch, moment, clip=algorithm.clip_weights,
                              joint=alphas_move and algorithm.scheme == "joint")
        if alphas_move and not algorithm.has_one_level and algorithm.order == "weights_first":
            terms |= step_alphas(bilevel, train_batch, val_batch, moment, algorithm)
        if losses.add(step, terms):
            bar.set_postfix({name.split("/")[-1]: f"{mean:.3f}" for name, mean in losses.means().items()}
                            | {"load": f"{load():.0%}"})
    average_buffers(bilevel.network)
    return losses.finish(bilevel.network, bilevel.arch) | {"time/load_share": load()}


def step_weights(bilevel: Bilevel, batch: Batch, moment: Moment, *, clip: float, joint: bool) -> dict[str, Tensor]:
    """One step on the weights with the mixing weights fixed, or (``joint``) on weights and alphas together."""
    alphas = bilevel.arch.alphas()
    if not joint:
        alphas = {name: alpha.detach() for name, alpha in alphas.items()}
    compute = bilevel.upper_loss if joint else bilevel.lower_loss
    loss, terms, output = compute(batch, moment, weights=None, alphas=alphas)
    loss.backward()
    average_gradients(bilevel.network, bilevel.arch)  # of several processes, each of which has a part of the batch
    bilevel.stop_ops(moment)
    if clip:
        clip_grad_norm_(bilevel.network.parameters(), clip)  # the weights alone, never the alphas
    for level in (bilevel.lower, bilevel.upper) if joint else (bilevel.lower,):
        level.optimizer.step()
        level.optimizer.zero_grad()
    bilevel.remember(batch, output)
    return {"search/loss_weights": loss} | {f"search/loss_weights_{name}": term for name, term in terms.items()}


def step_alphas(bilevel: Bilevel, train_batch: Batch, val_batch: Batch, moment: Moment,
                algorithm: AlgorithmConfig) -> dict[str, Tensor]:
    """One step on the alphas; the gradients of the live weights stay untouched."""
    alphas = bilevel.arch.alphas()
    weights = {name: weight for name, weight in bilevel.network.named_parameters() if weight.requires_grad}

    def val_loss(weights: Tensors, alphas: Tensors) -> Tensor:
        """What the alphas minimise."""
        return bilevel.upper_loss(val_batch, moment, weights=weights, alphas=alphas).loss

    def train_loss(weights: Tensors, alphas: Tensors) -> Tensor:
        """What the weights minimise, for the virtual step of the second order."""
        return bilevel.lower_loss(train_batch, moment, weights=weights, alphas=alphas).loss

    if algorithm.scheme == "second_order":
        group, state = bilevel.lower.optimizer.param_groups[0], bilevel.lower.optimizer.state
        buffers = {name: state[weight]["momentum_buffer"] for name, weight in weights.items()
                   if state[weight].get("momentum_buffer") is not None}
        loss, gradients = second_order(train_loss, val_loss, weights, alphas, xi=group["lr"],
                                       momentum=group["momentum"], weight_decay=group["weight_decay"],
                                       momentum_buffers=buffers, hessian=algorithm.hessian)
    else:
        loss, gradients = first_order(val_loss, weights, alphas, **bilevel.watch(moment))
    for name, alpha in alphas.items():
        alpha.grad = gradients[name].contiguous()  # as the alphas are; see build_optimizer
    bilevel.upper.optimizer.step()
    bilevel.upper.optimizer.zero_grad()
    return {"search/loss_alphas": loss}


def validate(bilevel: Bilevel, lists: tuple[EvalBatches, EvalBatches], settings: SearchConfig,
             device: torch.device) -> dict[str, float]:
    """Retrieval metrics of the supernet, without noise, on the validation identities."""
    retrieval = retrieve(bilevel.without_noise(), *lists, distance=settings.evaluation.distance,
                         flip=settings.evaluation.flip, device=device,
                         single_gallery_shot=settings.evaluation.single_gallery_shot)
    return retrieval.metrics


def provenance(settings: SearchConfig, epoch: int, validation: Mapping[str, float]) -> dict[str, Any]:
    """Where a genotype comes from."""
    return {"kind": "search", "seed": settings.seed, "data": settings.data.name,
            "synthetic": settings.data.synthetic is not None, "epoch": epoch + 1, "epochs": settings.epochs,
            "algorithm": settings.algorithm.name, "validation": dict(validation), **versions()}


if __name__ == "__main__":
    main()
