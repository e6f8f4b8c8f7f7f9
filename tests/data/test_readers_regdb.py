"""RegDB: its ten splits in both directions at full size, and what goes wrong."""

import pytest

from nas_reid.data.readers import read_dataset
from nas_reid.data.sample import Sample
from nas_reid.errors import ConfigError, DataError
from tests.data.cross_modal_miniatures import write_regdb


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_regdb(tmp_path_factory.mktemp("regdb"))


def pids(samples) -> set[int]:
    return {sample.pid for sample in samples}


def test_official_bookkeeping(tmp_path):
    """facts/crossmodal.md, item 4: 206 / 206 people and 2,060 images a list."""
    dataset = read_dataset("regdb", write_regdb(tmp_path, people=412, images=10), split=9)
    assert dataset.warnings == () and len(pids(dataset.train)) == len(pids(dataset.query)) == 206
    assert not pids(dataset.train) & pids(dataset.query) and dataset.query == dataset.gallery
    assert [sum(s.modality == modality for s in dataset.train) for modality in (0, 1)] == [2_060, 2_060]
    assert [(len(trial.query), len(trial.gallery)) for trial in dataset.trials] == [(2_060, 2_060)] * 2


def test_splits_and_directions(root):
    splits = [read_dataset("regdb", root, split=split) for split in range(10)]
    for split, dataset in enumerate(splits):
        assert pids(dataset.train) | pids(dataset.query) == set(range(1, 7))
        assert not pids(dataset.train) & pids(dataset.query)
        forth, back = dataset.trials
        assert (forth.name, back.name) == ("visible to thermal", "thermal to visible")
        assert forth.query == back.gallery and forth.gallery == back.query and forth.cmc == "images"
        assert {dataset.query[i].modality for i in forth.query} == {0}
        assert {dataset.gallery[i].modality for i in forth.gallery} == {1}
        listed = (dataset.root / f"idx/test_thermal_{split + 1}.txt").read_text().split()[::2]
        assert sorted(dataset.gallery[i].path for i in forth.gallery) == sorted(listed)
    assert len({frozenset(pids(dataset.train)) for dataset in splits}) > 1
    assert splits[0] == read_dataset("regdb", root) and "official RegDB" in splits[0].warnings[0]
    assert Sample("Thermal/0/p_t_0_0.bmp", 1, 1, 1) in splits[0].train + splits[0].query


def test_splits_are_numbered_from_0_to_9(root):
    with pytest.raises(ConfigError, match=r"data\.options\.split=10 .* whole number from 0 to 9"):
        read_dataset("regdb", root, split=10)


@pytest.mark.parametrize(("name", "change", "message"), [
    ("train_visible_1", lambda text: text + "Visible/99/p_v_0_99.bmp 7\n",
     r"train_visible_1\.txt lists 7 images, of which 1 are not below .*Visible/99/p_v_0_99\.bmp"),
    ("test_thermal_1", lambda text: "", r"test_thermal_1\.txt is empty"),
    ("test_thermal_1", lambda text: text.replace(" ", "\t\t x "), r"test_thermal_1\.txt, line 1: expected a path"),
    ("train_thermal_1", lambda text: text.replace(" 0\n", " 1\n", 1), r"label 1 of .* does not fit its folder|label 0"),
    ("train_thermal_1", lambda text: text + text.splitlines()[0] + "\n",
     r"train_thermal_1\.txt: lines 1 and \d+ list Thermal/.* twice, as"),
])
def test_bad_lists(tmp_path, name, change, message):
    path = write_regdb(tmp_path) / f"RegDB/idx/{name}.txt"
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=message):
        read_dataset("regdb", tmp_path)


def test_people_on_both_sides(tmp_path):
    idx = write_regdb(tmp_path) / "RegDB/idx"
    for modality in ("visible", "thermal"):
        (idx / f"test_{modality}_1.txt").write_text((idx / f"train_{modality}_1.txt").read_text())
    with pytest.raises(DataError, match="3 people are in the lists for training and for testing of split 1"):
        read_dataset("regdb", tmp_path)


def test_a_missing_split(tmp_path):
    (write_regdb(tmp_path) / "RegDB/idx/test_visible_4.txt").unlink()
    with pytest.raises(DataError, match=r"expects Visible, Thermal, idx/train_visible_4\.txt"):
        read_dataset("regdb", tmp_path, split=3)
