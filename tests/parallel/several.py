"""All that the tests want of two processes, in one start: importing torch takes longer than most of it.

    python -m tests.parallel.several FOLDER
"""

import os
import sys
import traceback
from pathlib import Path

import torch

from nas_reid.parallel.processes import start
from tests.parallel.commands import lose_a_process, run_commands
from tests.parallel.pieces import run
from tests.parallel.ranks import environment, free_port

PROCESSES = 2


def work(number: int, folder: Path) -> None:
    """As one of the processes; the second does not survive the end."""
    start()
    torch.save(run(1), folder / f"{number}.pt")
    run_commands(folder)
    lose_a_process(folder)


def main(folder: Path) -> list[int]:
    """Fork the processes and wait for them; returns how they ended."""
    torch.set_num_threads(1)
    port, children = free_port(), []
    for number in range(PROCESSES):
        if child := os.fork():
            children.append(child)
            continue
        os.environ |= environment(number, PROCESSES, port)
        try:
            work(number, folder)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


if __name__ == "__main__":
    sys.exit(str(ends) if (ends := main(Path(sys.argv[1]))) != [0, -9] else 0)
