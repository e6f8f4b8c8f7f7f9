"""Auto-ReID: Searching for a Part-Aware ConvNet for Person Re-Identification (Quan et al., ICCV 2019).

Searches the ops and the wiring of a normal and a reduction cell. No code of that search was ever released; the
authors' genotypes and part-aware op were, and fix the parameter counts (see ``tests/search_spaces``).
"""

from search_spaces.auto_reid.space import AutoReID

__all__ = ["AutoReID"]
