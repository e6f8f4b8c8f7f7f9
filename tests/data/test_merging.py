"""Several data sets as one: nobody and no camera in common, and every image still where it is."""

from dataclasses import replace
from pathlib import Path

import pytest

from nas_reid.data.merging import merge_training
from nas_reid.data.sample import Dataset, Sample
from nas_reid.errors import ConfigError, DataError


def dataset(root: Path, name: str, pids: tuple[int, ...] = (2, 7), cameras: int = 3) -> Dataset:
    train = [Sample(f"train/{pid}_{cam}.jpg", pid, cam, cam % 2) for pid in pids for cam in range(cameras)]
    return Dataset(name, root / name, tuple(train), (Sample("query/1.jpg", 90, 0),), (Sample("gallery/1.jpg", 90, 1),))


def test_identities_and_cameras_are_apart_and_files_are_found(tmp_path: Path) -> None:
    parts = [dataset(tmp_path, "one"), dataset(tmp_path / "deep", "two", pids=(1, 2, 3)), dataset(tmp_path, "three")]
    merged = merge_training(parts)
    assert (merged.name, merged.root, merged.query, merged.gallery) == ("one+two+three", tmp_path.resolve(), (), ())
    assert list(merged.train) == sorted(merged.train) and len(merged.train) == 6 + 9 + 6
    of = {name: [s for s in merged.train if s.path.startswith(name)] for name in ("one", "deep", "three")}
    assert {sample.pid for sample in of["one"]} == {2, 7} and {sample.camid for sample in of["one"]} == {0, 1, 2}
    assert {sample.pid for sample in of["deep"]} == {9, 10, 11} and {s.camid for s in of["deep"]} == {3, 4, 5}
    assert {sample.pid for sample in of["three"]} == {14, 19} and {s.camid for s in of["three"]} == {6, 7, 8}
    back = {replace(s, path=s.path.removeprefix("deep/two/"), pid=s.pid - 8, camid=s.camid - 3) for s in of["deep"]}
    assert back == set(parts[1].train)  # modality included


def test_one_data_set_keeps_its_root_and_so_its_cache(tmp_path: Path) -> None:
    one = dataset(tmp_path, "one")
    merged = merge_training([one])
    assert (merged.root, merged.train) == (one.root.resolve(), one.train)


def test_a_set_inside_another_and_the_same_set_twice(tmp_path: Path) -> None:
    outer, inner = dataset(tmp_path, "one"), dataset(tmp_path / "one", "two")
    assert {sample.path.partition("/")[0] for sample in merge_training([outer, inner]).train} == {"train", "two"}
    with pytest.raises(ConfigError, match="have images in common; name each of the sources once"):
        merge_training([outer, replace(outer, name="again")])


def test_a_set_without_training_images_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"two in .*two has no training images; it can only be a target"):
        merge_training([dataset(tmp_path, "one"), replace(dataset(tmp_path, "two"), train=())])


def test_identities_for_validation_stay_known(tmp_path: Path) -> None:
    one, two = dataset(tmp_path, "one"), dataset(tmp_path, "two", pids=(1, 2, 3))
    official = [replace(part, validation_pids=frozenset({pid})) for part, pid in ((one, 7), (two, 2))]
    assert merge_training(official).validation_pids == {7, 8 + 2}
