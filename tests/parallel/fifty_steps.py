"""How far two processes are from one after many steps in float64, for every space and scheme; too long for the suite.

    python -m tests.parallel.fifty_steps FOLDER [STEPS [CASE ...]]
"""

import sys
from pathlib import Path

import hydra
import torch

from nas_reid.parallel.processes import announced, rank, start, stop, world
from nas_reid.run.composition import config_dir, prepare
from tests.parallel.ranks import launch
from tests.parallel.search_steps import CASES, INFRARED, SMALL, Case, furthest, run

SCHEMES = {"softmax": "algorithm=darts", "gdas": "algorithm=gdas", "exact": "algorithm=darts_second_order",
           "differences": "algorithm=darts_second_order algorithm.hessian=finite_difference"}
ALL = CASES | {f"{space}-{scheme}": Case(space, f"{overrides} {INFRARED if 'synthetic_ir' in SMALL[space] else ''}")
               for space in SMALL for scheme, overrides in SCHEMES.items()}


def compare(name: str, folder: Path) -> str:
    """A line: the largest differences of two processes to one, relative to the largest entry of each tensor."""
    one, first, second = (torch.load(folder / f"{name}.{who}.pt", weights_only=True) for who in ("1-0", "2-0", "2-1"))
    differ = {part: furthest(one[part], first[part])[0] for part in ("gradients", "alphas", "weights", "losses")}
    equal = all(torch.equal(first[part][key], second[part][key]) for part in ("alphas", "weights")
                for key in first[part])
    return " ".join([f"{name:24s}", *(f"{part} {value:.1e} " for part, value in differ.items()),
                     "ranks bit-equal" if equal else "RANKS DIFFER"])


def main(folder: Path, steps: int, names: list[str]) -> None:
    """Every process writes down what it finds; a single one then starts two, and compares."""
    torch.set_num_threads(1)
    prepare()
    start()
    with hydra.initialize_config_dir(config_dir(), version_base="1.3"):
        for name in names:
            if not (path := folder / f"{name}.{world()}-{rank()}.pt").exists():
                torch.save(run(ALL[name], steps), path)
    stop()


if __name__ == "__main__":
    folder, steps, names = Path(sys.argv[1]), int((sys.argv[2:] or [50])[0]), sys.argv[3:] or list(ALL)
    main(folder, steps, names)
    if announced() == 1:
        launch("tests.parallel.fifty_steps", folder, steps, *names, patience_s=3600)
        print(*(compare(name, folder) for name in names), sep="\n")
