"""Embeddings of images in a few lines: paths, arrays, tensors or Pillow images in, features out.

    extractor = FeatureExtractor("checkpoints/best.pt")
    features = extractor(["a.jpg", "b.png"])                 # float32 [2, D]
    features = extractor(frames, colours="BGR")              # OpenCV's arrays
"""

import json
import logging
from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nas_reid.data.decoding import open_picture, resized
from nas_reid.data.formats import is_image, left_out
from nas_reid.data.normalise import normalise
from nas_reid.deploy.formats import Runner, onnx_runner
from nas_reid.deploy.inference import fold
from nas_reid.errors import CheckpointError, ConfigError, DataError
from nas_reid.files.foreign import user_path
from nas_reid.files.of_run import CHECKPOINTS, file_of_run
from nas_reid.files.regular import read_regular, require_regular
from nas_reid.network.finite import require_finite_features
from nas_reid.network.trained import load_trained

log = logging.getLogger(__name__)

COLOURS = ("RGB", "BGR")
ImageLike = str | Path | np.ndarray | Tensor | Image.Image


NOT_RGB = ("convert", "refuse")
"""What may be done with images that are not RGB."""


class FeatureExtractor:
    """Turns images into embeddings.

    Args:
        model: checkpoint of a retraining, or a ``model.onnx`` of ``nas_reid.export`` beside its ``model.json``; or the
            folder of the run that left one.
        device: of a checkpoint's network; ONNX files run on the CPU.
        batch_size: images that go through the network at once.
        flip: average the embeddings of an image and its mirror image.
        not_rgb: what to do with image files that are grey, with a palette, RGBA or CMYK: ``convert`` or ``refuse``. See
            ``nas_reid.data.pixels`` for what becomes of them, and of an orientation in Exif data.
        modality: of all images, 0 visible or 1 infrared; ONNX files are of visible ones.

    Attributes:
        image_size: (height, width) that images are resized to.
        converted: image files so far that were not RGB.

    Raises:
        CheckpointError: no such model, or an ONNX file without its ``model.json``.
        ConfigError: an unknown option, or onnxruntime is needed and not installed.
    """

    def __init__(self, model: str | Path, *, device: torch.device | str = "cpu", batch_size: int = 64,
                 flip: bool = False, not_rgb: str = "convert", modality: int = 0) -> None:
        if not_rgb not in NOT_RGB:
            raise ConfigError(f"not_rgb={not_rgb!r} is unknown; known are: {', '.join(NOT_RGB)}")
        if batch_size < 1 or modality not in (0, 1):
            raise ConfigError(f"batch_size={batch_size}, modality={modality}: expected at least 1, and 0 (visible) or "
                              "1 (infrared)")
        self.batch_size, self.flip, self.not_rgb, self.converted = batch_size, flip, not_rgb, 0
        file = file_of_run(model, (*CHECKPOINTS, "model.onnx"))
        self._run, self.image_size = _open(file, torch.device(device), modality)

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
        if colours not in COLOURS:
            raise ConfigError(f"colours={colours!r} is unknown; known are: {', '.join(COLOURS)}")
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

    def read(self, image: ImageLike, *, colours: str = "RGB") -> np.ndarray:
        """RGB bytes [H, W, 3] of one image at ``image_size``; arguments and errors as of a call."""
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
        return resized(Image.fromarray(np.ascontiguousarray(array)), self.image_size)

    def embed(self, images: np.ndarray, *, names: Sequence[str] = ()) -> Tensor:
        """Embeddings [B, D] of RGB bytes [B, H, W, 3] at ``image_size``; ``names`` of the images are for messages.

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
        return resized(image, self.image_size)


def _open(model: Path, device: torch.device, modality: int) -> tuple[Runner, tuple[int, int]]:
    """What runs the model on bytes [B, H, W, 3], and the (height, width) it wants."""
    if model.suffix == ".onnx":
        if modality:
            raise ConfigError(f"{model} was exported for visible images and modality={modality} is infrared; give the "
                              "checkpoint that it was exported from")
        return _open_onnx(model)
    network, description = load_trained(model, device=device)
    folded = fold(network, image_size=description.image_size)

    def run(images: Tensor) -> Tensor:
        modalities = torch.full((len(images),), modality, device=device)
        return folded(normalise(images.to(device)), modality=modalities)

    return run, description.image_size


def _open_onnx(model: Path) -> tuple[Runner, tuple[int, int]]:
    try:
        contract = json.loads(read_regular(model.with_suffix(".json")))
        height, width = contract["image_size"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{model} needs the model.json that nas_reid.export wrote beside it, which says how "
                              f"large its images are: {error}") from error
    try:
        require_regular(model)
        run = onnx_runner(str(model))
    except ImportError as error:
        raise ConfigError("an ONNX file needs onnxruntime: pip install 'nas-reid[export]'") from error
    except Exception as error:  # onnxruntime raises anything
        raise CheckpointError(f"{model} cannot be opened by onnxruntime: {str(error)[:300]}") from error
    return lambda images: run(images.permute(0, 3, 1, 2).float().contiguous()), (height, width)


def image_files(folder: Path) -> Sequence[Path]:
    """The image files below a folder, sorted by path.

    Raises:
        DataError: no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise DataError(f"images={folder} is no folder")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    others = left_out(folder, [path.relative_to(folder).as_posix() for path in files])
    found = [path for path in files if is_image(path)]
    if not found:
        raise DataError(f"images={folder} holds no image file; {others or 'it is empty'}")
    if others:
        log.warning("%s: %s", folder, others)
    return found
