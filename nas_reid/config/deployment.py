"""Types and ranges of the commands that use a trained network outside the experiments: export and extract."""

from dataclasses import dataclass

from nas_reid.backbones.modality import MODALITIES
from nas_reid.config.groups import Rules, is_image_size, is_one_of
from nas_reid.data.store import ON_CORRUPT
from nas_reid.deploy.feature_extractor import NOT_RGB
from nas_reid.deploy.features_file import ENCODINGS
from nas_reid.deploy.formats import FORMATS


@dataclass
class ExportConfig:
    """``python -m nas_reid.export``."""

    checkpoint: str
    format: str
    image_size: list[int] | None   # null: the size the network was trained on
    l2_normalise: bool
    tolerance: float
    threads: int | None

    def rules(self) -> Rules:
        """Refuses an unknown format, an illegal size of images or tolerance."""
        yield "format", *is_one_of(self.format, FORMATS)
        if self.image_size is not None:
            yield "image_size", *is_image_size(self.image_size)
        yield "tolerance", self.tolerance > 0, "must be positive"
        yield "threads", self.threads is None or self.threads >= 1, "must be at least 1, or null for all cores"


@dataclass
class ExtractConfig:
    """``python -m nas_reid.extract``."""

    checkpoint: str
    images: str
    format: str
    batch_size: int
    flip: bool
    not_rgb: str
    modality: str
    on_corrupt: str
    device: str
    threads: int | None

    def rules(self) -> Rules:
        """Refuses an unknown format, kind of light or treatment of pictures that are not RGB."""
        yield "format", *is_one_of(self.format, ENCODINGS)
        yield "batch_size", self.batch_size >= 1, "must be at least 1"
        yield "not_rgb", *is_one_of(self.not_rgb, NOT_RGB)
        yield "on_corrupt", *is_one_of(self.on_corrupt, ON_CORRUPT)
        yield "modality", *is_one_of(self.modality, MODALITIES)
        yield "threads", self.threads is None or self.threads >= 1, "must be at least 1, or null for all cores"
