"""What a process does with memory that it frees: it keeps it.

glibc returns arrays of more than 32 MiB to the system at once, and the others when much is free, as after every step of
a training. The next step gets new pages, which Linux fills with zeros first. With the maps of a network on a CPU that
is a fifth of the time and more (docs/benchmarks.md).
"""

import ctypes
import os
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # <malloc.h>
_VARIABLES = {_TRIM_THRESHOLD: "MALLOC_TRIM_THRESHOLD_", _MMAP_MAX: "MALLOC_MMAP_MAX_"}


def keep_freed_memory() -> None:
    """Let malloc take all memory from its heap and return none of it, for as long as the process lives.

    The process is then as large as it ever was. What the environment sets by glibc's variables stays as it is; another
    C library than glibc is left alone.
    """
    with suppress(AttributeError, TypeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in ((_TRIM_THRESHOLD, -1), (_MMAP_MAX, 0)):
            if _VARIABLES[parameter] not in os.environ:
                mallopt(parameter, value)
