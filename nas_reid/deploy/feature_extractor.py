"""Embeddings of images in a few lines: paths, arrays, tensors or Pillow images in, features out.

    extractor = FeatureExtractor("checkpoints/best.pt")
    features = extractor(["a.jpg", "b.png"])                 # float32 [2, D]
    features = extractor(frames, colours="BGR")              # OpenCV's arrays
    extractor.same("a.jpg", "b.png")                         # whether they show the same person
    found = extractor.search("a.jpg", "folder", k=5)         # the most alike of a folder, nearest first
"""

import hashlib
import logging
from collections.abc import Iterable, Sequence
from functools import cached_property, reduce
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nas_reid.data.decoding import open_picture
from nas_reid.data.formats import is_image, left_out
from nas_reid.deploy.folder import CONTRACT
from nas_reid.deploy.gallery import Found, cached_features, nearest_images
from nas_reid.deploy.opening import RUNTIMES, open_model
from nas_reid.errors import ConfigError, DataError, require_known
from nas_reid.evaluation.distance import feature_distances
from nas_reid.evaluation.threshold import Threshold, choose
from nas_reid.files.foreign import user_path
from nas_reid.files.of_run import CHECKPOINTS, file_of_run
from nas_reid.network.finite import require_finite_features

log = logging.getLogger(__name__)

COLOURS = ("RGB", "BGR")
ImageLike = str | Path | np.ndarray | Tensor | Image.Image


NOT_RGB = ("convert", "refuse")
"""What may be done with images that are not RGB."""


class FeatureExtractor:
    """Turns images into embeddings.

    Args:
        model: checkpoint of a retraining or the folder of its run; or the folder that ``nas_reid.export`` left, or the
            ONNX file in it. All files of that folder must be those that were written together.
        device: of torch; ONNX Runtime runs on the CPU.
        batch_size: images that go through the network at once.
        flip: average the embeddings of an image and its mirror image.
        not_rgb: what to do with image files that are grey, with a palette, RGBA or CMYK: ``convert`` or ``refuse``. See
            ``nas_reid.data.pixels`` for what becomes of them, and of an orientation in Exif data.
        modality: of all images, 0 visible or 1 infrared; exported files are of visible ones.
        runtime: ``auto``, ``onnxruntime`` or ``torch``; see ``opening.open_model``.

    Attributes:
        image_size: (height, width) that images are resized to.
        converted: image files so far that were not RGB.
        distance: that the embeddings are compared by, a name of ``evaluation.distance.DISTANCES``.
        threshold: up to which distance ``same`` says yes; None without one.
        runtime: what runs the model.

    Raises:
        CheckpointError: no such model, an ONNX file without its ``model.json``, or parts that do not belong together.
        ConfigError: an unknown option, or onnxruntime is needed and not installed.
    """

    def __init__(self, model: str | Path, *, device: torch.device | str = "cpu", batch_size: int = 64,
                 flip: bool = False, not_rgb: str = "convert", modality: int = 0,
                 runtime: str = "auto") -> None:
        require_known("not_rgb", not_rgb, NOT_RGB)
        require_known("runtime", runtime, RUNTIMES)
        if batch_size < 1 or modality not in (0, 1):
            raise ConfigError(f"batch_size={batch_size}, modality={modality}: expected at least 1, and 0 (visible) or "
                              "1 (infrared)")
        self.batch_size, self.flip, self.not_rgb, self.converted = batch_size, flip, not_rgb, 0
        opened = open_model(model, device=torch.device(device), modality=modality, runtime=runtime)
        self._run, self._contract, self.image_size = opened.run, opened.contract, opened.image_size
        self.runtime, self.distance, self._origin = opened.runtime, opened.distance, str(model)
        self._modality = modality
        self.threshold: Threshold | None = choose(opened.thresholds, distance=self.distance, flip=flip)

    def __call__(self, images: ImageLike | Iterable[ImageLike], *, colours: str = "RGB") -> Tensor:
        """Embeddings, float32 [N, D] on the CPU, in the order of the images.

        Args:
            images: one or many: paths, Pillow images, uint8 arrays [h, w, 3] or uint8 tensors [3, h, w]; or a uint8
                tensor [N, 3, h, w]. Sizes may differ; every image is resized to ``image_size``.
            colours: order of the channels in arrays and tensors, ``RGB`` or ``BGR`` (as OpenCV reads files).

        Raises:
            DataError: no images; one that cannot be read, is empty, is not RGB where that is refused, or has another
                shape; embeddings that are not finite.
            ConfigError: unknown ``colours``.
        """
        require_known("colours", colours, COLOURS)
        several = [images] if isinstance(images, str | Path | np.ndarray | Image.Image) or (
            isinstance(images, Tensor) and images.ndim == 3) else images
        rest = iter(several)
        parts: list[Tensor] = []
        while part := list(islice(rest, self.batch_size)):
            names = [str(image) if isinstance(image, str | Path) else f"image {self.batch_size * len(parts) + place}"
                     for place, image in enumerate(part)]
            parts.append(self.embed(np.stack([self.read(image, colours=colours) for image in part]), names=names))
        if not parts:
            raise DataError("there are no images to extract features from")
        return torch.cat(parts)

    def same(self, first: ImageLike, second: ImageLike, *, colours: str = "RGB") -> bool:
        """Whether two images show the same person, by the threshold that the model was given in its training.

        It says yes to ``threshold.expected`` of the pairs of different people who are like those it was fitted on, and
        no to 1 - ``threshold.true_accepts`` of the pairs of one person. For other cameras and other people it may be
        quite wrong: measure it there (``nas_reid.evaluate``).

        Args:
            first, second, colours: as of a call.

        Raises:
            ConfigError: the model has no threshold for these embeddings, or one for infrared against visible images.
            DataError: see a call.
        """
        if self.threshold is None:
            raise ConfigError(f"{self._origin} has no threshold for {self.distance} distances "
                              f"{'with' if self.flip else 'without'} flip, so that it cannot say whether two images "
                              "show the same person; train it with false_positive_rate=0.01 and people enough held out")
        if self.threshold.across:
            raise ConfigError(f"the threshold of {self._origin} is for pairs of an infrared and a visible image; embed "
                              "each with an extractor of its modality, and compare their distance with threshold.value")
        features = self([first, second], colours=colours)
        return self.threshold.accepts(float(feature_distances(features[:1], features[1:],
                                                              distance=self.distance).block(0, 1)))

    @cached_property
    def identity(self) -> str:
        """A digest of all that the embeddings depend on, beside the images: the model's bytes and the options.

        Of an exported folder it is its ``model.json``, which has the digests of the other files.
        """
        file = file_of_run(self._origin, (*CHECKPOINTS, CONTRACT))
        with (file.with_name(CONTRACT) if file.suffix == ".onnx" else file).open("rb") as opened:
            model = hashlib.file_digest(opened, "blake2b").hexdigest()
        return f"{model} {self.runtime} {self.image_size} {self.flip} {self.not_rgb} {self._modality}"

    def search(self, query: ImageLike | Iterable[ImageLike], gallery: str | Path | Tensor | Iterable[ImageLike],
               k: int = 10, *, distance: str | None = None, colours: str = "RGB",
               cache: str | Path | None = None) -> Found:
        """The k images of a gallery that are most like each query; a query that is in the gallery finds itself first.

        Args:
            query: one or many images, as of a call.
            gallery: a folder, whose features are kept for the next search; or images; or their features [N, D].
            k: length of the lists.
            distance: ``euclidean``, ``squared_euclidean`` or ``cosine``; None for the model's own.
            colours: of arrays and tensors that are images.
            cache: where features of a folder are kept; None for ``features`` in ``data.cache.cache_root()``.

        Raises:
            DataError: as of a call; an image of the folder that cannot be read.
            ConfigError: k below 1, unknown distance or colours.
        """
        paths: Sequence[str] = ()
        if isinstance(gallery, str | Path) and user_path(gallery).is_dir():
            folder = user_path(gallery)
            found = cached_features(self, folder, image_files(folder), batch_size=self.batch_size, cache=cache)
            if found.failures:
                raise DataError(f"{len(found.failures)} images of {folder} cannot be read: {found.failures[0]}; "
                                "replace or remove them")
            features, paths = torch.from_numpy(found.features), found.paths
        elif isinstance(gallery, Tensor) and gallery.is_floating_point():
            features = gallery
        else:
            features = self(gallery, colours=colours)
        return nearest_images(self(query, colours=colours), features, k=k, distance=distance or self.distance,
                              paths=paths)

    def read(self, image: ImageLike, *, colours: str = "RGB") -> np.ndarray:
        """RGB values from 0 to 255, [H, W, 3], of one image at ``image_size``; arguments and errors as of a call."""
        if isinstance(image, str | Path):
            try:
                with open_picture(user_path(image)) as opened:
                    return self._resized(opened, str(image))
            except DataError:
                raise
            except Exception as error:  # decoders raise anything on broken bytes
                raise DataError(f"{image} cannot be read as an image: {error or type(error).__name__}") from error
        if isinstance(image, Image.Image):
            try:
                return self._resized(image, "an image")
            except ValueError as error:
                raise DataError(f"an image cannot be read: {error}") from error
        array = image.permute(1, 2, 0).cpu().numpy() if isinstance(image, Tensor) and image.ndim == 3 else image
        if (not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3
                or not array.size):
            given = f"{image.dtype} {list(image.shape)}" if hasattr(image, "shape") else type(image).__name__
            raise DataError(f"an image is {given}; expected a path, a Pillow image, a uint8 array [h, w, 3] or a uint8 "
                            "tensor [3, h, w], with at least one pixel")
        array = array[..., ::-1] if colours == "BGR" else array
        return self._contract.resize(Image.fromarray(np.ascontiguousarray(array)), self.image_size)

    def embed(self, images: np.ndarray, *, names: Sequence[str] = ()) -> Tensor:
        """Embeddings [B, D] of what ``read`` gives, [B, H, W, 3]; ``names`` of the images are for messages.

        Raises:
            DataError: embeddings that are not finite.
        """
        batch = torch.from_numpy(np.ascontiguousarray(images))
        views = (batch, batch.flip(2)) if self.flip else (batch,)
        with torch.inference_mode():
            embeddings = (reduce(torch.add, map(self._run, views)) / len(views)).float().cpu().clone()
        return require_finite_features(embeddings, names=names)

    def _resized(self, image: Image.Image, name: str) -> np.ndarray:
        if image.mode != "RGB":
            if self.not_rgb == "refuse":
                raise DataError(f"{name} has colour mode {image.mode}, not RGB, and not_rgb=refuse; convert it, or let "
                                "it be converted with not_rgb=convert")
            self.converted += 1
        return self._contract.resize(image, self.image_size)


def image_files(folder: Path, *, key: str = "images") -> Sequence[Path]:
    """The image files below a folder, sorted by path.

    Args:
        folder: whose.
        key: of the configuration that names it, for messages.

    Raises:
        DataError: no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise DataError(f"{key}={folder} is no folder")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    others = left_out(folder, [path.relative_to(folder).as_posix() for path in files])
    found = [path for path in files if is_image(path)]
    if not found:
        raise DataError(f"{key}={folder} holds no image file; {others or 'it is empty'}")
    if others:
        log.warning("%s: %s", folder, others)
    return found
