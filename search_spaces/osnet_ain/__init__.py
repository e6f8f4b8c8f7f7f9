"""Learning Generalisable Omni-Scale Representations for Person Re-Identification (Zhou et al., TPAMI 2021).

OSNet as a family of fixed networks (any width, number of streams and way to fuse them; BN or IN), and OSNet-AIN, the
search for where instance normalisation goes. Modules are named as in the authors' torchreid, so that its weights load.
"""

from search_spaces.osnet_ain.space import OSNetAIN

__all__ = ["OSNetAIN"]
