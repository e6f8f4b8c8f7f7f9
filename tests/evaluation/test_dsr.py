import numpy as np
import pytest
import torch

from nas_reid.errors import ConfigError
from nas_reid.evaluation.dsr import SpatialReconstruction, best_match_distances, cells_of, reconstruction_distances
from nas_reid.evaluation.features import Embedded
from nas_reid.evaluation.protocol import same_identity_and_camera
from nas_reid.evaluation.ranking import rank_blocks
from tests.oracles.ranking import cosine_distances


def random_maps(seed: int, count: int, shape=(5, 6, 4)) -> torch.Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))


def embedded(maps: torch.Tensor, pids=None) -> Embedded:
    pids = torch.zeros(len(maps), dtype=torch.int64) if pids is None else pids
    return Embedded(maps.mean(dim=(2, 3)), pids, torch.zeros_like(pids), maps)


def slow(query: np.ndarray, gallery: np.ndarray, ridge: float) -> float:
    """The residual of each cell, formed as it is defined."""
    basis = gallery.T
    projection = np.linalg.inv(basis.T @ basis + ridge * np.eye(basis.shape[1])) @ basis.T
    return np.mean([np.linalg.norm(basis @ projection @ cell - cell) for cell in query])


def test_published_residual():
    """facts/fastreid.md, 9.10."""
    query, gallery = torch.tensor([[.6, 0, .8], [0, .6, .8]]), torch.eye(3)[None, :2]
    assert reconstruction_distances(query, gallery, ridge=0.001).tolist() == pytest.approx([0.8], abs=1e-6)


def test_best_match_by_hand():
    query, gallery = torch.eye(3)[:2], torch.tensor([[[0, 1., 0], [0, 0, 1]], [[.8, .6, 0], [0, 0, 1]]])
    assert best_match_distances(query, gallery).tolist() == pytest.approx([0.5, 1 - (0.8 + 0.6) / 2])


def test_reconstruction_equals_its_definition():
    query, gallery = cells_of(random_maps(0, 1), pyramid=True)[0], cells_of(random_maps(1, 4), pyramid=True)
    expected = [slow(query.double().numpy(), cells.double().numpy(), 0.01) for cells in gallery]
    np.testing.assert_allclose(reconstruction_distances(query, gallery, ridge=0.01), expected, atol=1e-5)


def test_cells():
    """110 of a 24 x 8 map (facts/fastreid.md, 9.12); without the pyramid one for each place; all of length 1."""
    cells = cells_of(random_maps(0, 2, (3, 24, 8)), pyramid=True)
    assert cells.shape == (2, 110, 3)
    torch.testing.assert_close(cells.norm(dim=2), torch.ones(2, 110))
    places = cells_of(maps := random_maps(0, 2), pyramid=False)
    torch.testing.assert_close(places[1, 4 * 2 + 3], maps[1, :, 2, 3] / maps[1, :, 2, 3].norm())
    assert cells_of(random_maps(0, 2, (3, 1, 5)), pyramid=True).shape == (2, 5, 3)  # no window fits


@pytest.mark.parametrize("form", ["paper", "reconstruction"])
def test_candidates_are_mixed_and_the_others_follow_in_their_order(form):
    query, gallery = embedded(random_maps(2, 3)), embedded(random_maps(3, 12))
    method = SpatialReconstruction(form=form, weight=0.25, candidates=5)
    blocks = method.distances(query, gallery, distance="cosine", junk=same_identity_and_camera)
    plain = cosine_distances(query.features.numpy(), gallery.features.numpy())
    cells = [cells_of(side.maps, pyramid=form == "reconstruction") for side in (query, gallery)]
    for i, row in enumerate(torch.cat([blocks.block(0, 2), blocks.block(2, 3)]).numpy()):
        order = np.argsort(plain[i])
        local = [slow(cells[0][i].numpy(), cells[1][j].numpy(), 1e-3) if form == "reconstruction" else
                 1 - (cells[0][i] @ cells[1][j].T).amax(dim=1).mean().item() for j in order[:5]]
        np.testing.assert_allclose(row[order[:5]], 0.75 * plain[i, order[:5]] + 0.25 * np.array(local), atol=1e-4)
        rest = row[order[5:]]
        assert (np.diff(rest) > 0).all() and rest[0] > row[order[:5]].max()


def test_it_finds_people_of_whom_a_part_is_visible():
    """Gallery maps of whole people, queries that show the upper third of one, enlarged over the map."""
    generator = torch.Generator().manual_seed(0)
    whole = torch.randn(30, 16, 6, 2, generator=generator)
    part = whole[:, :, :2].repeat_interleave(3, dim=2) + 0.2 * torch.randn(30, 16, 6, 2, generator=generator)
    query = embedded(part, torch.arange(30))
    gallery = Embedded(whole.mean(dim=(2, 3)), torch.arange(30), torch.ones(30, dtype=torch.int64), whole)
    labels = {"query_pids": query.pids, "query_camids": query.camids, "gallery_pids": gallery.pids,
              "gallery_camids": gallery.camids}
    rank1 = {}
    for weight in (0.0, 1.0):
        for form in ("paper", "reconstruction"):
            method = SpatialReconstruction(form=form, weight=weight)
            blocks = method.distances(query, gallery, distance="cosine", junk=same_identity_and_camera)
            rank1[form, weight] = rank_blocks(blocks, **labels).summary()["rank1"]
    assert rank1["paper", 0.0] == rank1["reconstruction", 0.0] < 0.8
    assert min(rank1["paper", 1.0], rank1["reconstruction", 1.0]) > 0.95


@pytest.mark.parametrize(("values", "message"), [
    ({"form": "masked"}, "form='masked' is unknown; known are: paper, reconstruction"), ({"weight": 1.5}, "weight=1.5"),
    ({"candidates": 0}, "candidates=0"), ({"ridge": 0.0}, "ridge=0.0; needs .* ridge >= 1e-4")])
def test_illegal_values(values, message):
    with pytest.raises(ConfigError, match=message):
        SpatialReconstruction(**values)
