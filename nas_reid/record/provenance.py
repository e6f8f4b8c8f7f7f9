"""Where a result comes from: versions and revision, for genotype files and records."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path

import torch

import nas_reid


def git_revision() -> str | None:
    """Revision of the checkout that this code runs from, with ``-dirty`` when files differ; None outside a checkout."""
    root = Path(nas_reid.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        described = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"], cwd=root,
                                   capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip()


def versions() -> dict[str, str | None]:
    """What ran: package, revision, torch, Python."""
    return {"nas_reid": nas_reid.__version__, "revision": git_revision(), "torch": torch.__version__,
            "python": platform.python_version()}


def package_versions(*names: str) -> dict[str, str | None]:
    """Versions of installed distributions; None for those that are not installed."""
    found: dict[str, str | None] = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found
