"""Residual trunks for tests, built from the parts."""

from typing import Any

import torch

from nas_reid.backbones.blocks import BlockSettings
from nas_reid.backbones.norms import IBN_NORMS, NormFactory, batch_norm
from nas_reid.backbones.resnet import ResNet
from nas_reid.backbones.stages import DEPTHS, StagePlan


def resnet(depth: int, *, norm: NormFactory = batch_norm, stem: dict[str, Any] | None = None, planes: int = 64,
           blocks: dict[str, Any] | None = None, **plan: Any) -> ResNet:
    """A trunk with the given parts; sizes are torchvision's unless told."""
    block, lengths = DEPTHS[depth]
    options = {"channels": planes, **(stem or {})}
    return ResNet(options.pop("channels"), StagePlan(block=block, lengths=lengths, planes=planes, **plan),
                  BlockSettings(norm=norm, **(blocks or {})), **options)


def on_meta(depth: int, **options: Any) -> ResNet:
    """The same without memory, for counts and names."""
    with torch.device("meta"):
        return resnet(depth, **options)


def resnest(depth: int, **options: Any) -> ResNet:
    """ResNeSt as published; 50 has a stem of 64 channels, 101 of 128."""
    return on_meta(depth, stem={"channels": 64 if depth == 50 else 128, "deep_stem": True},
                   blocks={"radix": 2, "average_shortcut": True}, **options)


def ibn(depth: int, kind: str, **options: Any) -> ResNet:
    """IBN-Net."""
    return on_meta(depth, norm=IBN_NORMS[kind], instance_norm_stages=(0, 1) if kind == "b" else (), **options)
