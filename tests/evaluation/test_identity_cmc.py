"""The CMC over people: SYSU-MM01's metric by hand with its wrong variants, and the slow twin."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from nas_reid.errors import DataError
from nas_reid.evaluation.distance import feature_distances
from nas_reid.evaluation.features import Embedded
from nas_reid.evaluation.identity_cmc import identity_cmc
from nas_reid.evaluation.protocol import JUNK_RULES, same_identity_and_camera, same_room
from nas_reid.evaluation.ranking import rank
from nas_reid.evaluation.retrieval import compare
from tests.oracles.identity_cmc import first_ranks
from tests.oracles.ranking import squared_distances

RULES = {"same_camera": lambda query, image: query == image,
         "same_room": lambda query, image: {query[1], image[1]} <= {1, 2} or query[1] == image[1]}


def embedded(people, positions) -> Embedded:
    """Images as points on a line; people as (pid, camera from 0)."""
    pids, camids = torch.tensor(people).T
    return Embedded(torch.tensor(positions, dtype=torch.float32)[:, None], pids, camids)


# facts/crossmodal.md, item 2: query person 1 in camera 3; people and cameras from rank 1.
QUERY = embedded([(1, 2)], [0])
GALLERY = embedded([(2, 1), (1, 1), (3, 0), (3, 3), (1, 3), (1, 4)], [1, 2, 3, 4, 5, 6])


def test_sysu_by_hand():
    ranking = compare(QUERY, GALLERY, distance="euclidean", junk="same_room", cmc="identities").ranking
    assert ranking.cmc.tolist() == [0, 1, 1]  # three people in the gallery
    assert ranking.mAP == pytest.approx(0.41667, abs=5e-6) and ranking.mAP == pytest.approx((1 / 3 + 2 / 4) / 2)
    assert ranking.mINP == 0.5


def test_wrong_variants_give_other_values():
    over_images = compare(QUERY, GALLERY, distance="euclidean", junk="same_room").ranking
    assert over_images.cmc.tolist()[:3] == [0, 0, 1]
    kept = compare(QUERY, GALLERY, distance="euclidean", junk="same_camera", cmc="identities").ranking
    assert kept.mAP == pytest.approx(0.46667, abs=5e-6)

    def same_identity_and_room(query_pids, query_camids, gallery_pids, gallery_camids):
        labels = query_pids, query_camids, gallery_pids, gallery_camids
        return same_room(*labels) & (query_pids == gallery_pids)

    half = rank(QUERY.features, GALLERY.features, query_pids=QUERY.pids, query_camids=QUERY.camids,
                gallery_pids=GALLERY.pids, gallery_camids=GALLERY.camids, junk=same_identity_and_room)
    assert half.mAP == pytest.approx(0.325)


def test_rooms():
    cameras = torch.arange(6)
    query = torch.tensor([[2], [5], [1]])
    junk = same_room(torch.ones_like(query), query, torch.full_like(cameras, 9), cameras)
    assert [row.nonzero().flatten().tolist() for row in junk] == [[1, 2], [5], [1, 2]]


@pytest.mark.parametrize("seed", range(30))
def test_equals_the_slow_twin(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    query, gallery = (rng.integers(-2, 3, (n, 2)).astype(np.float32) for n in (6, 12))  # many ties
    query_ids, gallery_ids = ([(int(p), int(c)) for p, c in rng.integers((low, 0), (5, 4), (n, 2))]
                              for low, n in ((1, 6), (-1, 12)))
    monkeypatch.setattr("nas_reid.evaluation.identity_cmc.rows_per_block", lambda *_, **__: 1 + seed % 6)
    rule = ("same_camera", "same_room")[seed % 2]
    ranks = [r for r in first_ranks(squared_distances(query, gallery), query_ids, gallery_ids, RULES[rule]) if r]
    (query_pids, query_camids), (gallery_pids, gallery_camids) = torch.tensor(query_ids).T, torch.tensor(gallery_ids).T
    labels = {"query_pids": query_pids, "query_camids": query_camids, "gallery_pids": gallery_pids,
              "gallery_camids": gallery_camids, "junk": JUNK_RULES[rule], "max_rank": 3}
    distances = feature_distances(torch.tensor(query), torch.tensor(gallery))
    if not ranks:
        with pytest.raises(DataError, match="has a match in the gallery"):
            identity_cmc(distances, **labels)
        return
    people = len({pid for pid, _ in gallery_ids} - {-1})
    expected = [np.mean([r <= k for r in ranks]) for k in range(1, min(3, people) + 1)]
    np.testing.assert_allclose(identity_cmc(distances, **labels), expected, atol=1e-12)


def test_one_image_per_person_is_the_usual_cmc():
    generator = torch.Generator().manual_seed(0)
    query, gallery = torch.randn(5, 3, generator=generator), torch.randn(8, 3, generator=generator)
    labels = SimpleNamespace(query_pids=torch.arange(5), query_camids=torch.zeros(5, dtype=torch.long),
                             gallery_pids=torch.arange(8), gallery_camids=torch.ones(8, dtype=torch.long))
    usual = rank(query, gallery, **vars(labels)).cmc
    assert torch.equal(identity_cmc(feature_distances(query, gallery), **vars(labels)), usual)
    assert JUNK_RULES["same_camera"] is same_identity_and_camera
