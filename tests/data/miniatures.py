"""Writers of the public layouts: empty files under the right names, since readers never open an image."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from scipy.io import savemat


def touch(folder: Path, names: Iterable[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def write_viper(root: Path, people: int = 632) -> Path:
    for folder, angle in (("cam_a", 0), ("cam_b", 90)):
        touch(root / "viper/VIPeR" / folder, (f"{2 * person:03d}_{angle}.bmp" for person in range(people)))
    return root


def write_cuhk01(root: Path, people: int = 971) -> Path:
    touch(root / "cuhk01/campus", (f"{pid:04d}{shot:03d}.png" for pid in range(1, people + 1) for shot in range(1, 5)))
    return root


def write_prid(root: Path) -> Path:
    for folder, people in (("cam_a", 385), ("cam_b", 749)):
        touch(root / "prid2011/prid_2011/single_shot" / folder, (f"person_{n:04d}.png" for n in range(1, people + 1)))
    return root


def write_ilids(root: Path) -> Path:
    touch(root / "ilids/i-LIDS_Pedestrian/Persons", (f"{n:04d}{shot:03d}.jpg" for n in range(1, 120)
                                                     for shot in range(1, 5)))
    return root


def write_grid(root: Path, pairs: int = 250, distractors: int = 775) -> Path:
    base = root / "grid/underground_reid"
    touch(base / "probe", (f"{n:04d}_{1 + n % 8}_25004_107_32_106_221.jpeg" for n in range(1, pairs + 1)))
    touch(base / "gallery", (f"{n:04d}_{1 + (n + 3) % 8}_25023_116_134_128_330.jpeg" for n in range(1, pairs + 1)))
    touch(base / "gallery", (f"0000_{1 + n % 8}_{n}_1_1_1_1.jpeg" for n in range(distractors)))
    write_partitions(base / "features_and_partitions.mat",
                     [np.random.default_rng(k).permutation(pairs)[:pairs // 2] + 1 for k in range(10)])
    return root


def write_partitions(path: Path, training: list[np.ndarray]) -> None:
    """A 1 x 10 cell of structs whose third field holds the training ids, as in GRID's file."""
    cells = np.empty((1, len(training)), dtype=object)
    for k, ids in enumerate(training):
        cells[0, k] = {"first": np.zeros((1, 2)), "second": np.ones((1, 3)), "third": ids[None]}
    savemat(path, {"trainIdxAll": cells, "features": np.zeros((2, 2))})


def write_msmt17(root: Path, version: str = "v2") -> Path:
    """Two people who train, with an image more in list_val; three for the test, numbered from 0 again."""
    folder, train, test = {"v1": ("MSMT17_V1", "train", "test"),
                           "v2": ("MSMT17_V2", "mask_train_v2", "mask_test_v2")}[version]
    base = root / "msmt17" / folder
    lists = {"train": (train, [(0, 1, 0), (0, 15, 1), (1, 2, 0)]), "val": (train, [(1, 3, 5)]),
             "query": (test, [(0, 1, 0), (2, 4, 0)]), "gallery": (test, [(0, 2, 1), (1, 1, 0), (2, 5, 1)])}
    for name, (part, images) in lists.items():
        lines = []
        for pid, camera, shot in images:
            path = f"{pid:04d}/{pid:04d}_{shot:03d}_{camera:02d}_0303morning_0015_{shot}.jpg"
            touch((base / part / path).parent, [Path(path).name])
            lines.append(f"{path} {pid}\n")
        (base / f"list_{name}.txt").write_text("".join(lines))
    return root
