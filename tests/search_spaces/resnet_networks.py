"""Networks of the resnet space for tests."""

from typing import Any

import torch
from torch import nn

from nas_reid.registry import load_genotype, space_of

ARGUMENTS = dict(load_genotype("resnet/resnet18").arguments)
TINY = {"channels": 16, "stem_channels": 8}


def trunk(name: str, **changes: Any) -> nn.Module:
    """Of a published genotype, without memory."""
    genotype = load_genotype(f"resnet/{name}")
    with torch.device("meta"):
        return space_of(genotype, changes).network(genotype)
