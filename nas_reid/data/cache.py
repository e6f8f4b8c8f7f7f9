"""Where image stores and generated data live between runs."""

import os
from pathlib import Path

from nas_reid.files.foreign import user_path


def cache_root() -> Path:
    """The folder named by the environment variable ``NAS_REID_CACHE``, else ``~/.cache/nas_reid``; may not exist."""
    configured = os.environ.get("NAS_REID_CACHE")
    return user_path(configured) if configured else Path.home() / ".cache" / "nas_reid"
