"""MSMT17, CUHK02, SenseReID and CUHK-SYSU on miniatures; options; training on everything."""

import shutil
from pathlib import Path

import pytest

from nas_reid.config.groups import DataConfig
from nas_reid.data.readers import READERS, msmt17, read_dataset
from nas_reid.data.readers.combineall import combine_all
from nas_reid.data.sample import Dataset, Sample
from nas_reid.data.source import open_source
from nas_reid.errors import ConfigError, DataError
from tests.data.miniatures import touch, write_msmt17


def labels(samples) -> list[tuple[int, int]]:
    return [(sample.pid, sample.camid) for sample in samples]


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("inside", ["", "msmt17", "msmt17/MSMT17_{}"])
def test_msmt17_numbers_the_people_of_the_test_after_those_who_train(tmp_path, version, inside):
    root = write_msmt17(tmp_path, version) / inside.format(version.upper())
    dataset = read_dataset("msmt17", root)
    assert labels(dataset.train) == [(1, 0), (1, 14), (2, 1)]
    assert labels(dataset.query) == [(3, 0), (5, 3)]
    assert labels(dataset.gallery) == [(3, 1), (4, 0), (5, 4)]
    assert dataset.query[0].path == f"{msmt17.VERSIONS[version][2]}/0000/0000_000_01_0303morning_0015_0.jpg"
    assert (dataset.root / dataset.query[0].path).is_file()
    assert len(dataset.warnings) == 3 and f"official MSMT17 {version} has 30,248 of 1,041" in dataset.warnings[0]


def test_msmt17_versions(tmp_path):
    write_msmt17(write_msmt17(tmp_path, "v1"), "v2")
    found = {version: read_dataset("msmt17", tmp_path, version=version).root.name for version in (None, "v1", "v2")}
    assert found == {None: "MSMT17_V2", "v1": "MSMT17_V1", "v2": "MSMT17_V2"}
    shutil.rmtree(tmp_path / "msmt17/MSMT17_V2")
    with pytest.raises(DataError, match=r"(?s)expects mask_train_v2, mask_test_v2, list_train.txt.*found: .*msmt17"):
        read_dataset("msmt17", tmp_path, version="v2")
    with pytest.raises(ConfigError, match=r"data\.options\.version=3 is unknown; choose one of null, v2, v1"):
        read_dataset("msmt17", tmp_path, version=3)


def test_msmt17_with_val_and_combined(tmp_path):
    write_msmt17(tmp_path)
    dataset = read_dataset("msmt17", tmp_path, with_val=True)
    assert labels(dataset.train) == [(1, 0), (1, 14), (2, 1), (2, 2)]
    everything = read_dataset("msmt17", tmp_path, combineall=True)
    assert sorted(everything.train) == sorted(dataset.train + dataset.query + dataset.gallery)
    assert {s.pid for s in everything.train} == {1, 2, 3, 4, 5} and everything.query == everything.gallery == ()


def test_msmt17_at_its_official_size(tmp_path, monkeypatch):
    """facts/torchreid.md, item 10: combined, 4,101 people on 126,441 images."""
    monkeypatch.setattr(msmt17, "require_images", lambda *_, **__: None)  # lists alone: the images would take minutes
    base = touch(tmp_path, [])
    for folder in msmt17.VERSIONS["v2"][1:]:
        (base / folder).mkdir()
    for name, images, people in (("train", 30_248, 1_041), ("val", 2_373, 1_041), ("query", 11_659, 3_060),
                                 ("gallery", 82_161, 3_060)):
        (base / f"list_{name}.txt").write_text("".join(
            f"{i % people:04d}/{i % people:04d}_{name}{i:05d}_{1 + i % 15:02d}_x.jpg {i % people}\n"
            for i in range(images)))
    dataset = read_dataset("msmt17", base, with_val=True)
    assert dataset.warnings == () and len(dataset.train) == 32_621
    everything = combine_all(dataset)
    assert (len({s.pid for s in everything.train}), len(everything.train)) == (4_101, 126_441)


def test_msmt17_lists_whose_images_moved(tmp_path):
    base = write_msmt17(tmp_path) / "msmt17/MSMT17_V2"
    (base / "mask_test_v2/0001/0001_000_01_0303morning_0015_0.jpg").unlink()
    with pytest.raises(DataError, match=r"list_gallery.txt lists 3 images, of which 1 are not .*: mask_test_v2/0001"):
        read_dataset("msmt17", tmp_path)
    shutil.rmtree(base / "mask_train_v2/0000")
    with pytest.raises(DataError, match=r"list_train.txt lists 3 images, of which 2 are not below"):
        read_dataset("msmt17", tmp_path)


@pytest.mark.parametrize(("text", "message"), [
    ("0000/0000_000_01_x.jpg\n", r"list_query.txt, line 1: expected a path and a pid"),
    ("0000/0000_000_01_x.jpg 0\n0000.jpg 0\n", r"line 2: expected .* found '0000.jpg 0'"),
    ("\n", r"list_query.txt is empty"),
])
def test_msmt17_lists_of_another_format(tmp_path, text, message):
    base = write_msmt17(tmp_path) / "msmt17/MSMT17_V2"
    (base / "list_query.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read_dataset("msmt17", tmp_path)


def write_cuhk02(root: Path) -> Path:
    for pair in range(1, 6):
        for camera in (1, 2):
            touch(root / f"cuhk02/Dataset/P{pair}/cam{camera}", [f"{n:03d}_0{camera}.png" for n in (1, 12)])
    return root


def test_cuhk02(tmp_path):
    dataset = read_dataset("cuhk02", write_cuhk02(tmp_path))
    assert labels(dataset.train)[:4] == [(10_001, 0), (10_012, 0), (10_001, 1), (10_012, 1)]
    assert {s.pid for s in dataset.train} == {pair * 10_000 + n for pair in range(1, 5) for n in (1, 12)}
    assert labels(dataset.query) == [(50_001, 8), (50_012, 8)] and labels(dataset.gallery) == [(50_001, 9), (50_012, 9)]
    assert "train has 16 images of 8 identities; official CUHK02 has 1,577 identities" in dataset.warnings[0]
    shutil.rmtree(tmp_path / "cuhk02/Dataset/P3/cam2")
    with pytest.raises(DataError, match=r"cannot list .*P3/cam2: No such file"):
        read_dataset("cuhk02", tmp_path)


def test_sensereid_is_for_testing_only(tmp_path):
    touch(tmp_path / "SenseReID/test_probe", ["00000_0.jpg", "00002_1.jpg"])
    touch(tmp_path / "SenseReID/test_gallery", ["00000_1.jpg", "00001_0.jpg", "00002_0.jpg", "._00002_0.jpg"])
    dataset = read_dataset("sensereid", tmp_path)
    assert dataset.train == () and labels(dataset.query) == [(1, 0), (3, 1)]
    assert labels(dataset.gallery) == [(1, 1), (2, 0), (3, 0)]
    with pytest.raises(DataError, match=r"sensereid in .* has no training images: it is for testing only"):
        source("sensereid", tmp_path).train_store()


def test_cuhksysu_is_for_training_only(tmp_path):
    touch(tmp_path / "cuhksysu/cropped_images", ["p11422_s16929_1.jpg", "p2_s1_1.jpg", "p2_s9_1.jpg"])
    dataset = read_dataset("cuhksysu", tmp_path)
    assert labels(dataset.train) == [(11_423, 0), (3, 0), (3, 0)] and dataset.query == dataset.gallery == ()
    with pytest.raises(DataError, match=r"cuhksysu in .* has neither query nor gallery"):
        source("cuhksysu", tmp_path).test_stores()
    touch(tmp_path / "cuhksysu/cropped_images", ["s1_p2.jpg"])
    with pytest.raises(DataError, match=r"1 images are not named like p11422_s16929_1.jpg: cropped_images/s1_p2.jpg"):
        read_dataset("cuhksysu", tmp_path)


def source(reader: str, root: Path, **options):
    return open_source(DataConfig(name=reader, reader=reader, root=str(root), synthetic=None, image_size=[8, 4],
                                  cache=str(root / "cache"), workers=1, on_corrupt="error", options=options))


def test_a_folder_without_images(tmp_path):
    (tmp_path / "cropped_images").mkdir()
    with pytest.raises(DataError, match=r"cropped_images holds no image; expected images named like p11422"):
        read_dataset("cuhksysu", tmp_path)


@pytest.mark.parametrize("name", sorted(READERS))
def test_every_reader_names_its_options(tmp_path, name):
    with pytest.raises(ConfigError, match=rf"reader '{name}' has no option spilt; data.options may hold: .*combineall"):
        read_dataset(name, tmp_path, spilt=3)
    with pytest.raises(ConfigError, match=r"data\.options\.combineall=maybe is unknown; choose one of False, True"):
        read_dataset(name, tmp_path, combineall="maybe")


@pytest.mark.parametrize("name", sorted(set(READERS) - {"table"}))  # which expects a file
def test_every_reader_says_what_it_expects(tmp_path, name):
    touch(tmp_path / "holidays", ["beach.jpg"])
    with pytest.raises(DataError, match=r"(?s)expect.*found: .* with 1 entries: holidays.*set data.root="):
        read_dataset(name, tmp_path)
    with pytest.raises(DataError, match=r"is not a folder"):
        read_dataset(name, tmp_path / "absent")


def test_options_reach_the_reader_through_the_source(tmp_path):
    write_msmt17(tmp_path)
    assert len(source("msmt17", tmp_path, with_val=True).dataset.train) == 4
    with pytest.raises(ConfigError, match=r"has no option split; data.options may hold: combineall, version, with_val"):
        source("msmt17", tmp_path, split=1)


def test_market1501_combined():
    """facts/torchreid.md, item 10: 1,501 people on 29,419 images; distractors are nobody."""
    def part(count: int, people: int, first: int, folder: str) -> tuple[Sample, ...]:
        return tuple(Sample(f"{folder}/{i}", first + i % people, i % 6) for i in range(count))

    distractors = tuple(Sample(f"d/{i}", 0, 0) for i in range(2_798))
    dataset = combine_all(Dataset("market1501", Path("."), part(12_936, 751, 751, "a"), part(3_368, 750, 1, "b"),
                                  distractors + part(13_115, 750, 1, "c")))
    assert (len({s.pid for s in dataset.train}), len(dataset.train)) == (1_501, 29_419)
    assert dataset.query == dataset.gallery == ()
