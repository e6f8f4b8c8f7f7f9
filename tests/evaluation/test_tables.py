import csv

import numpy as np
import pytest
import torch

from nas_reid.data.naming import Naming
from nas_reid.evaluation.features import Embedded
from nas_reid.evaluation.retrieval import compare
from nas_reid.evaluation.tables import camera_pair_rows, camera_rows, query_rows, write_table
from tests.oracles.ranking import score, squared_distances


def embedded(seed: int, count: int, lowest_pid: int) -> Embedded:
    rng = np.random.default_rng(seed)
    return Embedded(torch.tensor(np.round(3 * rng.normal(size=(count, 2))), dtype=torch.float32),
                    torch.tensor(rng.integers(lowest_pid, 6, count)), torch.tensor(rng.integers(0, 3, count)))


@pytest.fixture(scope="module")
def lists() -> tuple[Embedded, Embedded]:
    query, gallery = embedded(0, 30, 1), embedded(1, 40, -1)
    query.pids[4] = 99  # nobody to find
    return query, gallery


def expected(query: Embedded, gallery: Embedded) -> list[dict | None]:
    return score(squared_distances(query.features.numpy(), gallery.features.numpy()),
                 *(list(zip(side.pids.tolist(), side.camids.tolist(), strict=True)) for side in (query, gallery)))


def test_a_row_for_every_query(lists):
    query, gallery = lists
    result = compare(query, gallery, distance="euclidean")
    rows = list(query_rows(result.ranking, query, [f"{i}.jpg" for i in range(30)], {"other": result.ranking}))
    assert [row["path"] for row in rows] == [f"{i}.jpg" for i in range(30)]
    assert rows[4] == {"path": "4.jpg", "pid": 99, "camera": int(query.camids[4]) + 1, "first_match": None, "AP": None,
                       "INP": None, "AP_other": None}
    for row, one in zip(rows, expected(query, gallery), strict=True):
        if one:
            assert (row["AP"], row["INP"], row["first_match"]) == pytest.approx((one["ap"], one["inp"], one["first"]))
            assert row["AP_other"] == row["AP"]


def means(scores: list[dict | None]) -> dict:
    found = [one for one in scores if one]
    return {"queries": len(scores), "skipped": len(scores) - len(found),
            "rank1": np.mean([one["first"] == 1 for one in found]), "mAP": np.mean([one["ap"] for one in found]),
            "mINP": np.mean([one["inp"] for one in found])}


def test_a_row_for_every_camera(lists):
    query, gallery = lists
    rows = list(camera_rows(compare(query, gallery, distance="euclidean").ranking, query))
    assert [(row["query_camera"], row["gallery_camera"]) for row in rows] == [(1, "all"), (2, "all"), (3, "all")]
    scores = expected(query, gallery)
    for row in rows:
        of_camera = [one for one, camid in zip(scores, query.camids.tolist(), strict=True)
                     if camid + 1 == row["query_camera"]]
        assert row == pytest.approx({**row, **means(of_camera)})
    assert sum(row["queries"] for row in rows) == 30


def test_a_row_for_every_pair_of_cameras_with_a_match(lists):
    query, gallery = lists
    rows = list(camera_pair_rows(compare(query, gallery, distance="euclidean"), distance="euclidean",
                                 naming=Naming(first_camera=0)))
    pairs = [(row["query_camera"], row["gallery_camera"]) for row in rows]
    assert pairs == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]  # in its own camera a query has only junk
    for row in rows:
        part = query[query.camids == row["query_camera"]], gallery[gallery.camids == row["gallery_camera"]]
        assert row == pytest.approx({**row, **means(expected(*part))})


def test_people_and_cameras_have_the_names_of_the_data_set(lists):
    query, result = lists[0], compare(*lists, distance="euclidean")
    naming = Naming(people={99: "\u738b\u4f1f"}, cameras={1: "door"})
    [row] = [row for row in query_rows(result.ranking, query, ["a"] * 30, {}, naming=naming) if row["pid"] == 99]
    assert row["person"] == "\u738b\u4f1f" and list(row)[:4] == ["path", "pid", "person", "camera"]
    assert [row["query_camera"] for row in camera_rows(result.ranking, query, naming=naming)] == ["door", 2, 3]
    pairs = list(camera_pair_rows(result, distance="euclidean", naming=naming))
    assert (pairs[0]["query_camera"], pairs[0]["gallery_camera"]) == ("door", 2)


def test_a_camera_for_every_image_is_no_table(lists):
    query, gallery = (Embedded(side.features, side.pids, torch.arange(len(side)) + 100 * i)
                      for i, side in enumerate(lists))
    assert not list(camera_pair_rows(compare(query, gallery, distance="euclidean"), distance="euclidean"))


def test_the_file(tmp_path):
    write_table(tmp_path / "a" / "t.csv", [{"path": 'b, "c".jpg', "AP": 0.1 + 0.2}, {"path": "ü", "AP": None}])
    with (tmp_path / "a" / "t.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{"path": 'b, "c".jpg', "AP": repr(0.1 + 0.2)}, {"path": "ü", "AP": ""}]
