"""Free memory: the least of what the machine and the control groups of either version leave."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from nas_reid.network.free_memory import Memory, memory_of

GIB = 2**30
MACHINE = {"proc/meminfo": "MemTotal:  16777216 kB\nMemFree: 1 kB\nMemAvailable: 8388608 kB\nSwapTotal: 1048576 kB\n"}
V1 = {"proc/self/cgroup": "9:name=systemd:/\n4:cpu,memory:/pod/a:b\n0::/\n"}
V2 = {"proc/self/cgroup": "0::/pod/a\n"}


def stat(name: str, size: int) -> str:
    return f"anon 5\n{name} {size}\nactive_file 7\n"


@pytest.mark.parametrize(("files", "expected"), [
    ({}, Memory(None, None)),
    (MACHINE, Memory(8 * GIB, 17 * GIB)),
    # A container of version 2: its own limit, of whose use 1 GiB are cached files.
    (MACHINE | V2 | {"sys/fs/cgroup/pod/a/memory.max": f"{4 * GIB}\n",
                     "sys/fs/cgroup/pod/a/memory.current": f"{3 * GIB}",
                     "sys/fs/cgroup/pod/a/memory.stat": stat("inactive_file", GIB)}, Memory(2 * GIB, 4 * GIB)),
    # The limit is the parent's; the group itself has none.
    (MACHINE | V2 | {"sys/fs/cgroup/pod/a/memory.max": "max\n", "sys/fs/cgroup/pod/a/memory.current": "1",
                     "sys/fs/cgroup/pod/memory.max": f"{2 * GIB}", "sys/fs/cgroup/pod/memory.current": f"{2 * GIB}"},
     Memory(0, 2 * GIB)),
    # Inside a namespace the mount is the container's own group, and the path is of the host.
    (MACHINE | V2 | {"sys/fs/cgroup/memory.max": f"{6 * GIB}", "sys/fs/cgroup/memory.current": f"{GIB}"},
     Memory(5 * GIB, 6 * GIB)),
    (MACHINE | V1 | {"sys/fs/cgroup/memory/pod/a:b/memory.limit_in_bytes": f"{3 * GIB}",
                     "sys/fs/cgroup/memory/pod/a:b/memory.usage_in_bytes": f"{GIB}",
                     "sys/fs/cgroup/memory/pod/a:b/memory.stat": stat("total_inactive_file", GIB // 2)},
     Memory(5 * GIB // 2, 3 * GIB)),
    (MACHINE | V1 | {"sys/fs/cgroup/memory/memory.limit_in_bytes": f"{GIB}",
                     "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{GIB // 4}"}, Memory(3 * GIB // 4, GIB)),
    # Version 1 writes a number near 2^63 where there is no limit.
    (MACHINE | V1 | {"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
                     "sys/fs/cgroup/memory/memory.usage_in_bytes": "5"}, Memory(8 * GIB, 17 * GIB)),
    (MACHINE | V1 | {"sys/fs/cgroup/memory/memory.limit_in_bytes": "garbage"}, Memory(8 * GIB, 17 * GIB)),
])
def test_the_tightest_limit_counts(files: Mapping[str, str], expected: Memory, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert memory_of(torch.device("cpu"), root=tmp_path) == expected


def test_what_torch_keeps_for_itself_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, answer in (("mem_get_info", (2 * GIB, 8 * GIB)), ("memory_reserved", 4 * GIB),
                         ("memory_allocated", GIB)):
        monkeypatch.setattr(torch.cuda, name, lambda _, answer=answer: answer)
    assert memory_of(torch.device("cuda", 1)) == Memory(5 * GIB, 8 * GIB)


def test_this_machine_has_some() -> None:
    free, total = memory_of(torch.device("cpu"))
    assert free is None or total is None or 2**20 < free <= total
