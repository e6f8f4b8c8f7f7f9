"""Writers of the RGB-infrared layouts: empty files under the right names, since readers never open an image."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.io import savemat

from tests.data.miniatures import touch

SYSU_IDS = {"train": (1, 2, 3), "val": (4, 5), "test": (6, 7, 8)}


def write_sysu(root: Path, ids: Mapping[str, Sequence[int]] = SYSU_IDS, images: int = 3) -> Path:
    """Everyone in every camera, but the last test person not indoors in visible light."""
    base = root / "SYSU-MM01"
    for camera in range(1, 7):
        for pid in (pid for pids in ids.values() for pid in pids):
            if camera > 2 or pid != ids["test"][-1]:
                touch(base / f"cam{camera}" / f"{pid:04d}", (f"{i:04d}.jpg" for i in range(1, images + 1)))
    (base / "exp").mkdir()
    for part, pids in ids.items():
        (base / f"exp/{part}_id.txt").write_text(",".join(map(str, pids)) + "\n")
    return root


def write_permutations(base: Path, people: int = 8, images: int = 3) -> None:
    """As in the official evaluation: cameras x 1 cells of 1 x identities cells of [trials, images] numbers from 1."""
    cameras = np.empty((6, 1), dtype=object)
    for camera in range(6):
        persons = np.empty((1, people), dtype=object)
        for person in range(people):
            rng = np.random.default_rng(10 * camera + person)
            persons[0, person] = np.stack([rng.permutation(images) + 1 for _ in range(10)])
        cameras[camera, 0] = persons
    savemat(base / "exp/rand_perm_cam.mat", {"rand_perm_cam": cameras})


def write_regdb(root: Path, people: int = 6, images: int = 2) -> Path:
    """Half of the people train; other halves in other splits."""
    base = root / "RegDB"
    for folder, letter in (("Visible", "v"), ("Thermal", "t")):
        for pid in range(people):
            touch(base / folder / str(pid), (f"p_{letter}_{i}_{pid}.bmp" for i in range(images)))
    (base / "idx").mkdir()
    for split in range(10):
        order = np.random.default_rng(split).permutation(people)
        for part, pids in (("train", sorted(order[:people // 2])), ("test", sorted(order[people // 2:]))):
            for modality, letter in (("visible", "v"), ("thermal", "t")):
                (base / f"idx/{part}_{modality}_{split + 1}.txt").write_text("".join(
                    f"{modality.capitalize()}/{pid}/p_{letter}_{i}_{pid}.bmp {label}\n"
                    for label, pid in enumerate(pids) for i in range(images)))
    return root


def write_llcm(root: Path) -> Path:
    """People 0 and 1 train; 2 to 4 test, person 4 in a single camera that has both modalities."""
    base = root / "LLCM"
    (base / "idx").mkdir(parents=True)
    for folder, cameras in (("vis", (1, 2, 3)), ("nir", (1, 2))):
        lines = []
        for label, pid in enumerate((0, 1)):
            for camera in cameras:
                name = f"{pid:04d}_c{camera:02d}_s1_f{camera}_{folder}.jpg"
                touch(base / folder / f"{pid:04d}", [name])
                lines.append(f"{folder}/{pid:04d}/{name} {label}\n")
            for camera in cameras:
                for test in (2, 3) + ((4,) if camera == 1 else ()):
                    touch(base / f"test_{folder}/cam{camera}/{test:04d}", (f"{test:04d}_{i}.jpg" for i in range(2)))
        (base / f"idx/train_{folder}.txt").write_text("".join(lines))
    (base / "idx/test_id.txt").write_text("2,3,4\n")
    return root
