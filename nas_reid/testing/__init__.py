"""The former name of ``nas_reid.conformance``, kept for plugins that import it."""

from nas_reid.conformance import ConformanceError, check_search_space

__all__ = ["ConformanceError", "check_search_space"]
