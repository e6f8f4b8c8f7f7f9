import numpy as np
import pytest
import torch

from nas_reid.errors import ConfigError
from nas_reid.evaluation import query_expansion
from nas_reid.evaluation.features import Embedded
from nas_reid.evaluation.protocol import same_identity_and_camera
from nas_reid.evaluation.query_expansion import QueryExpansion, TransductiveExpansion, expanded_union
from tests.oracles.ranking import cosine_distances, ranked_list, squared_distances

QUERY, GALLERY = torch.tensor([[1., 0]]), torch.tensor([[.8, .6], [.6, .8], [0, 1], [-1, 0]])
UNION = torch.cat([QUERY, GALLERY])


def embedded(features, pids, camids) -> Embedded:
    return Embedded(features, torch.as_tensor(pids), torch.as_tensor(camids))


def distances(method, query, gallery, distance="cosine") -> torch.Tensor:
    blocks = method.distances(query, gallery, distance=distance, junk=same_identity_and_camera)
    return blocks.block(0, len(query))


@pytest.mark.parametrize(("options", "row", "value"), [
    ({"k": 2}, 0, (0.704800, 0.153600)), ({"k": 2}, 1, (0.665421, 0.653894)), ({"k": 2}, 4, (-0.5, 0)),
    ({"k": 3}, 0, (0.513067, 0.160000)), ({"k": 3}, 4, (-0.376533, -0.057600)),
    ({"k": 2, "rounds": 2}, 0, (0.553960, 0.274868)), ({"k": 2, "alpha": 0.0}, 0, (0.9, 0.3)),
])
def test_published_code_on_a_fixed_input(options, row, value):
    """facts/fastreid.md, 9.7."""
    expanded = expanded_union(UNION, **{"alpha": 3.0, "rounds": 1, **options})
    assert expanded[row].tolist() == pytest.approx(value, abs=1e-6)


def test_published_distances():
    """facts/fastreid.md, 9.7; and Eq. 7 with two neighbours."""
    sides = embedded(QUERY, [1], [0]), embedded(GALLERY, [1, 2, 3, 4], [1, 1, 1, 1])
    assert distances(TransductiveExpansion(k=2), *sides)[0].tolist() == pytest.approx(
        [0.153853, 0.163294, 0.583895, 1.977066], abs=1e-6)
    new = np.array([[0.8, 1.4 / 3]])
    np.testing.assert_allclose(distances(QueryExpansion(k=2), *sides), cosine_distances(new, GALLERY.numpy()),
                               atol=1e-6)
    np.testing.assert_allclose(distances(QueryExpansion(k=2), *sides, distance="euclidean"),
                               squared_distances(new, GALLERY.numpy()) ** 0.5, atol=1e-6)


def test_a_negative_cosine_repels_for_every_alpha():
    for alpha in (0.5, 2.0, 2.5):
        expanded = expanded_union(UNION, k=3, alpha=alpha, rounds=1)
        assert expanded.isfinite().all() and expanded[4, 0] < -1 / 3  # pushed away by [.6, .8]


@pytest.mark.parametrize("seed", range(3))
def test_the_papers_form_equals_a_loop(seed, monkeypatch):
    """With junk, which is no neighbour, and lists shorter than k."""
    rng = np.random.default_rng(seed)
    query, gallery = (rng.normal(size=(n, 3)).astype(np.float32) for n in (6, 8))
    query_ids, gallery_ids = rng.integers((1, 0), (3, 2), (6, 2)), rng.integers((1, 0), (3, 2), (8, 2))
    expected = []
    for feature, row, person in zip(query, squared_distances(query, gallery), query_ids.tolist(), strict=True):
        found = ranked_list(row, tuple(person), [tuple(other) for other in gallery_ids.tolist()])[:7]
        expected.append(np.mean([feature, *gallery[found]], axis=0))
    monkeypatch.setattr(query_expansion, "BLOCK_MEMORY", 1)
    sides = [embedded(torch.tensor(features), *ids.T)
             for features, ids in ((query, query_ids), (gallery, gallery_ids))]
    np.testing.assert_allclose(distances(QueryExpansion(k=7), *sides, distance="squared_euclidean"),
                               squared_distances(np.array(expected), gallery), atol=1e-5)


@pytest.mark.parametrize("rounds", [1, 2])
def test_the_transductive_form_equals_a_loop(rounds, monkeypatch):
    monkeypatch.setattr(query_expansion, "BLOCK_MEMORY", 1)
    features = np.random.default_rng(0).normal(size=(20, 4))
    ours = expanded_union(torch.tensor(features, dtype=torch.float32), k=6, alpha=3.0, rounds=rounds)
    for _ in range(rounds):
        cosine = 1 - cosine_distances(features, features)
        order = np.argsort(-cosine, axis=1, kind="stable")[:, :6]
        features = np.array([np.mean([cosine[i, j] ** 3 * features[j] for j in order[i]], axis=0) for i in range(20)])
    np.testing.assert_allclose(ours, features, atol=1e-5)


def test_what_does_not_fit_is_refused():
    for method in (QueryExpansion(k=5), TransductiveExpansion(k=5)):
        with pytest.raises(ConfigError, match=r"expansion\.k=5 is larger than the gallery of 4 images; choose at most"):
            method.check(4)
    QueryExpansion(k=4).check(4)
    for kind, values in ((QueryExpansion, {"k": 0}), (TransductiveExpansion, {"k": 0}),
                         (TransductiveExpansion, {"rounds": 0}), (TransductiveExpansion, {"alpha": -1.0})):
        with pytest.raises(ConfigError, match=r"evaluation\..*expansion"):
            kind(**values)
