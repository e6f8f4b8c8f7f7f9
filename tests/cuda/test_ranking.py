"""Rankings on a pretended GPU: the numbers of the CPU, on the GPU where they fit, else on the CPU."""

import pytest
import torch

from nas_reid.evaluation import retrieval as retrieval_module
from nas_reid.evaluation.features import Embedded
from nas_reid.evaluation.findings import decide, verify
from nas_reid.evaluation.retrieval import compare
from nas_reid.evaluation.variants import VARIANTS, build_variants
from nas_reid.network.determinism import deterministic
from tests.cuda.pretended import DEVICE, OnDevice, pretended_cuda

CPU = torch.device("cpu")
ARGUMENTS = {"rerank": {"k1": 5, "k2": 2}, "query_expansion": {"k": 3}, "transductive_expansion": {"k": 3},
             "dsr": {"candidates": 4}}


def lists() -> tuple[Embedded, Embedded]:
    """Ten queries and thirty images of four people and some strangers, with maps, in two cameras."""
    generator = torch.Generator().manual_seed(0)
    pids = torch.arange(40) % 5
    features = torch.randn(5, 8, generator=generator)[pids] + torch.randn(40, 8, generator=generator)
    images = Embedded(features, pids, torch.arange(40) % 2, torch.randn(40, 12, 4, 2, generator=generator))
    return images[torch.arange(40) < 10], images[torch.arange(40) >= 10]


@pytest.mark.parametrize("cmc", ["images", "identities"])
@pytest.mark.parametrize(("free", "place"), [(2**36, DEVICE), (2**20, CPU)])
def test_every_ranking_is_that_of_the_cpu_and_on_the_gpu_if_it_fits(free: int, place: torch.device, cmc: str,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    variants, options = build_variants(ARGUMENTS), {"distance": "cosine", "cmc": cmc}
    expected = compare(*lists(), variants=variants, **options)
    curve, decisions = verify(expected, distance="cosine"), decide(expected, [], distance="cosine", flip=False)
    places, rank_blocks = [], retrieval_module.rank_blocks
    monkeypatch.setattr(retrieval_module, "rank_blocks", lambda distances, **labels: places.append(
        type(distances.block(0, 1))) or rank_blocks(distances, **labels))
    with pretended_cuda(), deterministic(True):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, 2**36))
        found = compare(*lists(), variants=variants, device=DEVICE, **options)
        again = verify(found, distance="cosine"), decide(found, [], distance="cosine", flip=False)
        monkeypatch.undo()
    assert found.place == place and places == [OnDevice if place == DEVICE else torch.Tensor] * (1 + len(VARIANTS))
    for one, other in ((expected.ranking, found.ranking),
                       *((expected.variants[name], found.variants[name]) for name in VARIANTS)):
        assert torch.equal(one.ap.nan_to_num(), other.ap.nan_to_num()) and torch.equal(one.cmc, other.cmc)
    assert torch.equal(curve.fpr, again[0].fpr) and torch.equal(decisions.pairs.impostor, again[1].pairs.impostor)
    assert decisions.pairs.observed == pytest.approx(again[1].pairs.observed, nan_ok=True)
    assert not isinstance(found.query.features, OnDevice)  # pictures and tables read it
