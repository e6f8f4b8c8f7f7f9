"""Weights from elsewhere: another project's checkpoint, or a network of this one, into a network to be trained.

A file is only ever read as data (``weights_only``). Nothing is dropped in silence: every entry that the network lacks
or that the file lacks is logged, and a trunk that does not match entirely is an error.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from nas_reid.errors import CheckpointError
from nas_reid.files.foreign import user_path
from nas_reid.files.of_run import file_of_run
from nas_reid.files.regular import NotARegularFile
from nas_reid.genotype import Genotype
from nas_reid.network.finite import require_finite_weights
from nas_reid.network.sealed_tensors import read_tensors
from nas_reid.network.torch_file import is_safetensors, read_torch_file
from nas_reid.search_space import ConvertsSupernetWeights, ConvertsWeights, SearchSpace

log = logging.getLogger(__name__)

# Where files keep the state dict: torchreid and many others, our retraining, our search, FastReID.
_WRAPPERS = (("state_dict",), ("weights",), ("bilevel", "network"), ("model",))
_AROUND = re.compile(r"^((module|_orig_mod)\.)+|(?<=\.)(_orig_mod\.)+")  # of nn.DataParallel and torch.compile
_COUNTER = "num_batches_tracked"  # of batch norms; absent in old files, and without influence at a fixed momentum
_CLASSIFIERS = re.compile(r"head\.(parts\.\d+\.)?classifier\.")


@dataclass(frozen=True)
class Fit:
    """How a file's entries fit a network; names are the network's.

    Args:
        state: entries to load.
        missing: of the network, not in the file; they keep their initial values.
        unexpected: in the file, unknown to the network.
        mismatched: in both with different shapes, as ``name (file's shape, network's shape)``.
    """

    state: dict[str, Tensor]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]

    def problems(self, prefix: str = "") -> list[str]:
        """One readable line per entry that is not loaded and whose name starts with ``prefix``."""
        return [f"{kind}: {name}" for kind, names in
                (("missing", self.missing), ("unexpected", self.unexpected), ("other shape", self.mismatched))
                for name in names if name.startswith(prefix)]


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, without what ``nn.DataParallel`` and ``torch.compile`` add to names.

    Args:
        path: a bare state dict, or one wrapped as torchreid, a retrain or a search of ours do; or safetensors, under
            any name; or the folder of a run.

    Raises:
        CheckpointError: no such file, not a file of weights, one whose reading would execute code, weights of which
            some are NaN or infinite, or a checkpoint of ours with other bytes than were written.
    """
    path = file_of_run(path)
    state = {_AROUND.sub("", name): tensor for name, tensor in _unwrap(_read(path), path).items()}
    require_finite_weights(path, state)
    return state


def read_weights(path: Path, space: SearchSpace, genotype: Genotype, *, trunk: nn.Module) -> dict[str, Tensor]:
    """The entries of a file of ``read_state``, under the names of a ``ReIDNetwork`` of the genotype.

    They are checked against the trunk here, so that a wrong file is found before anything long begins.

    Args:
        path: the file.
        space: a ``ConvertsWeights`` if it reads other names than its own.
        genotype: of the network that the weights are for.
        trunk: that network without its head.

    Raises:
        CheckpointError: as ``read_state``; or the entries do not match the trunk: the message names the first that do
            not.
    """
    state = read_state(path)
    if isinstance(space, ConvertsWeights):
        state = dict(space.convert_weights(state, genotype))
    _require_trunk(trunk, state, origin=str(path))
    return state


def read_supernet_weights(path: Path, space: SearchSpace, *, trunk: nn.Module) -> dict[str, Tensor]:
    """The entries of a file of ``read_state``, under the names of a ``ReIDNetwork`` around the space's supernet.

    Args:
        path: the file.
        space: a ``ConvertsSupernetWeights`` if it reads other names than its own.
        trunk: the supernet.

    Raises:
        CheckpointError: as ``read_weights``.
    """
    state = read_state(path)
    if isinstance(space, ConvertsSupernetWeights):
        state = dict(space.supernet_weights(state))
    _require_trunk(trunk, state, origin=str(path))
    return state


def read_pretrained(path: str | None, space: SearchSpace) -> dict[str, Tensor]:
    """The supernet's initial weights, checked before anything else is made; none without a file.

    Errors are those of ``read_supernet_weights``.
    """
    if path is None:
        return {}
    with torch.device("meta"):
        trunk = space.supernet()
    return read_supernet_weights(user_path(path), space, trunk=trunk)


def load_weights(network: nn.Module, state: Mapping[str, Tensor], *, origin: str) -> Fit:
    """Load what fits and log what does not. A classifier for other identities is left out as a whole, and a file of a
    trunk alone is as good as any.

    Args:
        network: a ``ReIDNetwork``.
        state: of ``read_weights``.
        origin: file name, for messages.

    Raises:
        CheckpointError: the trunk does not match.
    """
    _require_trunk(network.get_submodule("trunk"), state, origin=origin)
    own = network.state_dict()
    foreign = any(_CLASSIFIERS.match(name) and tensor.shape != own[name].shape
                  for name, tensor in state.items() if name in own)
    fit = fit_state(own, {name: tensor for name, tensor in state.items()
                          if not (foreign and _CLASSIFIERS.match(name))})
    network.load_state_dict({**own, **fit.state})
    log.info("%s: loaded %d of %d entries", origin, len(fit.state), len(own))
    if foreign:
        log.info("%s: its classifier is for other identities and stays out", origin)
    without_head = not any(name.startswith("head.") for name in state)
    if without_head:
        log.info("%s: a trunk alone, the head starts anew", origin)
    for problem in fit.problems():
        if not (without_head and problem.startswith("missing: head.")):
            log.warning("%s: %s", origin, problem)
    return fit


def fit_state(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Fit:
    """Compare entries by name and shape; the counters of batch norms may be absent.

    Args:
        own: the network's.
        state: the file's.
    """
    mismatched = {name for name in own if name in state and own[name].shape != state[name].shape}
    return Fit(state={name: state[name] for name in own if name in state and name not in mismatched},
               missing=tuple(name for name in own if name not in state and not name.endswith(_COUNTER)),
               unexpected=tuple(sorted(set(state) - set(own))),
               mismatched=tuple(f"{name} ({list(state[name].shape)}, {list(own[name].shape)})"
                                for name in sorted(mismatched)))


def _require_trunk(trunk: nn.Module, state: Mapping[str, Tensor], *, origin: str) -> None:
    fit = fit_state({f"trunk.{name}": tensor for name, tensor in trunk.state_dict().items()}, state)
    problems = fit.problems("trunk.")
    if problems:
        raise CheckpointError(
            f"{origin} does not fit this trunk: {len(problems)} entries, such as {'; '.join(problems[:4])}. Give the "
            "genotype that the weights belong to (genotype=), and their widths (network.<argument>=)")


def _read(path: Path) -> Any:
    try:
        return read_tensors(path) if is_safetensors(path) else read_torch_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"no weights at {path.resolve()}; expected a .pth, .pt or .safetensors file") from None
    except NotARegularFile as error:
        raise CheckpointError(f"{path} holds no weights: {error}; expected a .pth, .pt or .safetensors file") from None
    except (ValueError, OSError, SafetensorError) as error:
        reason = str(error) if isinstance(error, ValueError) else f"is a damaged safetensors file ({error})"
        raise CheckpointError(f"{path} is not a file of weights: it {reason}. Expected a .pth, .pt or .safetensors "
                              "file") from error


def _unwrap(content: Any, path: Path) -> Mapping[str, Tensor]:
    for keys in _WRAPPERS:
        inner = content
        for key in keys:
            inner = inner.get(key) if isinstance(inner, Mapping) else None
        if isinstance(inner, Mapping):
            content = inner
            break
    tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)} \
        if isinstance(content, Mapping) else {}
    if unnamed := [name for name in tensors if not isinstance(name, str)]:
        raise CheckpointError(f"{path} holds {len(unnamed)} tensors that are not named but filed under such as "
                              f"{unnamed[0]!r}; expected the names of weights, as in a state dict")
    if not tensors:
        raise CheckpointError(f"{path} holds no weights: expected names and tensors, bare or under one of "
                              f"{', '.join('.'.join(keys) for keys in _WRAPPERS)}")
    return tensors
