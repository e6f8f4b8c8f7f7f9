"""Residual networks as they are used in re-ID: ResNet, ResNeXt and ResNeSt, with IBN, SE and non-local blocks.

Nothing in them is searched. They are a space without decisions, so that every command that takes a genotype takes them.
"""

from search_spaces.resnet.space import ResNets

__all__ = ["ResNets"]
