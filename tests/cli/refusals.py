"""What a refused command must look like, and leave behind."""

import re
from pathlib import Path

from tests.cli.commands import Outcome


def assert_refused(outcome: Outcome, *parts: str) -> None:
    """The command ended with code 1 and a message with all ``parts`` (regular expressions), without a traceback."""
    assert outcome.code == 1, f"it went through:\n{outcome.out}"
    assert "Traceback" not in outcome.out + outcome.err, outcome.err
    for part in parts:
        assert re.search(part, outcome.err), f"{part!r} is missing in:\n{outcome.err}"


def assert_nothing_half_written(folder: Path) -> None:
    left = {path.name for path in folder.rglob("*") if path.is_file() and path.parent.name != ".hydra"}
    assert not {"result.json", "genotype.json", "last.pt", "best.pt", "model.safetensors"} & left
    assert not [name for name in left if name.startswith(".")], "a temporary file was left"
