"""What was measured of a checkpoint: the result of its own run, or of an evaluation that somebody names."""

import json
from pathlib import Path
from typing import Any

from nas_reid.errors import ConfigError
from nas_reid.files.of_run import file_of_run
from nas_reid.files.regular import read_regular

_RESULT = "result.json"


def measured(checkpoint: Path, results: Path | None) -> dict[str, Any] | None:
    """Data set, metrics and protocol; None where nobody measured.

    Args:
        checkpoint: file of the checkpoint.
        results: ``result.json`` of its evaluation, or the folder of that; None for the result of the run that the
            checkpoint is in.

    Raises:
        ConfigError: ``results`` is no result, or is one of another checkpoint.
    """
    own = checkpoint.parent.parent / _RESULT
    if results is None and not own.is_file():
        return None
    path = own if results is None else file_of_run(results, (_RESULT,))
    try:
        result = json.loads(read_regular(path))
        of, kind = result.get("checkpoint"), result["kind"]
        found = {"data": str(result["data"]), "values": dict(result["metrics"]), "protocol": dict(result["protocol"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if results is None:
            return None
        raise ConfigError(f"results={path} is no result.json of nas_reid.evaluate ({type(error).__name__}: {error}); "
                          "give the folder of an evaluation") from None
    if path.resolve() != own.resolve() and (kind != "evaluate" or
                                            file_of_run(str(of)).resolve() != checkpoint.resolve()):
        raise ConfigError(f"results={path} is of {of or 'another run'}, and what is exported is {checkpoint}; evaluate "
                          "that one, or leave results out")
    return found | ({"threshold": result["threshold"]} if "threshold" in result else {})
