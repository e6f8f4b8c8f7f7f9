"""How much memory a device has, and how much of it is free: of the machine, and of the container that we are in."""

from pathlib import Path
from typing import NamedTuple

import torch


class Memory(NamedTuple):
    """Bytes; None where nobody tells.

    Attributes:
        free: that can be taken now; of a GPU with what torch has freed and keeps for itself.
        total: that there is, swap included.
    """

    free: int | None
    total: int | None


def memory_of(device: torch.device, *, root: Path = Path("/")) -> Memory:
    """The memory of a device; of the CPU the least that the machine and its control groups (v1 or v2) allow.

    Args:
        device: a GPU or the CPU.
        root: where ``proc`` and ``sys`` are.
    """
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return Memory(free + kept, total)
    limits = [_of_machine(root), *_of_groups(root)]
    return Memory(*(min((value for value in values if value is not None), default=None)
                    for values in zip(*limits, strict=True)))


def _of_machine(root: Path) -> Memory:
    kilobytes = {name.rstrip(":"): value for name, value in _numbers(root / "proc/meminfo").items()}
    if not {"MemAvailable", "MemTotal"} <= kilobytes.keys():
        return Memory(None, None)
    return Memory(kilobytes["MemAvailable"] * 1024, (kilobytes["MemTotal"] + kilobytes.get("SwapTotal", 0)) * 1024)


def _of_groups(root: Path) -> list[Memory]:
    """What this process's control group and those around it allow; files that are cached count as free."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    found, mount = [], root / "sys/fs/cgroup"
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if not controllers:  # version 2
            found += [_group(folder, "memory.max", "memory.current", "inactive_file")
                      for folder in _upwards(mount, path)]
        elif "memory" in controllers.split(","):
            found += [_group(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
                      for folder in _upwards(mount / "memory", path)]
    return [memory for memory in found if memory is not None]


def _upwards(mount: Path, path: str) -> list[Path]:
    """The group's folder and those around it; in a container often the mount alone is there, whatever ``path`` says."""
    inside = mount / path.strip("/")
    return [folder for folder in (inside, *inside.parents) if folder == mount or mount in folder.parents]


def _group(folder: Path, limit: str, usage: str, cached: str) -> Memory | None:
    try:
        total, used = (int((folder / name).read_text(encoding="ascii")) for name in (limit, usage))
    except (OSError, ValueError):  # no limit is the word "max" in version 2
        return None
    return Memory(max(0, total - used + _numbers(folder / "memory.stat").get(cached, 0)), total)


def _numbers(path: Path) -> dict[str, int]:
    """Lines of a name and a number."""
    try:
        words = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    except (OSError, UnicodeDecodeError):
        return {}
    return {line[0]: int(line[1]) for line in words if len(line) >= 2 and line[1].isdigit()}
