"""Evaluate a trained network: query against gallery, on its own data set or any other.

    python -m nas_reid.evaluate checkpoint=outputs/retrain/.../checkpoints/best.pt    # on what it was trained on
    python -m nas_reid.evaluate checkpoint=... data=market1501 data.root=DIR evaluation.distance=cosine

Leaves result.json, queries.csv, cameras.csv, pictures/ and report.html in the run folder.
"""

if __name__ == "__main__":
    from nas_reid.run.door import enter
    enter("evaluate")  # help needs none of the imports below

import json
import logging
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from omegaconf import DictConfig

from nas_reid.config.loading import load, to_plain
from nas_reid.config.schemas import EvaluateConfig
from nas_reid.data.source import open_source, retrieval_lists
from nas_reid.evaluation.findings import decide, findings, findings_lines, verify
from nas_reid.evaluation.retrieval import describe_protocol, retrieve
from nas_reid.evaluation.tables import camera_pair_rows, write_tables
from nas_reid.evaluation.threshold import read_thresholds
from nas_reid.files import write_atomically
from nas_reid.files.foreign import user_path
from nas_reid.files.of_run import file_of_run
from nas_reid.network.complexity import size_of
from nas_reid.network.execution import place, select_device
from nas_reid.network.streams import warn_of_a_single_modality
from nas_reid.network.trained import load_trained
from nas_reid.parallel.processes import is_main
from nas_reid.record.pictures import draw_retrieval
from nas_reid.record.provenance import versions
from nas_reid.record.report import write_report
from nas_reid.record.tracking import plain_record
from nas_reid.run.checkpoint_data import with_checkpoint_data
from nas_reid.run.command import command
from nas_reid.run.command_line import next_command
from nas_reid.run.invocation import invocation

log = logging.getLogger("nas_reid.evaluate")


@command("evaluate", several=True)
def main(cfg: DictConfig) -> float:
    """Hydra's entry. The last line on standard output is a JSON object; returns the mAP."""
    call = invocation()
    settings = load(with_checkpoint_data(cfg, call), EvaluateConfig)
    metrics = run(settings, call.folder, next_line=next_command(call, "export", {"checkpoint": settings.checkpoint}))
    if is_main():
        sys.stdout.write(json.dumps(metrics) + "\n")
    return metrics["mAP"]


def run(settings: EvaluateConfig, folder: Path, *, next_line: str | None = None) -> dict[str, float]:
    """One evaluation, written to ``folder``; returns the metrics of the plain ranking, as fractions.

    Args:
        settings: what to evaluate on what.
        folder: of the run.
        next_line: the command that comes next, for the report.
    """
    started = time.monotonic()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    device = select_device(settings.device)
    variants, bootstrap = settings.evaluation.variants(), settings.evaluation.intervals()

    # The network, in the memory format that runs fastest.
    network, description = load_trained(user_path(settings.checkpoint), device=device)
    thresholds = read_thresholds(file_of_run(settings.checkpoint))
    place(network, device, channels_last=settings.channels_last)

    # The data, at the size that the network was trained on unless the configuration names another.
    size = settings.image_size or description.image_size
    source = open_source(replace(settings.data, image_size=list(size)), protocol=settings.evaluation.protocol,
                         folder=folder)
    stores = source.test_stores()
    warn_of_a_single_modality(network, torch.cat([side.modalities for side in stores[:2]]), data=settings.data.name)
    lists = retrieval_lists(stores, batch_size=settings.evaluation.batch_size, device=device)

    # Rank, and write what was found under which protocol.
    distance, flip = settings.evaluation.distance, settings.evaluation.flip
    single_shot = settings.evaluation.single_gallery_shot
    retrieval = retrieve(network, *lists, distance=distance, flip=flip, device=device, single_gallery_shot=single_shot,
                         variants=variants)
    metrics = retrieval.metrics
    if not is_main():
        return metrics
    curve = verify(retrieval, distance=distance) if settings.evaluation.roc else None
    decisions = decide(retrieval, thresholds, distance=distance, flip=flip) if settings.evaluation.roc else None
    found = findings(retrieval, bootstrap=bootstrap, curve=curve, decisions=decisions)
    result = {"kind": "evaluate", "checkpoint": settings.checkpoint, "data": settings.data.name, "metrics": metrics,
              **found, "image_size": list(size),
              "protocol": describe_protocol(distance, flip, single_shot, variants, {settings.data.name: stores.trials}),
              "versions": versions(), "config": to_plain(settings), **size_of(network, size),
              **({"next": next_line} if next_line else {})}
    pairs = (list(camera_pair_rows(retrieval, distance=distance, naming=stores.naming))
             if settings.evaluation.camera_pairs else [])
    write_tables(retrieval, stores.query.paths, folder, pairs=pairs, naming=stores.naming)
    draw_retrieval(retrieval, stores.query, stores.gallery, folder / "pictures", distance=distance, curve=curve,
                   decisions=decisions, pairs=pairs, naming=stores.naming)
    result = plain_record(result | {"seconds": time.monotonic() - started})
    write_report(folder, result)
    write_atomically(folder / "result.json", (json.dumps(result, indent=2) + "\n").encode())
    for line in (*retrieval.lines(settings.data.name), *findings_lines(settings.data.name, found)):
        log.info(line)
    log.info("report: %s; tables: %s and cameras.csv", folder / "report.html", folder / "queries.csv")
    return metrics


if __name__ == "__main__":
    main()
