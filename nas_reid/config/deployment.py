"""Types and ranges of the commands that use a trained network outside the experiments: export and extract."""

import re
from dataclasses import dataclass
from typing import Any

from nas_reid.backbones.modality import MODALITIES
from nas_reid.config.groups import Rules, is_image_size, is_one_of
from nas_reid.data.store import ON_CORRUPT
from nas_reid.deploy.feature_extractor import NOT_RGB
from nas_reid.deploy.features_file import ENCODINGS
from nas_reid.deploy.formats import FORMATS, OPSETS
from nas_reid.deploy.input_contract import INTERPOLATIONS, LARGEST, NORMALISATIONS, OURS, TRACKERS, InputContract
from nas_reid.deploy.opening import RUNTIMES
from nas_reid.evaluation.distance import DISTANCES


@dataclass
class ExportConfig:
    """``python -m nas_reid.export``."""

    checkpoint: str
    format: str
    image_size: list[int] | None   # null: the size the network was trained on
    l2_normalise: bool
    tolerance: float
    tracker: str | None            # whose crops the file takes
    normalisation: str | None      # these three: null as the tracker does it, else as in training
    largest: int | None
    interpolation: str | None
    opset: int
    name: str | None               # of the file; null: model, or for a tracker <space>_<data>
    results: str | None            # what was measured; null: in the checkpoint's run
    licence: str | None
    data_licence: str | None
    threads: int | None

    def input_contract(self) -> InputContract:
        """What the file's images are."""
        base = TRACKERS[self.tracker] if self.tracker else OURS
        return InputContract(self.normalisation or base.normalisation, self.largest or base.largest,
                             self.interpolation or base.interpolation)

    def _contract_rules(self) -> Rules:
        known: dict[str, tuple[object, ...]] = {"normalisation": NORMALISATIONS, "largest": LARGEST,
                                                "interpolation": tuple(INTERPOLATIONS)}
        for key, values in known.items():
            value = getattr(self, key)
            if value is not None:
                yield key, value in values, f"is unknown; known are: {', '.join(map(str, values))}"
                if self.tracker in TRACKERS:
                    wanted = getattr(TRACKERS[self.tracker], key)
                    yield (key, value == wanted, f"does not go with tracker={self.tracker}, whose crops are prepared "
                                                 f"with {key}={wanted}: leave it out")
        yield ("largest", self.largest is None or self.normalisation != "outside",
               "has no meaning with normalisation=outside, whose values are normalised; leave it out")

    def rules(self) -> Rules:
        """Refuses an unknown format, an illegal size of images or tolerance, and what a tracker cannot run."""
        if self.tracker is not None:
            yield "tracker", *is_one_of(self.tracker, TRACKERS)
            yield ("format", self.format == "onnx",
                   f"does not go with tracker={self.tracker}, which is tested with ONNX files; use onnx")
        yield from self._contract_rules()
        yield ("opset", OPSETS[0] <= self.opset <= OPSETS[1],
               f"must be from {OPSETS[0]} to {OPSETS[1]}, which the exporter can write")
        yield ("name", self.name is None or re.fullmatch(r"\w[\w.-]*", self.name) is not None,
               "must be a file name without its ending, of letters, digits, dots, dashes and underscores")
        yield "format", *is_one_of(self.format, FORMATS)
        if self.image_size is not None:
            yield "image_size", *is_image_size(self.image_size)
        yield "tolerance", self.tolerance > 0, "must be positive"
        yield "threads", self.threads is None or self.threads >= 1, "must be at least 1, or null for all cores"


@dataclass
class ReadingConfig:
    """What the commands that embed folders of images share: the model, and how it reads and runs."""

    checkpoint: str
    batch_size: int
    flip: bool
    not_rgb: str
    modality: str
    runtime: str
    on_corrupt: str
    device: str
    threads: int | None

    def rules(self) -> Rules:
        """Refuses an unknown runtime, kind of light or treatment of pictures that are not RGB."""
        yield "batch_size", self.batch_size >= 1, "must be at least 1"
        yield "runtime", *is_one_of(self.runtime, RUNTIMES)
        yield "not_rgb", *is_one_of(self.not_rgb, NOT_RGB)
        yield "on_corrupt", *is_one_of(self.on_corrupt, ON_CORRUPT)
        yield "modality", *is_one_of(self.modality, MODALITIES)
        yield "threads", self.threads is None or self.threads >= 1, "must be at least 1, or null for all cores"


@dataclass
class FindConfig(ReadingConfig):
    """``python -m nas_reid.find``."""

    query: Any                     # an image, a folder, or a list of these
    gallery: str                   # folder
    k: int
    distance: str | None           # null: the model's own
    csv: str | None                # file that the ranked lists are written to as well
    cache: str | None              # folder of the gallery's features; null: features in the usual cache

    def rules(self) -> Rules:
        """Refuses a query that is no path, and lists of nothing."""
        listed = self.query if isinstance(self.query, list) else [self.query]
        yield ("query", bool(listed) and all(isinstance(each, str) and each for each in listed),
               "must be an image, a folder, or a list of them: query=a.jpg, 'query=[a.jpg,b.jpg]'")
        yield "k", 1 <= self.k <= 10_000, "must be 1 to 10,000"
        if self.distance is not None:
            yield "distance", *is_one_of(self.distance, DISTANCES)
        yield from super().rules()


@dataclass
class ExtractConfig(ReadingConfig):
    """``python -m nas_reid.extract``."""

    images: str
    format: str

    def rules(self) -> Rules:
        """Refuses an unknown format."""
        yield "format", *is_one_of(self.format, ENCODINGS)
        yield from super().rules()
