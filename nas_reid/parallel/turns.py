"""Who does what first, and what one process tells the others."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from torch import distributed

from nas_reid.parallel.processes import contact, is_main, world

_T = TypeVar("_T")


def barrier() -> None:
    """Wait until every process is here."""
    everyones(None)


@contextmanager
def main_first() -> Iterator[None]:
    """Let the main process go through the block before the others begin with it: what it makes, they find."""
    if not is_main():
        barrier()
    yield
    if is_main():
        barrier()


def from_main(compute: Callable[[], _T]) -> _T:
    """What ``compute`` gives in the main process, for all; the others do not call it.

    Args:
        compute: gives something that can be pickled.
    """
    if world() == 1:
        return compute()
    found: list[Any] = [compute() if is_main() else None]
    with contact():
        distributed.broadcast_object_list(found, src=0)
    value: _T = found[0]
    return value


def everyones(own: _T) -> list[_T]:
    """What each process has brought, in order of rank.

    Args:
        own: can be pickled.
    """
    if world() == 1:
        return [own]
    found: list[Any] = [None] * world()
    with contact():
        distributed.all_gather_object(found, own)
    return found
