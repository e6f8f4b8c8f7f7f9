"""RegDB in its RGB-thermal form (Nguyen et al., Sensors 2017)."""

from pathlib import Path, PurePosixPath

from nas_reid.data.layout import SYNTHETIC_CARD
from nas_reid.data.readers.id_list import read_labelled
from nas_reid.data.readers.listing import locate, require_images
from nas_reid.data.readers.official import compared
from nas_reid.data.readers.options import check_option
from nas_reid.data.sample import Dataset, Sample
from nas_reid.data.trial import Trial
from nas_reid.errors import DataError

OFFICIAL = {"train": (4_120, 206), "query": (4_120, 206), "gallery": (4_120, 206)}
NUM_SPLITS = 10
MODALITIES = ("visible", "thermal")
"""Names of the modalities 0 and 1 in the list files; also those of cameras 0 and 1."""


def read_regdb(root: Path, *, split: int = 0) -> Dataset:
    """Read one of the ten official splits of RegDB, in both directions; results are means over the splits.

    All test images are query and gallery list: the trials are visible to thermal (the headline) and back. People are
    numbered one higher than their folders, for 0 is a distractor.

    Args:
        root: the folder with ``Visible``, ``Thermal`` and ``idx``, or its parent (``RegDB``).
        split: 0 to 9, for the files ``idx/*_1.txt`` to ``idx/*_10.txt``.

    Raises:
        ConfigError: ``split`` out of range.
        DataError: folders or lists missing, images that are not where a list says, or labels that do not fit them.
    """
    check_option("split", split, range(NUM_SPLITS))
    names = {part: [f"idx/{part}_{modality}_{split + 1}.txt" for modality in MODALITIES] for part in ("train", "test")}
    base = locate("regdb", root, ("Visible", "Thermal", *names["train"], *names["test"]), inside="RegDB")
    lists = {part: [_read_list(base, name, modality) for modality, name in enumerate(files)]
             for part, files in names.items()}
    train, test = (tuple(sorted(sample for samples in lists[part] for sample in samples)) for part in ("train", "test"))
    if shared := {s.pid for s in train} & {s.pid for s in test}:
        raise DataError(f"{base}/idx: {len(shared)} people are in the lists for training and for testing of split "
                        f"{split + 1}; fetch the lists again")
    visible, thermal = (tuple(i for i, s in enumerate(test) if s.modality == modality) for modality in (0, 1))
    trials = (Trial("visible to thermal", visible, thermal), Trial("thermal to visible", thermal, visible))
    dataset = Dataset("regdb", base, train, test, test, trials=trials)
    return dataset if (base / SYNTHETIC_CARD).exists() else compared(dataset, OFFICIAL, title="RegDB")


def _read_list(base: Path, name: str, modality: int) -> list[Sample]:
    """The samples of a list; the label of a line must stand for one folder, and a folder for one label."""
    rows = read_labelled(base / name)
    samples: list[Sample] = []
    labels: dict[str, int] = {}
    folders: dict[int, str] = {}
    for path, label in rows:
        folder = PurePosixPath(path).parent.name
        if not folder.isdigit() or labels.setdefault(folder, label) != label or folders.setdefault(label,
                                                                                                   folder) != folder:
            raise DataError(f"{base / name}: label {label} of {path} does not fit its folder; every person has a "
                            "numbered folder and a label (Visible/1/male_back_v_05528_1.bmp 0). Fetch the list again")
        samples.append(Sample(path, int(folder) + 1, modality, modality))
    require_images(base, samples, listed_in=name)
    return samples
