"""Ranking and re-ranking of random features around one centre per identity."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.measurement import Comparison, Setting
from benchmarks.plain_evaluation import Precisions, evaluate_plainly, precisions_at_once, precisions_by_loop
from benchmarks.plain_reranking import rerank_densely
from nas_reid.evaluation.distance import rows_per_block
from nas_reid.evaluation.ranking import rank
from nas_reid.evaluation.reranking import rerank

_MARKET, _MSMT17 = (3_368, 15_913), (11_659, 82_161)
_DIMENSIONS = 512
_SPREAD = 1.2  # of an identity's features, where the centres' is 1


def evaluation(setting: Setting) -> Iterator[Comparison]:
    """CMC, mAP and mINP of Market-1501's size, or ours alone of MSMT17's."""
    sizes = _MSMT17 if setting.paper else _MARKET
    features, pids, camids = _gallery_of_noise(sum(sizes))
    (query, gallery), (query_pids, gallery_pids), (query_camids, gallery_camids) = (
        values.split(sizes) for values in (features, pids, camids))
    on_device = [values.to(setting.device) for values in (query, gallery)]

    def ours() -> None:
        rank(*on_device, query_pids=query_pids, query_camids=query_camids, gallery_pids=gallery_pids,
             gallery_camids=gallery_camids)

    def plain(precisions: Precisions) -> None:
        evaluate_plainly(query.numpy(), gallery.numpy(), query_ids=(query_pids.numpy(), query_camids.numpy()),
                         gallery_ids=(gallery_pids.numpy(), gallery_camids.numpy()), precisions=precisions)

    name = f"evaluation, {sizes[0]:,} × {sizes[1]:,}, {_DIMENSIONS}-d"
    if setting.paper:
        yield Comparison(name, ours, asked="≤ 600 s and 1.5 GiB on two cores; ≤ 10 s on a GPU", rounds=1, warm_up=False)
        return
    form = "NumPy: float32 distance matrix, one full argsort, then each query by itself"
    yield Comparison(f"{name}, against the published loop", ours, partial(plain, precisions_by_loop),
                     f"{form}, its precisions in a Python loop over the ranks as published", "≥ 5×, ≤ 15 s", rounds=2,
                     warm_up=False)
    yield Comparison(f"{name}, against NumPy", ours, partial(plain, precisions_at_once),
                     f"{form}, its precisions at once", rounds=5, warm_up=False)


def reranking(setting: Setting) -> Iterator[Comparison]:
    """k-reciprocal re-ranking, to the last block of distances."""
    for sizes, rounds in ([(_MSMT17, 1)] if setting.paper else [((680, 3_320), 5), (_MARKET, 2)]):
        query, gallery = _gallery_of_noise(sum(sizes))[0].split(sizes)
        on_device = [values.to(setting.device) for values in (query, gallery)]

        def ours(features: list[Tensor] = on_device) -> None:
            blocks = rerank(*features)
            size = rows_per_block(blocks.shape[1], bytes_per_pair=48)  # as ranking does
            for start in range(0, blocks.shape[0], size):
                blocks.block(start, min(start + size, blocks.shape[0]))

        def plain(query: Tensor = query, gallery: Tensor = gallery) -> None:
            rerank_densely(query.numpy(), gallery.numpy())

        name = f"re-ranking, {sum(sizes):,} images, {_DIMENSIONS}-d"
        if setting.paper:
            yield Comparison(name, ours, asked="completes within 6 GiB", rounds=1, warm_up=False)
        else:
            yield Comparison(name, ours, plain, "NumPy: the published dense algorithm, float32, distances included",
                             "≥ 5×, ≤ 1/5 of the memory" if sizes == _MARKET else "", rounds, warm_up=False)


def _gallery_of_noise(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Features [count, D], pids and camids [count]; about 20 images per identity, six cameras."""
    generator = torch.Generator().manual_seed(0)
    pids = torch.randint(max(2, count // 20), (count,), generator=generator)
    camids = torch.randint(6, (count,), generator=generator)
    centres = torch.randn(int(pids.max()) + 1, _DIMENSIONS, generator=generator)
    features = torch.randn(count, _DIMENSIONS, generator=generator).mul_(_SPREAD).add_(centres[pids])
    return features, pids, camids
