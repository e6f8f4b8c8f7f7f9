"""SYSU-MM01: the official numbers of its protocol, galleries, identities for validation, and what goes wrong."""

import random

import pytest

from nas_reid.data.readers import read_dataset
from nas_reid.data.readers.sysu_mm01 import sysu_trials
from nas_reid.data.sample import Sample
from nas_reid.errors import ConfigError, DataError
from tests.data.cross_modal_miniatures import write_permutations, write_sysu

NAMES = ["all-search single-shot", "all-search multi-shot", "indoor-search single-shot", "indoor-search multi-shot"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_sysu(tmp_path_factory.mktemp("sysu"))


def pids(samples) -> set[int]:
    return {sample.pid for sample in samples}


def official_test_lists() -> tuple[list[Sample], list[Sample]]:
    """Infrared and visible test images with the published totals of each camera and its people.

    facts/crossmodal.md, 2.4: images / people 1,374/56, 1,565/56, 1,883/93, 1,918/94, 1,918/95, 1,920/96; the 56 people
    who are indoors have 1,088 images in camera 3 and 1,120 in camera 6.
    """
    def spread(total: int, people: list[int]) -> dict[int, int]:
        each, more = divmod(total, len(people))
        return {pid: each + (place < more) for place, pid in enumerate(people)}

    indoor, others, everyone = list(range(1, 57)), list(range(57, 97)), list(range(1, 97))
    cameras = {0: spread(1_374, indoor), 1: spread(1_565, indoor), 3: spread(1_918, everyone[:94]),
               4: spread(1_918, everyone[1:]), 2: spread(1_088, indoor[3:]) | spread(795, others),
               5: spread(1_120, indoor) | spread(800, others)}
    samples = [Sample(f"cam{camid + 1}/{pid:04d}/{i:04d}.jpg", pid, camid, int(camid in (2, 5)))
               for camid, counts in cameras.items() for pid, count in counts.items() for i in range(1, count + 1)]
    assert min(count for counts in cameras.values() for count in counts.values()) >= 13
    return tuple(sorted(s for s in samples if s.modality == modality) for modality in (1, 0))


def test_official_bookkeeping():
    """facts/crossmodal.md, item 1."""
    query, gallery = official_test_lists()
    trials = list(sysu_trials(query, gallery))
    assert len(query) == 3_803 and len(gallery) == 6_775 and len(pids(query)) == 96
    sizes = {name: {len(trial.gallery) for trial in trials if trial.name == name} for name in NAMES}
    assert sizes == dict(zip(NAMES, ({301}, {3_010}, {112}, {1_120}), strict=True))
    assert all(len(trial.query) == 3_803 and trial.junk == "same_room" and trial.cmc == "identities"
               for trial in trials)
    assert len(trials) == 40 and list(dict.fromkeys(trial.name for trial in trials)) == NAMES
    for name, seen_from_cam3, valid in ((NAMES[0], 245, 3_803), (NAMES[2], 56, 2_208)):
        shown = [gallery[i] for i in next(trial for trial in trials if trial.name == name).gallery]
        assert sum(sample.camid != 1 for sample in shown) == seen_from_cam3
        to_cam3, to_cam6 = pids(s for s in shown if s.camid != 1), pids(shown)
        assert sum(s.pid in (to_cam3 if s.camid == 2 else to_cam6) for s in query) == valid
    assert len(pids(gallery[i] for i in trials[20].gallery)) == 56


def test_lists(root):
    dataset = read_dataset("sysu_mm01", root)
    assert pids(dataset.train) == {1, 2, 3, 4, 5} and dataset.validation_pids == {4, 5}
    assert len(dataset.train) == 5 * 6 * 3 and {s.camid for s in dataset.train if s.modality} == {2, 5}
    assert pids(dataset.query) == pids(dataset.gallery) == {6, 7, 8}
    assert {s.camid for s in dataset.query} == {2, 5} and {s.camid for s in dataset.gallery} == {0, 1, 3, 4}
    assert dataset.train[0] == Sample("cam1/0001/0001.jpg", 1, 0, 0)
    assert len(dataset.warnings) == 3 and "official SYSU-MM01 has 34,167 of 395" in dataset.warnings[0]
    for part in (dataset.train, dataset.query, dataset.gallery):
        assert list(part) == sorted(set(part)) and all((dataset.root / s.path).is_file() for s in part)
    smaller = read_dataset("sysu_mm01", root, with_val=False)
    assert pids(smaller.train) == {1, 2, 3} and not smaller.validation_pids and smaller.query == dataset.query
    assert read_dataset("sysu_mm01", dataset.root) == dataset
    everyone = read_dataset("sysu_mm01", root, combineall=True)
    assert pids(everyone.train) == set(range(1, 9)) and everyone.trials == everyone.query == ()


def test_a_drawn_folder_is_not_compared_with_the_official_one(tmp_path):
    base = write_sysu(tmp_path) / "SYSU-MM01"
    (base / "synthetic.json").touch()
    assert read_dataset("sysu_mm01", base).warnings == ()


def test_drawn_galleries_are_those_of_the_public_implementation(root):
    dataset = read_dataset("sysu_mm01", root)
    for name, cameras, shots in (("all-search", (1, 2, 4, 5), 1), ("indoor-search", (1, 2), 1),
                                 ("all-search", (1, 2, 4, 5), 10)):
        trials = [t for t in dataset.trials if t.name == f"{name} {'single' if shots == 1 else 'multi'}-shot"]
        for seed, trial in enumerate(trials):
            random.seed(seed)
            expected = []
            for pid in (6, 7, 8):
                for camera in cameras:
                    files = sorted(path.relative_to(dataset.root).as_posix()
                                   for path in (dataset.root / f"cam{camera}/{pid:04d}").glob("*.jpg"))
                    if files:
                        expected += [random.choice(files)] if shots == 1 else random.sample(files, min(shots, 3))
            assert sorted(dataset.gallery[i].path for i in trial.gallery) == sorted(expected)
        assert len(trials) == 10 and (shots > 1 or len({trial.gallery for trial in trials}) > 1)


def test_official_permutations(root, tmp_path):
    base = write_sysu(tmp_path) / "SYSU-MM01"
    with pytest.raises(DataError, match=r"rand_perm_cam\.mat is not the MATLAB file"):
        read_dataset("sysu_mm01", base, galleries="official")
    write_permutations(base)
    official = read_dataset("sysu_mm01", base, galleries="official")
    from scipy.io import loadmat  # as the authors' files are read elsewhere
    cells = loadmat(base / "exp/rand_perm_cam.mat")["rand_perm_cam"]
    for trial in (0, 7):
        chosen = [official.gallery[i].path for i in official.trials[trial].gallery]
        assert chosen == sorted(f"cam{camera}/{pid:04d}/{cells[camera - 1][0].squeeze()[pid - 1][trial][0]:04d}.jpg"
                                for camera in (1, 2, 4, 5) for pid in (6, 7, 8) if camera > 2 or pid < 8)
    assert len(official.trials[10].gallery) == len(official.gallery)
    (base / "cam4/0006/0002.jpg").rename(base / "cam4/0006/0009.jpg")
    with pytest.raises(DataError, match=r"does not fit the images of person 6 in cam4.*galleries=seeded needs none"):
        read_dataset("sysu_mm01", base, galleries="official")


def test_options(root):
    with pytest.raises(ConfigError, match=r"galleries=mine is unknown; choose one of seeded, official"):
        read_dataset("sysu_mm01", root, galleries="mine")
    with pytest.raises(ConfigError, match=r"reader 'sysu_mm01' has no option split"):
        read_dataset("sysu_mm01", root, split=1)


@pytest.mark.parametrize(("name", "text", "message"), [
    ("train", "1,2,3,99,100", r"train_id\.txt names 5 identities, of which 2 have no image in cam1 to cam6: 99, 100"),
    ("test", "", r"test_id\.txt must hold identities separated by commas, such as '1,2,4'; found ''"),
    ("val", "4;5", r"val_id\.txt must hold identities separated by commas.*found '4;5'"),
    ("val", "3,4", r"be in one of exp/train_id\.txt, val_id\.txt and test_id\.txt; check 3"),
])
def test_bad_lists(tmp_path, name, text, message):
    base = write_sysu(tmp_path) / "SYSU-MM01"
    (base / f"exp/{name}_id.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read_dataset("sysu_mm01", tmp_path)


def test_missing_cameras_and_lists(tmp_path):
    base = write_sysu(tmp_path) / "SYSU-MM01"
    (base / "exp/val_id.txt").unlink()
    with pytest.raises(DataError, match=r"cannot read .*val_id\.txt: No such file"):
        read_dataset("sysu_mm01", tmp_path)
    (base / "cam3").rename(base / "camera3")
    with pytest.raises(DataError, match=r"(?s)expects cam1, cam2, .*, cam6, exp in data\.root.*7 entries"):
        read_dataset("sysu_mm01", base)
