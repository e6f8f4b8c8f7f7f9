"""Retrain: genotype -> fixed network -> train -> evaluate on query and gallery.

    python -m nas_reid.retrain genotype=outputs/search/auto_reid/.../genotype.json
    python -m nas_reid.retrain genotype=auto_reid/retrieval network.channels=64
    python -m nas_reid.retrain genotype=osnet_ain/paper data=synthetic_domains targets=[b,c]

Leaves in the run folder: checkpoints/best.pt (chosen on validation data) and last.pt, model.safetensors,
metrics.jsonl, result.json, pictures/ and report.html. Repeating the command with ``hydra.run.dir=<that folder>``
continues a stopped run.
"""

if __name__ == "__main__":
    from nas_reid.run.door import enter
    enter("retrain")  # help needs none of the imports below

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from nas_reid.config.loading import load
from nas_reid.config.schemas import RetrainConfig
from nas_reid.data.augment import Augment, build_augment
from nas_reid.data.batches import TrainBatches
from nas_reid.data.sample import identity_digest, label_map
from nas_reid.data.source import (
    RetrievalLists,
    RetrievalStores,
    held_out_lists,
    retrieval_lists,
    training_batches,
)
from nas_reid.data.splits import hold_out
from nas_reid.evaluation.bootstrap import Bootstrap
from nas_reid.evaluation.deciding import keep_thresholds, rate_for
from nas_reid.evaluation.findings import decide, findings, findings_lines, verify
from nas_reid.evaluation.retrieval import Retrieval, describe_protocol, retrieve
from nas_reid.evaluation.tables import write_tables
from nas_reid.evaluation.threshold import Threshold
from nas_reid.evaluation.trials import sizes
from nas_reid.evaluation.variants import Variant, check_variants
from nas_reid.files.foreign import user_path
from nas_reid.genotype import Genotype
from nas_reid.modules.head import head_arguments
from nas_reid.nas.memory import require_room
from nas_reid.network.complexity import size_of
from nas_reid.network.execution import place
from nas_reid.network.model import ReIDNetwork, build_network
from nas_reid.network.trained import Description, export_safetensors, load_trained
from nas_reid.network.weights import load_weights, read_weights
from nas_reid.parallel.processes import is_main
from nas_reid.record.pictures import draw_genotype, draw_retrieval, draw_trunk
from nas_reid.registry import load_genotype, space_of
from nas_reid.run.command import command
from nas_reid.run.further_data import further_data
from nas_reid.run.invocation import invocation
from nas_reid.run.job import Job, finished_result, start_job
from nas_reid.run.stores import Stores, open_stores
from nas_reid.seed import seed_everything
from nas_reid.training.distillation import Distillation, build_distillation
from nas_reid.training.epoch import train_one_epoch
from nas_reid.training.teachers import Teacher, check_teachers, load_teachers, require_same_teachers
from nas_reid.training.training import Training, require_drop_path, training_of

log = logging.getLogger("nas_reid.retrain")


@command("retrain", several=True)
def main(cfg: DictConfig) -> float:
    """Hydra's entry. Returns the validation mAP, so that any sweeper can rank runs."""
    settings, call = load(cfg, RetrainConfig), invocation()
    genotype = load_genotype(settings.genotype)
    finished = finished_result(settings, call.folder)
    if finished is not None:
        return finished["selection"].get("mAP", float("nan"))
    with start_job(settings, call.folder, name=f"{genotype.space}-seed{settings.seed}", call=call) as job:
        return run(settings, genotype, job)


def run(settings: RetrainConfig, genotype: Genotype, job: Job) -> float:
    """One training, from the genotype to ``result.json``; returns the validation mAP."""
    # The network and every name come first: a mistake in one must not wait for the data.
    seed_everything(settings.seed)
    epochs, parts = settings.epochs, build_parts(settings, genotype, job.device)
    variants = settings.evaluation.variants()
    further = {key: further_data(key, getattr(settings, key), settings.data)
               for key in ("sources", "targets", "validation_data")}

    # Data: validation images are carved from the training set; query and gallery, also those of the targets, are
    # decoded now, so that an unreadable image shows before the training, and looked at when it is over.
    validated_by = next(iter(further["validation_data"]), settings.validation_by)
    stores = open_stores(settings, further, parts.trunk, job.folder)
    require_variants(stores.test, variants, distance=settings.evaluation.distance)
    batches, lists, labels, rate = load_data(settings, stores, parts.augment, job.device)

    # The fixed network and its optimiser; continue where a stopped run left off.
    training, description = begin(settings, genotype, parts, stores, labels, device=job.device, batches=len(batches))
    first, validation = 0, {}
    if (saved := job.take_up()) is not None:
        require_same_teachers(saved["teachers"], parts.teachers)
        training.load_state_dict(saved["training"])
        first, validation = saved["epoch"], saved["validation"]

    # Train. The best epoch is the one with the highest mAP on the validation data.
    for epoch in range(first, epochs):
        started = time.monotonic()
        record = train_one_epoch(training, batches, epoch, seed=settings.seed, name="retrain")
        best = not lists  # without validation data the latest epoch is the one to keep
        if lists and (epoch + 1 == epochs or (epoch + 1) % settings.evaluation.every == 0):
            metrics = evaluate(training.network_to_keep, lists, settings, job.device).metrics
            record |= {f"retrain/val_{name}": metrics[name] for name in ("mAP", "mINP", "rank1")}
            if best := metrics["mAP"] > validation.get("mAP", -1.0):
                validation = {"by": validated_by, **metrics, "epoch": epoch + 1}
        state = {"epoch": epoch + 1, "description": description.to_plain(),
                 "weights": training.network_to_keep.state_dict(), "validation": validation,
                 "teachers": [teacher.provenance for teacher in parts.teachers]}
        if best:
            job.save(state, job.best)
        job.finish_epoch(epoch, record, started)
        job.save(state | {"training": training.state_dict()})

    # The result: the best epoch's network on queries and galleries that nothing has looked at before.
    return finish(settings, stores.test, job, lists, rate, validation, parts.teachers)


class Parts(NamedTuple):
    """What is built before any image is read.

    Attributes:
        trunk: of the network, its weights random.
        head: arguments of ``build_network``.
        weights: for it to start from; empty without a file.
        teachers: none without ``teacher``.
        augment: of the training images.
    """

    trunk: nn.Module
    head: dict[str, Any]
    weights: dict[str, Tensor]
    teachers: list[Teacher]
    augment: Augment


def build_parts(settings: RetrainConfig, genotype: Genotype, device: torch.device) -> Parts:
    """The parts that settings and genotype name; every error of theirs is raised here."""
    space = space_of(genotype, settings.network)
    require_room(space, genotype, device, settings.data.image_size)
    trunk, head = space.network(genotype), head_arguments(asdict(settings.head), space)
    require_drop_path(trunk, settings.drop_path)
    weights = read_weights(user_path(settings.weights), space, genotype, trunk=trunk) if settings.weights else {}
    if settings.fresh_head:
        weights = {name: value for name, value in weights.items() if not name.startswith("head.")}
    teachers = load_teachers(settings.teacher, settings.data.image_size, resize=settings.teacher_resize, device=device)
    return Parts(trunk, head, weights, teachers, build_augment(settings.augment))


def require_variants(test: Mapping[str, RetrievalStores], variants: Mapping[str, Variant], *, distance: str) -> None:
    """Refuse what ``check_variants`` does, for every query and gallery."""
    for stores in test.values():
        for _, num_gallery in sizes(stores.trials, len(stores.query.pids), len(stores.gallery.pids)):
            check_variants(variants, distance=distance, num_gallery=num_gallery)


def load_data(settings: RetrainConfig, stores: Stores, augment: Augment,
              device: torch.device) -> tuple[TrainBatches, RetrievalLists | None, dict[int, int], float | None]:
    """Training batches, validation query and gallery (none with ``full_training_set``), class of each identity, and
    the false-positive rate that a threshold can be fitted for."""
    train, lists, rate = list(stores.train.samples), None, None
    if stores.validation:
        lists = retrieval_lists(stores.validation, batch_size=settings.evaluation.batch_size, device=device)
    elif not settings.full_training_set:
        train, *held_out = hold_out(train, by=settings.validation_by, fraction=settings.validation_fraction,
                                 seed=settings.people_seed, official=stores.validation_pids)
        lists = held_out_lists(stores.train, *held_out, batch_size=settings.evaluation.batch_size, device=device)
    labels = label_map(train)
    batches = training_batches(stores.train, train, augment, labels=labels, identities=settings.batch.identities,
                               instances=settings.batch.instances, seed=settings.seed, device=device,
                               sampler=settings.batch.sampler)
    log.info("training data: %d images of %d identities; validation: %d query, %d gallery images", len(train),
             len(labels), *([len(side.pids) for side in lists[:2]] if lists else [0, 0]))
    if lists and (stores.validation or settings.validation_by != "camera"):  # whose people are trained on too
        rate = rate_for(settings.false_positive_rate, lists.query.pids, lists.gallery.pids)
    return batches, lists, labels, rate


def begin(settings: RetrainConfig, genotype: Genotype, parts: Parts, stores: Stores, labels: Mapping[int, int], *,
          device: torch.device, batches: int) -> tuple[Training, Description]:
    """The network before its first epoch of ``batches``, how it is trained, and what a checkpoint says about it.

    ``labels`` are the classes of the training identities; the other arguments are those of the run.
    """
    network = place(build_network(parts.trunk, len(labels), **parts.head), device, sync_norms=settings.sync_norms,
                    channels_last=settings.channels_last, precision=settings.precision, compile=settings.compile)
    if parts.weights:
        load_weights(network, parts.weights, origin=str(settings.weights))
    height, width = settings.data.image_size
    description = Description(genotype, settings.network, parts.head, len(labels), (height, width),
                              identity_digest(stores.train.samples, labels, drawn=settings.data.synthetic))
    distillation = taught(settings, parts.teachers, network, description)
    return training_of(settings, network, batches=batches, distillation=distillation,
                       freeze_trunk_epochs=settings.freeze_trunk_epochs), description


def taught(settings: RetrainConfig, teachers: Sequence[Teacher], network: ReIDNetwork,
           description: Description) -> Distillation | None:
    """What the teachers add to the objective of the network, once they are known to fit it; None without teachers."""
    if not teachers:
        return None
    check_teachers(teachers, build_distillation(settings.distillation), network.head, description.identities)
    for teacher in teachers:
        place(teacher.network, next(network.parameters()).device, channels_last=settings.channels_last)
    return Distillation(settings.distillation, [(teacher.network, teacher.image_size) for teacher in teachers])


def evaluate(network: ReIDNetwork, lists: RetrievalLists, settings: RetrainConfig,
             device: torch.device, variants: Mapping[str, Variant] | None = None) -> Retrieval:
    """Query against gallery."""
    return retrieve(network, *lists, distance=settings.evaluation.distance, flip=settings.evaluation.flip,
                    device=device, single_gallery_shot=settings.evaluation.single_gallery_shot,
                    variants=variants or {})


def finish(settings: RetrainConfig, test: Mapping[str, RetrievalStores], job: Job, held_out: RetrievalLists | None,
           rate: float | None, validation: Mapping[str, float], teachers: Sequence[Teacher]) -> float:
    """Give the best checkpoint its thresholds, evaluate it on every query and gallery, write the result, say what comes
    next."""
    network, description = load_trained(job.best, device=job.device)
    variants, distance, flip = settings.evaluation.variants(), settings.evaluation.distance, settings.evaluation.flip
    thresholds = keep_thresholds(job.best, network, *held_out, rate=rate, distance=distance, flip=flip,
                                 bootstrap=settings.evaluation.intervals() or Bootstrap(),
                                 device=job.device) if held_out and rate else []
    metrics, further, pictures, folder, first = {}, {}, [], job.folder / "pictures", next(iter(test.values()))
    for name, stores in test.items():
        lists = retrieval_lists(stores, batch_size=settings.evaluation.batch_size, device=job.device)
        retrieval = evaluate(network, lists, settings, job.device, variants)
        if is_main():
            metrics[name] = retrieval.metrics
            further[name], drawn = tell(settings, name, retrieval, stores, job, thresholds)
            pictures += drawn
    if not is_main():
        return validation.get("mAP", float("nan"))
    export_safetensors(job.folder / "model.safetensors", network, description)
    pictures += draw_trunk(network.trunk, first.query, folder, device=job.device, naming=first.naming)
    cells = draw_genotype(space_of(description.genotype, description.network), description.genotype,
                          folder / "cells.png", stores=first[:2])
    result = {"kind": "retrain", "space": description.genotype.space, "data": settings.data.name,
              "seed": settings.seed, "genotype": settings.genotype,
              "teachers": [teacher.provenance for teacher in teachers], "metrics": metrics.pop(settings.data.name, {}),
              "targets": metrics, "trials": further.get(settings.data.name, {}).pop("trials", {}), "further": further,
              "selection": {"split": "validation" if validation else "none", **validation},
              "thresholds": [threshold.to_plain() for threshold in thresholds],
              "protocol": describe_protocol(distance, flip, settings.evaluation.single_gallery_shot, variants,
                                            {name: stores.trials for name, stores in test.items()})}
    job.finish(result | size_of(network, description.image_size), [*pictures, *([cells] if cells else [])],
               job.next_line("evaluate", {"checkpoint": job.best}, same_data=True))
    return validation.get("mAP", float("nan"))


def tell(settings: RetrainConfig, name: str, retrieval: Retrieval, stores: RetrievalStores, job: Job,
         thresholds: Sequence[Threshold]) -> tuple[dict[str, Any], list[Path]]:
    """Log, tabulate and draw what was retrieved on the data set ``name``; returns its findings and the pictures."""
    asked, suffix = settings.evaluation, "" if name == settings.data.name else f"_{name}"
    curve = verify(retrieval, distance=asked.distance) if asked.roc else None
    decisions = decide(retrieval, thresholds, distance=asked.distance, flip=asked.flip) if asked.roc else None
    found = findings(retrieval, bootstrap=asked.intervals(), curve=curve, decisions=decisions)
    for line in (*retrieval.lines(name), *findings_lines(name, found)):
        log.info(line)
    write_tables(retrieval, stores.query.paths, job.folder, suffix=suffix, naming=stores.naming)
    return found, draw_retrieval(retrieval, stores.query, stores.gallery, job.folder / "pictures",
                                 distance=asked.distance, suffix=suffix, curve=curve, decisions=decisions,
                                 naming=stores.naming)


if __name__ == "__main__":
    main()
