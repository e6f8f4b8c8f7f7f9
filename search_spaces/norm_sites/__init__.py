"""CM-NAS (Fu et al., ICCV 2021): which batch norms of a ResNet visible and infrared images share.

The search algorithm was never published; here a site is an ordinary decision between two choices, searched like any
other.
"""

from search_spaces.norm_sites.space import NormSites

__all__ = ["NormSites"]
