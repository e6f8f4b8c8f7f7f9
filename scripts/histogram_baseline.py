"""How far colour alone goes: rank-1 and mAP of colour histograms under the protocol of a data set.

    python scripts/histogram_baseline.py                  # the default synthetic set, drawn first if need be
    python scripts/histogram_baseline.py path/to/Market-1501-v15.09.15
    python scripts/histogram_baseline.py --reader sysu_mm01   # infrared queries, visible gallery: data=synthetic_ir

A network that has learned to recognise people must be far above the last line.
"""

import argparse
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nas_reid.data.cache import cache_root
from nas_reid.data.decoding import read_picture
from nas_reid.data.readers import READERS, read_dataset
from nas_reid.data.sample import Dataset, Sample
from nas_reid.data.synthetic import SyntheticSpec, generate
from nas_reid.data.synthetic.spec import LAYOUTS
from nas_reid.evaluation.features import Embedded
from nas_reid.evaluation.retrieval import compare, compare_trials
from nas_reid.progress import progress

STRIPES = 8


def rgb_histogram(image: np.ndarray) -> np.ndarray:
    """512-bin RGB histogram (8 bins per channel) of an image uint8 [H, W, 3], square-rooted.

    The Euclidean distance of square roots is the Hellinger distance.
    """
    bins = image.astype(np.int64) >> 5
    counts = np.bincount((bins[..., 0] * 64 + bins[..., 1] * 8 + bins[..., 2]).ravel(), minlength=512)
    return np.sqrt(counts / counts.sum())


def grey_world_histogram(image: np.ndarray) -> np.ndarray:
    """As ``rgb_histogram``, after scaling every channel to the same mean: a camera's colour cast drops out."""
    mean = image.reshape(-1, 3).mean(0)
    return rgb_histogram(np.clip(image * (128 / np.maximum(mean, 1)), 0, 255).astype(np.uint8))


def stripe_histogram(image: np.ndarray) -> np.ndarray:
    """``rgb_histogram`` of eight horizontal stripes, concatenated: colour with its height."""
    return np.concatenate([rgb_histogram(stripe) for stripe in np.array_split(image, STRIPES)])


FEATURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "RGB histogram (512 bins)": rgb_histogram,
    "grey-world histogram (512 bins)": grey_world_histogram,
    "histogram of 8 stripes": stripe_histogram,
}


def main() -> None:
    """Print one line per histogram, then the best."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", type=Path, help="folder of the data set (default: the synthetic one)")
    parser.add_argument("--reader", default="market1501", choices=sorted(READERS))
    parser.add_argument("--workers", type=int, default=2, help="processes that draw the synthetic set")
    arguments = parser.parse_args()
    if arguments.root is None and arguments.reader not in LAYOUTS:
        parser.error(f"nothing is drawn for --reader {arguments.reader}: name the folder of the data set")
    root = arguments.root or generate(cache_root() / "synthetic", SyntheticSpec(layout=arguments.reader),
                                      workers=arguments.workers)
    dataset = read_dataset(arguments.reader, root)
    print(f"{dataset.root}: {len(dataset.query):,} queries, {len(dataset.gallery):,} gallery images")
    images = [load(dataset, samples) for samples in (dataset.query, dataset.gallery)]
    print_rows("chance", evaluate(dataset, [torch.rand(len(part), 8, generator=torch.Generator().manual_seed(seed))
                                            for seed, part in enumerate(images)]))
    scores = {}
    for name, describe in FEATURES.items():
        results = evaluate(dataset, [features(part, describe) for part in images])
        scores[name] = next(iter(results.values()))["rank1"]
        print_rows(name, results)
    best = max(scores, key=scores.__getitem__)
    print(f"best colour-histogram baseline: rank-1 {scores[best]:.1%} ({best})")


def load(dataset: Dataset, samples: Sequence[Sample]) -> list[np.ndarray]:
    """The images of ``samples``, RGB uint8 [H, W, 3]."""
    images = []
    for sample in progress(samples, description="reading images", unit="image"):
        images.append(np.asarray(read_picture(dataset.root / sample.path)))
    return images


def features(images: Sequence[np.ndarray], describe: Callable[[np.ndarray], np.ndarray]) -> Tensor:
    """One row per image; float32 [N, D]."""
    return torch.from_numpy(np.stack([describe(image) for image in images]).astype(np.float32))


def evaluate(dataset: Dataset, parts: Sequence[Tensor]) -> Mapping[str, Mapping[str, float]]:
    """Metrics by the name of the protocol's trials; by an empty name where it is the whole gallery for every query."""
    query, gallery = (Embedded(part, ids(samples, "pid"), ids(samples, "camid"))
                      for part, samples in zip(parts, (dataset.query, dataset.gallery), strict=True))
    if dataset.trials:
        return compare_trials(query, gallery, dataset.trials, distance="euclidean").trials
    return {"": compare(query, gallery, distance="euclidean").metrics}


def ids(samples: Sequence[Sample], field: str) -> Tensor:
    """One integer field of all samples."""
    return torch.tensor([getattr(sample, field) for sample in samples])


def print_rows(name: str, results: Mapping[str, Mapping[str, float]]) -> None:
    """One line of the table for each name of trials, in percent."""
    for trials, metrics in results.items():
        print(f"{name:<34} rank-1 {metrics['rank1']:6.1%}   mAP {metrics['mAP']:6.1%}   {trials}".rstrip())


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
