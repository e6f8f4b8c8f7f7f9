"""Procedural pedestrians: a data set of people who do not exist, in the layout of Market-1501, SYSU-MM01 or RegDB.

A scene is described (``identity``, ``shot``), turned into labelled layers (``body``, ``canvas``) and coloured, then
seen by a sensor (``camera``, ``sensor``). Layers name materials, not colours, so that infrared cameras see them
otherwise (``band``, ``near_infrared``, ``thermal``).
"""

from nas_reid.data.synthetic.generation import generate
from nas_reid.data.synthetic.spec import SyntheticSpec

__all__ = ["SyntheticSpec", "generate"]
