"""Types and ranges of ``python -m nas_reid.compare``."""

from dataclasses import dataclass
from typing import Any

from nas_reid.config.groups import Rules


@dataclass
class CompareConfig:
    """``python -m nas_reid.compare``."""

    runs: Any                      # a folder, or a list of them
    metric: str
    json: bool

    def folders(self) -> list[str]:
        """The folders, at least one."""
        return [self.runs] if isinstance(self.runs, str) else list(self.runs)

    def rules(self) -> Rules:
        """Refuses what names no folder."""
        listed = self.runs if isinstance(self.runs, list) else [self.runs]
        yield ("runs", bool(listed) and all(isinstance(one, str) and one for one in listed),
               "must be a folder or a list of them: python -m nas_reid.compare FOLDER FOLDER")
