"""A block in which functions of torch treat a process's part of a batch as one process would treat the whole of it.

Whoever calls them: modules, fused forms, and search spaces that know nothing of processes.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch.nn import functional
from torch.overrides import TorchFunctionMode

from nas_reid.parallel.dropout import FORMS, dropped
from nas_reid.parallel.norms import batch_norm
from nas_reid.parallel.processes import world

_Function = Callable[..., Any]
_DRAWS: dict[_Function, _Function] = {form: dropped(form) for form in FORMS}
_STATISTICS: dict[_Function, _Function] = {functional.batch_norm: batch_norm}


def whole_batch(training: bool = True, *, norms: bool = True) -> AbstractContextManager[object]:
    """A block in which dropout draws as for the whole batch, and with ``norms`` batch norms take its statistics.

    Args:
        training: False, or a single process: the block changes nothing.
        norms: whether to exchange statistics.
    """
    if not training or world() == 1:
        return nullcontext()
    return _Exchanged(_DRAWS | _STATISTICS if norms else _DRAWS)


class _Exchanged(TorchFunctionMode):
    def __init__(self, functions: Mapping[_Function, _Function]) -> None:
        super().__init__()
        self.functions = functions

    def __torch_function__(self, func: _Function, types: Iterable[type], args: tuple[Any, ...] = (),
                           kwargs: dict[str, Any] | None = None) -> Any:
        return self.functions.get(func, func)(*args, **(kwargs or {}))
