"""Which pictures a command leaves, drawn from what it has at hand."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from nas_reid.data.naming import Naming
from nas_reid.data.normalise import normalise
from nas_reid.data.store import ImageStore
from nas_reid.data.trial import Trial
from nas_reid.drawing.activations import activation_maps, draw_activations
from nas_reid.drawing.alphas import draw_alphas
from nas_reid.drawing.cameras import draw_camera_pairs
from nas_reid.drawing.cells import draw_graphs
from nas_reid.drawing.curves import draw_cmc, draw_roc
from nas_reid.drawing.decisions import draw_choices
from nas_reid.drawing.distances import Accepted, draw_distances
from nas_reid.drawing.gates import draw_gate_clusters
from nas_reid.drawing.lettering import written
from nas_reid.drawing.masks import draw_masks, mean_images
from nas_reid.drawing.ranked_lists import choose_queries, draw_ranked_lists
from nas_reid.evaluation.findings import Decisions
from nas_reid.evaluation.nearest import nearest
from nas_reid.evaluation.retrieval import Retrieval
from nas_reid.evaluation.roc import Roc
from nas_reid.genotype import Genotype
from nas_reid.record.decisions import drawn_decisions
from nas_reid.search_space import (
    OffersFeatureMasks,
    OffersGates,
    OffersGraphs,
    OffersOneHot,
    OffersSupernetGraphs,
    SearchSpace,
)

_NUMBERS = Naming()


def draw_search(space: SearchSpace, genotype: Genotype, history: Sequence[Mapping[str, Tensor]],
                folder: Path) -> list[Path]:
    """The derived cells, the supernet's cells with their weights, and the alphas over the epochs.

    Cells are drawn for a space that offers their graphs.

    Args:
        space: that was searched.
        genotype: its result.
        history: per epoch, decision -> probabilities [R, K].
        folder: of the pictures.
    """
    pictures = [path for path in [draw_genotype(space, genotype, folder / "cells.png")] if path]
    if isinstance(space, OffersSupernetGraphs):
        pictures.append(folder / "supernet.png")
        draw_graphs(space.supernet_graphs(history[-1]), pictures[-1], title=f"{space.name}: supernet, last epoch",
                    labels=_choice_names(space))
    pictures.append(folder / "alphas.png")
    draw_alphas({name: torch.stack([probs[name] for probs in history]).numpy() for name in history[0]}, pictures[-1],
                decisions=drawn_decisions(space, genotype), epochs=range(1, len(history) + 1))
    return pictures


def draw_genotype(space: SearchSpace, genotype: Genotype, path: Path, *,
                  stores: Sequence[ImageStore] = ()) -> Path | None:
    """The derived cells, masks, or choices by name, whichever the space offers; None where it offers none of them.

    Args:
        space, genotype: what to draw.
        path: the PNG file.
        stores: images whose means, by modality, lie below the masks; grey without.
    """
    if isinstance(space, OffersGraphs):
        draw_graphs(space.graphs(genotype), path, title=f"{genotype.space}: genotype", labels=_choice_names(space))
    elif isinstance(space, OffersFeatureMasks):
        means: dict[int, np.ndarray] = {}
        for store in stores:
            means = mean_images(store, store.modalities) | means
        draw_masks(space.feature_masks(genotype), path, means=means)
    elif decisions := drawn_decisions(space, genotype) if isinstance(space, OffersOneHot) else {}:
        draw_choices(decisions, path, title=genotype.space)
    else:
        return None
    return path


def _choice_names(space: SearchSpace) -> list[str]:
    """All names once, so that every picture of a space gives an op the same colour."""
    return list(dict.fromkeys(choice.name for decision in space.decisions() for choice in decision.choices))


def draw_trunk(trunk: nn.Module, query: ImageStore, folder: Path, *, device: torch.device,
               naming: Naming = _NUMBERS) -> list[Path]:
    """Activation maps of some queries, and clusters of gates for a trunk that offers gating vectors.

    Args:
        trunk: in evaluation mode, on ``device``.
        query: the images; those shown are spread evenly over them.
        folder: of the pictures.
        device: of the trunk.
        naming: of people and cameras.
    """
    def spread(count: int) -> Tensor:
        """So many rows at equal distances."""
        return torch.linspace(0, len(query.paths) - 1, min(count, len(query.paths))).round().long()

    def load(rows: Tensor) -> Tensor:
        """Normalised images [n, 3, H, W] on the device."""
        return normalise(query.take(rows)).to(device)

    shown, clustered = spread(12), spread(300)
    with torch.inference_mode():
        maps = activation_maps(trunk(load(shown), modality=query.modalities[shown].to(device))).cpu()
        gates = [found for rows in clustered.split(64) if isinstance(trunk, OffersGates)
                 and (found := trunk.gating_vectors(load(rows))) is not None]
    pictures = [folder / "activations.png"]
    draw_activations(pictures[0], images=query.take(shown).numpy(), maps=maps.numpy(),
                     labels=[", ".join(label) for label in _labels(query, naming, shown.tolist()).values()])
    if gates:
        pictures.append(folder / "gates.png")
        draw_gate_clusters(pictures[1], images=query.take(clustered).numpy(), gates=torch.cat(gates).cpu().numpy())
    return pictures


def _labels(store: ImageStore, naming: Naming, rows: Iterable[int]) -> dict[int, tuple[str, ...]]:
    """Row -> who is seen and by which camera, where that is known; by number where names are missing or illegible."""
    labels: dict[int, tuple[str, ...]] = {}
    for row in rows:
        pid, camid = int(store.pids[row]), int(store.camids[row])
        person = "distractor" if pid == 0 else written(naming.people.get(pid), f"pid {pid}", 16)
        labels[row] = (person,) if naming.number(camid) is None else (person, _camera(naming, camid, "cam "))
    return labels


def _camera(naming: Naming, camid: int, what: str = "") -> str:
    number = camid + naming.first_camera
    return written(naming.cameras.get(number), f"{what}{number}", 12)


def draw_retrieval(retrieval: Retrieval, query: ImageStore, gallery: ImageStore, folder: Path, *, distance: str,
                   suffix: str = "", seed: int = 0, curve: Roc | None = None, decisions: Decisions | None = None,
                   pairs: Sequence[Mapping[str, Any]] = (), naming: Naming = _NUMBERS) -> list[Path]:
    """Ranked lists of the five worst and five other queries, CMC curves; ROC, distances and camera pairs if given.

    Args:
        retrieval: features and metrics; its rows are those of the two stores, or of its trial over them.
        query, gallery: the images.
        folder: of the pictures.
        distance: that the ranking used.
        suffix: of the file names, to tell data sets apart.
        seed: of the choice of queries.
        curve: of the verification.
        decisions: the distances of the pairs, and the threshold on them.
        pairs: rows of ``tables.camera_pair_rows``.
        naming: of people and cameras, with which ``pairs`` were made.
    """
    ap = retrieval.ranking.ap
    trial = retrieval.trial or Trial("", range(len(query.paths)), range(len(gallery.paths)))
    rows, columns = torch.tensor(trial.query), torch.tensor(trial.gallery)
    worst = 5
    chosen = choose_queries(ap, worst=worst, random=5, seed=seed)
    ranked = nearest(retrieval.query.features[chosen], retrieval.gallery.features, k=min(10, len(columns)),
                     query_pids=retrieval.query.pids[chosen], query_camids=retrieval.query.camids[chosen],
                     gallery_pids=retrieval.gallery.pids, gallery_camids=retrieval.gallery.camids, distance=distance,
                     junk=retrieval.junk)
    anchors, found = retrieval.query.features[chosen][:, None], retrieval.gallery.features[ranked]  # [q, 1 and k, D]
    distances = 1 - cosine_similarity(anchors, found, dim=2) if distance == "cosine" else (anchors - found).norm(dim=2)
    lists, cmc = folder / f"ranked_lists{suffix}.png", folder / f"cmc{suffix}.png"
    shown = columns[ranked].where(ranked >= 0, ranked)
    draw_ranked_lists(lists, queries=rows[chosen].tolist(), ranked=shown.numpy(),
                      distances=distances.numpy(), query_images=query, gallery_images=gallery,
                      query_pids=query.pids.numpy(), query_camids=query.camids.numpy(),
                      gallery_pids=gallery.pids.numpy(), gallery_camids=gallery.camids.numpy(),
                      query_labels=_labels(query, naming, rows[chosen].tolist()),
                      gallery_labels=_labels(gallery, naming, shown[shown >= 0].unique().tolist()),
                      ap=torch.full((len(query.paths),), torch.nan).index_copy(0, rows, ap.float()).numpy(),
                      chosen=f"first the {min(worst, len(chosen))} worst queries by AP, then "
                             f"{max(0, len(chosen) - worst)} others by lot")
    draw_cmc({trial.name or "query vs. gallery": retrieval.ranking.cmc.numpy(),
              **{name: ranking.cmc.numpy() for name, ranking in retrieval.variants.items()}}, cmc)
    pictures = [lists, cmc]
    if curve is not None:
        pictures.append(folder / f"roc{suffix}.png")
        draw_roc({trial.name or "query vs. gallery": (curve.fpr.numpy(), curve.tpr.numpy())}, pictures[-1])
    if decisions is not None:
        pictures.append(folder / f"distances{suffix}.png")
        _draw_decisions(decisions, pictures[-1])
    if pairs:
        pictures.append(folder / f"cameras{suffix}.png")
        cameras = [{naming.camera(camid): _camera(naming, camid) for camid in side.camids.unique().tolist()}
                   for side in (retrieval.query, retrieval.gallery)]
        draw_camera_pairs({(row["query_camera"], row["gallery_camera"]): row["mAP"] for row in pairs}, pictures[-1],
                          queries=cameras[0], gallery=cameras[1], metric="mAP")
    return pictures


def _draw_decisions(decisions: Decisions, path: Path) -> None:
    pairs, threshold, accepted = decisions.pairs, decisions.threshold, None
    if threshold is not None:
        observed = pairs.observed
        accepted = Accepted(threshold.value, threshold.interval, (threshold.true_accepts, threshold.expected),
                            threshold.expected_interval,
                            (observed["true_accepts"], observed["false_positive_rate"]))
    draw_distances(path, edges=pairs.edges.numpy(), genuine=pairs.genuine.numpy(), impostor=pairs.impostor.numpy(),
                   distance=decisions.distance.replace("_", " "), accepted=accepted)
