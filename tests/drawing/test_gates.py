"""Clusters of gating vectors: who belongs to which, in which order, and how they are drawn."""

import numpy as np
from PIL import Image

from nas_reid.drawing.gates import cluster_gates, draw_gate_clusters

SIZES = (9, 5, 3)


def groups() -> tuple[np.ndarray, np.ndarray]:
    """Three clear clusters in a random order; and the cluster of each row."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(3), SIZES))
    return 10.0 * np.eye(3, 8)[labels] + rng.normal(0, 0.1, (len(labels), 8)), labels


def test_clusters_are_found_largest_first_and_nearest_first():
    gates, labels = groups()
    found = cluster_gates(gates, clusters=3, nearest=4, seed=0)
    assert [len(rows) for rows in found] == [4, 4, 3]
    for cluster, rows in enumerate(found):
        assert set(labels[rows]) == {cluster}
        members = np.flatnonzero(labels == cluster)
        distances = np.linalg.norm(gates[members] - gates[members].mean(0), axis=1)
        assert rows.tolist() == members[np.argsort(distances)][:4].tolist()


def test_fewer_images_than_clusters():
    found = cluster_gates(np.eye(2), clusters=4, nearest=15, seed=0)
    assert sorted(int(index) for rows in found for index in rows) == [0, 1]


def test_a_row_per_cluster_shows_its_images(tmp_path):
    gates, labels = groups()
    images = np.zeros((len(labels), 10, 5, 3), np.uint8)
    images[np.arange(len(labels)), ..., labels] = 200
    draw_gate_clusters(tmp_path / "gates.png", images=images, gates=gates, clusters=3, nearest=4)
    with Image.open(tmp_path / "gates.png") as picture:
        sheet = np.asarray(picture.convert("RGB"))
    for row in range(3):
        strip = sheet[6 + 156 * row + 10]
        colours = {tuple(pixel) for pixel in strip.tolist()} - {(255, 255, 255)}
        assert colours == {tuple(200 * (channel == row) for channel in range(3))}
