"""Pre-train: genotype -> fixed network -> classify images of an ImageNet-style folder -> weights to retrain from.

    python -m nas_reid.pretrain genotype=osnet_ain/paper data.root=DIR experiment=imagenet
    python -m nas_reid.pretrain genotype=resnet/resnet50 network.last_stride=2 data.root=DIR experiment=imagenet
    python -m nas_reid.retrain genotype=resnet/resnet50 weights=outputs/pretrain/.../checkpoints/best.pt

DIR holds train/<class>/*.jpg and val/<class>/*.jpg; without data.root, drawn pedestrians are told apart.
Leaves in the run folder: checkpoints/best.pt (chosen by top-1 accuracy on val) and last.pt, model.safetensors,
metrics.jsonl, result.json, pictures/ and report.html. Repeating the command with ``hydra.run.dir=<that folder>``
continues a stopped run.
"""

if __name__ == "__main__":
    from nas_reid.run.door import enter
    enter("pretrain")  # help needs none of the imports below

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict

import torch
from omegaconf import DictConfig

from nas_reid.config.loading import load
from nas_reid.config.training import PretrainConfig
from nas_reid.data.augment import Augment, build_augment
from nas_reid.data.class_batches import CentreCropBatches, RandomCropBatches
from nas_reid.data.class_images import open_class_images
from nas_reid.genotype import Genotype
from nas_reid.modules.head import head_arguments
from nas_reid.nas.memory import require_room
from nas_reid.network.complexity import size_of
from nas_reid.network.execution import place
from nas_reid.network.model import ReIDNetwork, build_network
from nas_reid.network.trained import Description, export_safetensors, load_trained
from nas_reid.parallel.processes import is_main
from nas_reid.parallel.tensors import own_part, total
from nas_reid.progress import progress
from nas_reid.record.pictures import draw_genotype
from nas_reid.registry import load_genotype, space_of
from nas_reid.run.command import command
from nas_reid.run.invocation import invocation
from nas_reid.run.job import Job, finished_result, start_job
from nas_reid.seed import derive_seed, seed_everything
from nas_reid.training.epoch import train_one_epoch
from nas_reid.training.training import require_drop_path, training_of

log = logging.getLogger("nas_reid.pretrain")


@command("pretrain", several=True)
def main(cfg: DictConfig) -> float:
    """Hydra's entry. Returns the validation's top-1 accuracy, so that any sweeper can rank runs."""
    settings, call = load(cfg, PretrainConfig), invocation()
    genotype = load_genotype(settings.genotype)
    finished = finished_result(settings, call.folder)
    if finished is not None:
        return finished["selection"]["top1_accuracy"]
    with start_job(settings, call.folder, name=f"{genotype.space}-seed{settings.seed}", call=call) as job:
        return run(settings, genotype, job)


def run(settings: PretrainConfig, genotype: Genotype, job: Job) -> float:
    """One pre-training, from the genotype to ``result.json``; returns the validation's top-1 accuracy."""
    # The network and every name come first: a mistake in one must not wait for the data.
    seed_everything(settings.seed)
    epochs, space = settings.epochs, space_of(genotype, settings.network)
    require_room(space, genotype, job.device, settings.data.image_size)
    trunk, head = space.network(genotype), head_arguments(asdict(settings.head), space)
    require_drop_path(trunk, settings.drop_path)
    augment = build_augment(settings.augment)

    # Data: lists of files; images are decoded as they are needed.
    batches, validation_batches, num_classes = load_data(settings, augment, job.device)

    # The fixed network and its optimiser; continue where a stopped run left off.
    network = place(build_network(trunk, num_classes, **head), job.device, sync_norms=settings.sync_norms,
                    channels_last=settings.channels_last, precision=settings.precision, compile=settings.compile)
    training = training_of(settings, network, batches=len(batches))
    height, width = settings.data.image_size
    description = Description(genotype, settings.network, head, num_classes, (height, width))
    first, validation = 0, {}
    if (saved := job.take_up()) is not None:
        training.load_state_dict(saved["training"])
        first, validation = saved["epoch"], saved["validation"]

    # Train. The best epoch is the one with the highest top-1 accuracy on the validation images.
    for epoch in range(first, epochs):
        started = time.monotonic()
        record = train_one_epoch(training, batches, epoch, seed=settings.seed, name="pretrain")
        accuracies = validate(training.network_to_keep, validation_batches)
        record |= {f"pretrain/val_{name}": value for name, value in accuracies.items()}
        best = accuracies["top1_accuracy"] > validation.get("top1_accuracy", -1.0)
        validation = {**accuracies, "epoch": epoch + 1} if best else validation
        state = {"epoch": epoch + 1, "description": description.to_plain(),
                 "weights": training.network_to_keep.state_dict(), "validation": validation}
        if best:
            job.save(state, job.best)
        job.finish_epoch(epoch, record, started)
        job.save(state | {"training": training.state_dict()})

    # The result, and the command that comes next.
    return finish(settings, job, validation)


def load_data(settings: PretrainConfig, augment: Augment,
              device: torch.device) -> tuple[RandomCropBatches, CentreCropBatches, int]:
    """Training batches, validation batches, and the number of classes."""
    data, crop = settings.data, settings.crop
    images = open_class_images(root=data.root, synthetic=data.synthetic, cache=data.cache, workers=data.workers)
    height, width = data.image_size
    batches = RandomCropBatches(images.train, batch_size=settings.batch_size, image_size=(height, width),
                                scale=crop.scale, ratio=crop.ratio, augment=augment,
                                seed=derive_seed(settings.seed, "batches"), device=device, workers=data.workers)
    validation = CentreCropBatches(images.val, batch_size=settings.batch_size, image_size=(height, width),
                                   centre=crop.centre, device=device, workers=data.workers)
    return batches, validation, len(images.classes)


@torch.inference_mode()
def validate(network: ReIDNetwork, batches: CentreCropBatches) -> dict[str, float]:
    """Share of images whose class is the likeliest, and among the five likeliest (of fewer than five: among all)."""
    network.eval()
    hits = [torch.zeros(2, dtype=torch.int64, device=batches.device)]
    own = own_part(range(len(batches)))  # of several processes each runs some of the batches
    for batch in progress(batches.own(), description="validation", total=len(own), unit="step"):
        logits = network.head.classify(network(batch.images, modality=batch.modalities))
        ranked = logits.topk(min(5, logits.shape[1])).indices == batch.labels[:, None]
        hits.append(torch.stack((ranked[:, 0].sum(), ranked.sum())))
    top1, top5 = (total(torch.stack(hits).sum(0)).double() / len(batches.images.paths)).tolist()
    return {"top1_accuracy": top1, "top5_accuracy": top5}


def finish(settings: PretrainConfig, job: Job, validation: Mapping[str, float]) -> float:
    """Export the best checkpoint, write the result, and say what comes next."""
    if not is_main():
        return validation["top1_accuracy"]
    network, description = load_trained(job.best, device=job.device)
    export_safetensors(job.folder / "model.safetensors", network, description)
    cells = draw_genotype(space_of(description.genotype, description.network), description.genotype,
                          job.folder / "pictures" / "cells.png")
    changes = {f"network.{key}": value for key, value in settings.network.items()}
    arguments = {"genotype": settings.genotype, **changes, "weights": job.best}
    data = "drawn pedestrians" if settings.data.root is None else settings.data.root
    job.finish({"kind": "pretrain", "space": description.genotype.space, "data": data, "seed": settings.seed,
                "genotype": settings.genotype, "classes": description.num_classes, "metrics": {},
                "selection": {"split": "val", **validation},
                "protocol": f"top-1 and top-5 accuracy on centre crops of {settings.crop.centre:.1%}; the best epoch "
                            "is chosen on the same images", **size_of(network, description.image_size)},
               [cells] if cells else [], job.next_line("retrain", arguments, same_data=False))
    return validation["top1_accuracy"]


if __name__ == "__main__":
    main()
