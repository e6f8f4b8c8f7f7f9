"""A trained network as a file for other runtimes: what goes into the file, its formats, and the check against PyTorch.

Every format has the same contract: RGB images, float32 [B, 3, H, W] with values 0 to 255, in; embeddings, float32
[B, D], out. B is free, H and W are fixed. Scaling to the network's inputs is part of the file.
"""

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_reid.data.normalise import IMAGENET_MEAN, IMAGENET_STD, normalise
from nas_reid.errors import ConfigError, DataError, ExportError
from nas_reid.network.finite import require_finite_features

CHECKED_BATCHES = (1, 7)
Runner = Callable[[Tensor], Tensor]


class Deployed(nn.Module):
    """A network with the normalisation of its inputs inside; images are visible ones.

    Args:
        network: returns embeddings [B, D] of normalised images.
        l2_normalise: scale embeddings to length 1, after which Euclidean and cosine distance rank alike.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, *, l2_normalise: bool = False) -> None:
        super().__init__()
        self.network, self.l2_normalise = network, l2_normalise
        mean, std = (torch.tensor(values, dtype=torch.float64)[:, None, None]
                     for values in (IMAGENET_MEAN, IMAGENET_STD))
        self.register_buffer("scale", (1 / (255 * std)).float())
        self.register_buffer("shift", (-mean / std).float())

    def forward(self, images: Tensor) -> Tensor:
        """RGB images [B, 3, H, W], float32 in 0..255, to embeddings [B, D]."""
        embedding = self.network(images * self.scale + self.shift)
        return F.normalize(embedding) if self.l2_normalise else embedding


class Format(NamedTuple):
    """How a format is written and run.

    Attributes:
        suffix: of its files.
        write: (network, example images [2, 3, H, W]) -> the file's bytes.
        open: the file's bytes -> what runs it on images.
    """

    suffix: str
    write: Callable[[nn.Module, Tensor], bytes]
    open: Callable[[bytes], Runner]


def export(network: nn.Module, *, name: str, image_size: tuple[int, int]) -> bytes:
    """The bytes of a file.

    Args:
        network: takes and returns what the module says.
        name: a key of ``FORMATS``.
        image_size: (height, width), fixed in the file.

    Raises:
        ConfigError: the packages that write the format are not installed.
        ExportError: the exporter cannot express the network.
    """
    example = torch.full((2, 3, *image_size), 127.0)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # exporters warn about their own insides and TorchScript about its age
            return FORMATS[name].write(network.eval(), example)
    except ImportError as error:
        raise ConfigError(f"format={name} needs the package {error.name}: install it with pip install "
                          "'nas-reid[export]'") from error
    except Exception as error:  # exporters raise anything
        reason = str(error).strip().partition("\n")[0][:300]
        raise ExportError(f"format={name} cannot express this network: {type(error).__name__}: {reason}. Another "
                          f"format may: {', '.join(sorted(set(FORMATS) - {name}))}") from error


def check(content: bytes, plain: Runner, *, name: str, image_size: tuple[int, int], tolerance: float) -> float:
    """Run a file on random images and compare with PyTorch, for each of ``CHECKED_BATCHES``.

    Args:
        content: the file.
        plain: PyTorch's embeddings of uint8 images [B, H, W, 3].
        name: a key of ``FORMATS``.
        image_size: (height, width).
        tolerance: largest difference allowed, relative to the largest embedding value where that exceeds 1.

    Returns:
        The largest difference found.

    Raises:
        ExportError: PyTorch's are not finite, they differ by more, or the file does not run.
    """
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for batch in CHECKED_BATCHES:
        images = torch.randint(256, (batch, *image_size, 3), dtype=torch.uint8, generator=generator)
        try:
            expected = require_finite_features(plain(images))
        except DataError as error:
            raise ExportError(f"{error}, so there is nothing to export") from None
        try:
            found = FORMATS[name].open(content)(images.permute(0, 3, 1, 2).float().contiguous())
        except Exception as error:  # runtimes raise anything
            raise ExportError(f"format={name}: the exported network does not run on {batch} images: "
                              f"{type(error).__name__}: {str(error)[:300]}. Nothing was written") from error
        if found.shape != expected.shape:
            raise ExportError(f"format={name}: the exported network gives {list(found.shape)} for {batch} images, "
                              f"PyTorch {list(expected.shape)}. Nothing was written")
        difference = float((found - expected).abs().max() / expected.abs().max().clamp(min=1))
        if not difference <= tolerance:
            raise ExportError(f"format={name}: embeddings of {batch} images differ from PyTorch's by {difference:.2g}, "
                              f"more than tolerance={tolerance:g}. Nothing was written")
        worst = max(worst, difference)
    return worst


def plain_runner(network: nn.Module, *, l2_normalise: bool) -> Runner:
    """PyTorch's embeddings of bytes [B, H, W, 3] by the network as trained, as evaluation computes them."""
    @torch.no_grad()
    def run(images: Tensor) -> Tensor:
        embedding = network(normalise(images))
        return F.normalize(embedding) if l2_normalise else embedding

    return run


def onnx_runner(content: bytes | str) -> Runner:
    """Runs an ONNX file, given as bytes or by name, with onnxruntime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def _write_onnx(network: nn.Module, example: Tensor) -> bytes:
    import onnxruntime  # noqa: F401  the check needs it; say so before the work
    import onnxscript  # noqa: F401  torch.onnx would name it in a traceback

    with _errors_only("torch.onnx", "onnxscript", "onnx_ir"):  # else over a hundred lines about their own passes
        program = torch.onnx.export(network, (example,), dynamo=True, input_names=["images"],
                                    output_names=["embeddings"], dynamic_shapes=_free_batch(), verbose=False)
    if program is None:
        raise ExportError("format=onnx: torch.onnx gave no program; try another version of torch or onnxscript")
    return program.model_proto.SerializeToString()


@contextmanager
def _errors_only(*names: str) -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _write_exported_program(network: nn.Module, example: Tensor) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(network, (example,), dynamic_shapes=_free_batch()), buffer)
    return buffer.getvalue()


def _write_torchscript(network: nn.Module, example: Tensor) -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.freeze(torch.jit.trace(network, example, check_trace=False)), buffer)
    return buffer.getvalue()


def _open_exported_program(content: bytes) -> Runner:
    return _without_gradients(torch.export.load(io.BytesIO(content)).module())


def _open_torchscript(content: bytes) -> Runner:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _without_gradients(torch.jit.load(io.BytesIO(content)))


def _without_gradients(network: Runner) -> Runner:
    return torch.no_grad()(lambda images: network(images))


def _free_batch() -> dict[str, dict[int, torch.export.Dim]]:
    return {"images": {0: torch.export.Dim("batch", min=1, max=65536)}}


FORMATS = {
    "onnx": Format(".onnx", _write_onnx, onnx_runner),
    "torchscript": Format(".torchscript.pt", _write_torchscript, _open_torchscript),
    "exported_program": Format(".pt2", _write_exported_program, _open_exported_program),
}
