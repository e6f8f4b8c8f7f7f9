"""Differentiable architecture search for person re-identification."""

__version__ = "0.1.0"  # the only place: the package's metadata are read from here
