"""Describe a genotype: a table per stage, a drawing of its cells, and one JSON object as the last line.

    python -m nas_reid.describe genotype=auto_reid/baseline num_classes=751 'image_size=[384,128]'
"""

if __name__ == "__main__":
    from nas_reid.run.door import enter
    enter("describe")  # help needs none of the imports below

import json
import sys
from dataclasses import asdict

import torch
from omegaconf import DictConfig

from nas_reid.config.loading import load
from nas_reid.config.schemas import DescribeConfig
from nas_reid.drawing.masks import mask_table
from nas_reid.modules.head import head_arguments
from nas_reid.network.complexity import count_macs, count_parameters, stage_table
from nas_reid.network.model import ReIDNetwork, build_network
from nas_reid.record.pictures import draw_genotype
from nas_reid.registry import load_genotype, space_of
from nas_reid.run.command import command
from nas_reid.run.invocation import invocation
from nas_reid.search_space import OffersFeatureMasks


@command("describe", sole=False)
def main(cfg: DictConfig) -> None:
    """Hydra's entry. The last line on standard output is the JSON object."""
    settings = load(cfg, DescribeConfig)
    genotype = load_genotype(settings.genotype)
    space = space_of(genotype, settings.network)
    height, width = settings.image_size
    with torch.device("meta"):
        trunk = space.network(genotype)
        network = build_network(trunk, settings.num_classes, **head_arguments(asdict(settings.head), space))
    picture = draw_genotype(space, genotype, invocation().folder / "cells.png")
    sys.stdout.write(table(network, (height, width)) + "\n")
    kept = space.feature_masks(genotype) if isinstance(space, OffersFeatureMasks) else []
    if kept:
        sys.stdout.write(f"\n{mask_table(kept)}\n")
    summary = {"genotype": settings.genotype, "space": genotype.space, "image_size": [height, width],
               "num_classes": settings.num_classes, "params": count_parameters(network),
               "macs": count_macs(network, (height, width)), "embedding": network.head.out_features,
               "macs_count": "convolutions and linear layers, one image",
               "picture": str(picture) if picture else None}
    if kept:
        summary["kept"] = {place.name: place.summary() for place in kept}
    sys.stdout.write(json.dumps(summary) + "\n")


def table(network: ReIDNetwork, image_size: tuple[int, int]) -> str:
    """Stages in order of execution: output shape, parameters and MACs of each, aligned for reading."""
    rows = [("stage", "output", "params", "MMACs")]
    for stage in stage_table(network, image_size, depth=2):
        shape = "x".join(map(str, stage.output_shape))
        rows.append((stage.name, shape, f"{stage.params:,}", f"{stage.macs / 1e6:,.1f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(f"{name:<{widths[0]}}  {shape:>{widths[1]}}  {params:>{widths[2]}}  {macs:>{widths[3]}}"
                     for name, shape, params, macs in rows)


if __name__ == "__main__":
    main()
