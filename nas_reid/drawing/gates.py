"""Images whose gates are alike: what a network's gates tell apart (Zhou et al., TPAMI 2021, Fig. 6)."""

from pathlib import Path

import numpy as np

from nas_reid.drawing.image_grid import draw_image_grid


def cluster_gates(gates: np.ndarray, *, clusters: int, nearest: int, seed: int) -> list[np.ndarray]:
    """k-means on gating vectors, and the images nearest to each centre.

    Args:
        gates: [N, D], the gates of all streams of an image side by side.
        clusters: k; fewer where there are fewer images.
        nearest: images per cluster; fewer in a small cluster.
        seed: of the initial centres.

    Returns:
        Per cluster the indices of its images, nearest to its centre first; the largest cluster first.
    """
    from sklearn.cluster import KMeans

    fitted = KMeans(min(clusters, len(gates)), n_init=4, random_state=seed).fit(gates)
    distances = np.linalg.norm(gates - fitted.cluster_centers_[fitted.labels_], axis=1)
    members = [np.flatnonzero(fitted.labels_ == cluster) for cluster in range(fitted.n_clusters)]
    members.sort(key=len, reverse=True)
    return [rows[np.argsort(distances[rows], kind="stable")][:nearest] for rows in members]


def draw_gate_clusters(path: Path, *, images: np.ndarray, gates: np.ndarray, clusters: int = 4, nearest: int = 15,
                       seed: int = 0) -> None:
    """Draw one row of images per cluster into a PNG.

    Args:
        path: the PNG file.
        images: uint8 [N, H, W, 3].
        gates, clusters, nearest, seed: see ``cluster_gates``.

    Raises:
        NasReidError: the file cannot be written.
    """
    rows = cluster_gates(gates, clusters=clusters, nearest=nearest, seed=seed)
    draw_image_grid(path, [[images[index] for index in row] for row in rows if len(row)])
