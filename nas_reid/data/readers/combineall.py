"""Training on all images of a data set, its test lists included; for results on other data sets."""

from dataclasses import replace

from nas_reid.data.sample import Dataset


def combine_all(dataset: Dataset) -> Dataset:
    """Every image of a known person for training, each once; distractors are left out.

    Query and gallery become empty, for the network has seen them: it can be tested on other data sets only. Readers
    number people apart, so the people of the test lists need no new numbers.
    """
    samples = {sample for sample in (*dataset.train, *dataset.query, *dataset.gallery) if sample.pid > 0}
    return replace(dataset, train=tuple(sorted(samples)), query=(), gallery=(), trials=())
