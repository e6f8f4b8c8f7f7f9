"""From plain settings to images: the data set (drawn first when it is synthetic) and the store of decoded images."""

import logging
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from nas_reid.data.augment import Augment
from nas_reid.data.batches import EvalBatches, TrainBatches
from nas_reid.data.cache import cache_root
from nas_reid.data.modality_pairs import ModalityPairSampler
from nas_reid.data.naming import Naming
from nas_reid.data.places import under_protocol
from nas_reid.data.readers import find_reader, read_dataset
from nas_reid.data.sample import Dataset, Sample
from nas_reid.data.sampler import IdentitySampler
from nas_reid.data.store import ImageStore, build_store
from nas_reid.data.synthetic import SyntheticSpec, generate
from nas_reid.data.trial import Trial
from nas_reid.errors import ConfigError, DataError
from nas_reid.files.foreign import user_path
from nas_reid.parallel.processes import is_main, world
from nas_reid.parallel.turns import main_first
from nas_reid.seed import derive_seed

SAMPLERS = ("identity", "modality_pairs")
"""How a batch is drawn; see ``nas_reid.data.sampler`` and ``nas_reid.data.modality_pairs``."""
log = logging.getLogger(__name__)


class RetrievalStores(NamedTuple):
    """The decoded images of a test: two lists, which may be one object, the trials over their rows, and names."""

    query: ImageStore
    gallery: ImageStore
    trials: tuple[Trial, ...] = ()
    naming: Naming = Naming()


class RetrievalLists(NamedTuple):
    """What ``evaluation.retrieval.retrieve`` compares: two lists, which may be one object, and trials over them."""

    query: EvalBatches
    gallery: EvalBatches
    trials: tuple[Trial, ...] = ()


@dataclass(frozen=True)
class DataSource:
    """A data set on disk and how its images are stored.

    Args:
        dataset: the lists of samples.
        image_size: (height, width) of the stored images.
        cache: folder of the image stores.
        workers: decoding threads.
        on_corrupt: ``error`` or ``skip``.
    """

    dataset: Dataset
    image_size: tuple[int, int]
    cache: Path
    workers: int
    on_corrupt: str

    def train_store(self) -> ImageStore:
        """The decoded training images.

        Raises:
            DataError: the data set has none.
        """
        if not self.dataset.train:
            raise DataError(f"{self.dataset.name} in {self.dataset.root} has no training images: it is for testing "
                            "only (python -m nas_reid.evaluate, or targets= of a retraining)")
        return self.store(self.dataset.train)

    def require_test_lists(self) -> None:
        """Check that there is something to evaluate on.

        Raises:
            DataError: the data set has no query or no gallery, or no query that any gallery image could answer.
        """
        if not self.dataset.query or not self.dataset.gallery:
            found = ("neither query nor gallery" if not (self.dataset.query or self.dataset.gallery) else
                     "no gallery" if self.dataset.query else "no query")
            raise DataError(f"{self.dataset.name} in {self.dataset.root} has {found} (data.options.combineall=true "
                            "leaves none): nothing can be evaluated on it"
                            + ("; train on it with targets=, to evaluate on others" if self.dataset.train else ""))
        data = self.dataset
        trials = data.trials or (Trial("the gallery", range(len(data.query)), range(len(data.gallery))),)
        for trial in trials:
            if trial.query and trial.gallery and not _has_match(data, trial):
                raise DataError(
                    f"none of the {len(trial.query)} queries has a match in the gallery ({data.name} in {data.root}): "
                    "no gallery image shows a query's person from another camera, and those from its own do not count. "
                    "Where cameras are unknown, evaluation.protocol=same_camera_allowed lets them count; to train "
                    "without an evaluation, set data.options.combineall=true and name other data to evaluate on "
                    "(targets=)")

    def test_stores(self) -> RetrievalStores:
        """The decoded query and gallery, and the trials without the images that could not be read.

        Raises:
            DataError: see ``require_test_lists``; a trial of which no image could be read.
        """
        self.require_test_lists()
        query, gallery = self.dataset.query, self.dataset.gallery
        stores = [self.store(samples) for samples in ((query,) if gallery == query else (query, gallery))]
        trials = tuple(replace(trial, query=_rows(stores[0], query, trial.query),
                               gallery=_rows(stores[-1], gallery, trial.gallery)) for trial in self.dataset.trials)
        for trial in trials:
            if not trial.query or not trial.gallery:
                raise DataError(f"{self.dataset.name} in {self.dataset.root}: {trial.name} has {len(trial.query)} "
                                f"queries and {len(trial.gallery)} gallery images; each needs at least one")
        return RetrievalStores(stores[0], stores[-1], trials,
                               Naming(self.dataset.first_camera, self.dataset.names, self.dataset.camera_names))

    def store(self, samples: Sequence[Sample]) -> ImageStore:
        """The decoded images of ``samples``; see ``build_store``. Of several processes the first decodes them."""
        with main_first():
            return build_store(self.dataset.root, samples, image_size=self.image_size, cache_dir=self.cache / "stores",
                               workers=self.workers, on_corrupt=self.on_corrupt)


class DataSettings(Protocol):
    """Where images come from and how they are stored, as the configuration has it.

    Attributes:
        name: for messages and records.
        table: file that lists the images, of a reader that needs one.
        reader: name of the reader.
        root: folder of the data set; unused for synthetic data.
        synthetic: arguments of ``SyntheticSpec``, or None for real data.
        image_size: [height, width].
        cache: folder for drawn images and stores; None for ``cache_root()``.
        workers: decoding threads and drawing processes.
        on_corrupt: what to do about unreadable images, ``error`` or ``skip``.
        options: of the reader, by name.
    """

    name: str
    reader: str
    table: str | None
    root: str | None
    synthetic: Any
    image_size: list[int]
    cache: str | None
    workers: int
    on_corrupt: str
    options: Any


def open_source(settings: DataSettings, *, protocol: str | None = None, folder: Path | None = None) -> DataSource:
    """Read a data set's lists; a synthetic one is drawn into the cache first, once.

    Args:
        settings: which data set.
        protocol: ``evaluation.protocol``; see ``places.under_protocol``.
        folder: of the run, where a split that had to be made is written to.

    Raises:
        ConfigError, DataError: see ``synthetic_spec``, ``read_dataset``, ``under_protocol``.
    """
    cache = user_path(settings.cache) if settings.cache else cache_root()
    (height, width), reader, root, options = settings.image_size, settings.reader, settings.root, settings.options or {}
    if settings.table is not None:
        options = {**options, "table": settings.table}
        root = root or str(user_path(settings.table).parent)
    find_reader(reader, options)  # a wrong name must not wait for the drawing
    if settings.synthetic is not None:
        spec = synthetic_spec(settings.synthetic)
        if spec.layout != reader:
            raise ConfigError(f"data.reader={reader} does not read data.synthetic.layout={spec.layout}; set both to "
                              "the same name")
        with main_first():
            root = str(generate(cache / "synthetic", spec, workers=settings.workers))
    if root is None:
        raise ConfigError(f"data.reader={reader} reads a folder; set data.root= to it")
    dataset = under_protocol(read_dataset(reader, root, **options), protocol)
    num_query, num_gallery = (len({row for trial in dataset.trials for row in getattr(trial, part)}) if dataset.trials
                              else len(getattr(dataset, part)) for part in ("query", "gallery"))
    log.info("%s: %d training, %d query, %d gallery images in %s", settings.name, len(dataset.train), num_query,
             num_gallery, dataset.root)
    if named := dataset.camera_names:
        log.info("cameras: %s%s", ", ".join(f"{number} is {name}" for number, name in list(named.items())[:20]),
                 ", ..." if len(named) > 20 else "")
    _say_split(dataset, settings.name, folder)
    return DataSource(dataset, (height, width), cache, settings.workers, settings.on_corrupt)


def _say_split(dataset: Dataset, name: str, folder: Path | None) -> None:
    """Log how a split that had to be made came about, and write it where others find it."""
    if dataset.made_split is None:
        return
    written = ""
    if folder is not None and is_main():
        file = folder / f"split_{name}.csv"
        dataset.made_split.write(file)
        words = ["data=table", _typed("data.table", file), _typed("data.root", dataset.root)]
        written = f"; others use the same with {' '.join(words)}"
    log.info("%s%s", dataset.made_split.says, written)


def _typed(key: str, path: Path) -> str:
    """The override as a person types it: quoted for the shell and for Hydra where the path has a space, say."""
    plain = re.fullmatch(r"[A-Za-z0-9_./-]+", str(path))
    return f"{key}={path}" if plain else shlex.quote(f'{key}="{path}"')


def synthetic_spec(factors: Mapping[str, Any]) -> SyntheticSpec:
    """The specification of a drawn data set from plain settings.

    Raises:
        ConfigError: a factor that does not exist (those that do are listed), or a value out of range.
    """
    known = [field.name for field in fields(SyntheticSpec)]
    if unknown := sorted(set(factors) - set(known)):
        raise ConfigError(f"data.synthetic has no factor {', '.join(unknown)}; it has: {', '.join(known)}")
    try:
        return SyntheticSpec(**factors)
    except ConfigError as error:
        raise ConfigError(f"data.synthetic: {error}") from None


def training_batches(store: ImageStore, samples: Sequence[Sample], augment: Augment, *, labels: Mapping[int, int],
                     identities: int, instances: int, seed: int, device: torch.device,
                     sampler: str = "identity") -> TrainBatches:
    """Augmented P x K batches over ``samples``; of several processes, each one's part of them.

    Args:
        store: holds the images.
        samples: the images to draw from.
        augment: in-batch augmentation.
        labels: pid -> classifier label.
        identities, instances: P and K.
        seed: of the draws.
        device: where batches are wanted.
        sampler: "identity", or "modality_pairs" for half visible and half infrared images of each identity.

    Raises:
        DataError: fewer identities than P, or pairs of modalities where there are none.
        ConfigError: several processes, of which one may be left without images of a modality.
    """
    rows = store.rows(samples)
    targets = torch.tensor([labels[pid] for pid in store.pids[rows].tolist()])
    if world() > 1 and sampler != "modality_pairs" and len(store.modalities[rows].unique()) > 1:
        raise ConfigError(f"batch.sampler={sampler} could leave one of {world()} processes without infrared or without "
                          "visible images, whose norms would wait for it; use batch.sampler=modality_pairs")
    shape = {"num_identities": identities, "num_instances": instances, "seed": derive_seed(seed, "sampler")}
    drawn = (ModalityPairSampler(targets, store.modalities[rows], **shape) if sampler == "modality_pairs" else
             IdentitySampler(targets, **shape))
    return TrainBatches(store, rows, targets, drawn, augment, seed=derive_seed(seed, "augment"), device=device)


def retrieval_lists(stores: RetrievalStores, *, batch_size: int, device: torch.device) -> RetrievalLists:
    """All images of a test in their order, normalised and not augmented; one object where the stores are one."""
    lists = [evaluation_batches(store, store.samples, batch_size=batch_size, device=device)
             for store in ((stores.query,) if stores.gallery is stores.query else stores[:2])]
    return RetrievalLists(lists[0], lists[-1], stores.trials)


def held_out_lists(store: ImageStore, query: Sequence[Sample], gallery: Sequence[Sample], *, batch_size: int,
                   device: torch.device) -> RetrievalLists:
    """Images that were held out, as ``evaluation_batches``; one object where query and gallery are equal."""
    lists = [evaluation_batches(store, part, batch_size=batch_size, device=device)
             for part in ((query,) if gallery == query else (query, gallery))]
    return RetrievalLists(lists[0], lists[-1])


def evaluation_batches(store: ImageStore, samples: Sequence[Sample], *, batch_size: int,
                       device: torch.device) -> EvalBatches:
    """Batches over ``samples`` in their order, normalised and not augmented."""
    return EvalBatches(store, store.rows(samples), batch_size=batch_size, device=device)


def _has_match(dataset: Dataset, trial: Trial) -> bool:
    """Whether the protocol lets any query of the trial be answered."""
    def place(sample: Sample) -> int:
        """The camera as the trial's junk rule sees it."""
        return 1 if trial.junk == "same_room" and sample.camid == 2 else sample.camid  # see the junk rule of that name

    seen: dict[int, set[int]] = {}
    for position in trial.gallery:
        sample = dataset.gallery[position]
        seen.setdefault(sample.pid, set()).add(place(sample))
    return any(seen.get(sample.pid, set()) - {place(sample)}
               for sample in map(dataset.query.__getitem__, trial.query))


def _rows(store: ImageStore, samples: Sequence[Sample], positions: Sequence[int]) -> tuple[int, ...]:
    """Rows of the store for positions in the list that it was built from, without unreadable images."""
    return tuple(store.rows([samples[position] for position in positions]).tolist())
