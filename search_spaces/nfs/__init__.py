"""NFS-style feature search for visible-infrared re-ID: which channels and pixels of a two-stream network are kept.

After Neural Feature Search for RGB-Infrared Person Re-Identification (Chen et al., CVPR 2021), of which only abstract
and introduction were at hand: docs/nfs.md lists what the paper says and what is a reconstruction.
"""

from search_spaces.nfs.space import NFS

__all__ = ["NFS"]
