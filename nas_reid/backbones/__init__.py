"""Residual networks as parts: stems, stages of blocks, and norms that a factory makes for each named site.

Modules carry the names of torchvision, IBN-Net and ResNeSt, so that weight files of theirs fit without renaming.
"""
