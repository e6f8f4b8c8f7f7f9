"""A module of the tests as several processes that find each other, as torchrun would start them."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def environment(rank: int, processes: int, port: int) -> dict[str, str]:
    """What torchrun sets."""
    return {**os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def launch(module: str, *arguments: object, processes: int = 2, patience_s: float = 240) -> None:
    """Run ``python -m <module> <arguments>`` that often side by side; every one must end well."""
    port = free_port()
    running = [subprocess.Popen([sys.executable, "-m", module, *map(str, arguments)], cwd=ROOT, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                env=environment(rank, processes, port)) for rank in range(processes)]
    try:
        said = [process.communicate(timeout=patience_s)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0] * processes, "\n".join(said)
