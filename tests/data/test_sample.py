"""An image has one identity and one camera, whoever lists it."""

from pathlib import Path

import pytest

from nas_reid.data.merging import merge_training
from nas_reid.data.sample import Dataset, Sample, require_once
from nas_reid.data.store import build_store
from nas_reid.errors import DataError

ONE, TWO, OTHER = Sample("a.jpg", 100, 0), Sample("a.jpg", 999, 4), Sample("b.jpg", 100, 0)


def dataset(**lists: tuple[Sample, ...]) -> Dataset:
    return Dataset("toy", Path("root"), **{"train": (), "query": (), "gallery": ()} | lists)


@pytest.mark.parametrize("name", ["training", "query", "gallery"])
@pytest.mark.parametrize("again", [TWO, ONE])
def test_an_image_twice_in_a_list_is_refused_with_both_entries(name: str, again: Sample) -> None:
    lists = {name.replace("training", "train"): (ONE, OTHER, again)}
    with pytest.raises(DataError, match=rf"the {name} list of toy in root: 1 images are listed twice, such as a\.jpg,"
                                        rf" as pid 100 from camera 1 and as pid {again.pid} from"):
        dataset(**lists)


def test_lists_may_share_images_but_not_contradict_each_other() -> None:
    assert dataset(query=(ONE, OTHER), gallery=(ONE, OTHER)).query == (ONE, OTHER)
    with pytest.raises(DataError, match=r"the lists of toy in root: 1 images are listed twice, such as a\.jpg"):
        dataset(train=(TWO,), gallery=(ONE,))


def test_the_store_and_a_merge_of_one_data_set_say_the_same(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"2 images are listed twice, such as a\.jpg, as pid 100 .* pid 999"):
        build_store(tmp_path, [ONE, OTHER, TWO, OTHER], image_size=(4, 2), cache_dir=tmp_path, workers=1,
                    on_corrupt="error")
    with pytest.raises(DataError, match="listed twice"):  # not "two of the data sets": there is one
        merge_training([dataset(train=(ONE, TWO))])
    require_once([ONE, OTHER], where="here")
