"""A trained network as a file for other runtimes: what goes into the file, its formats, and the check against PyTorch.

Every format has the same contract: RGB images, float32 [B, 3, H, W], in; embeddings, float32 [B, D], out. B is free, H
and W are fixed. What the values of images are says an ``InputContract``: from 0 to 255, if nothing else was asked for.
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

from nas_reid.data.normalise import normalise
from nas_reid.deploy.input_contract import OURS, InputContract
from nas_reid.errors import ConfigError, DataError, ExportError
from nas_reid.network.finite import require_finite_features

CHECKED_BATCHES = (1, 7)
OPSETS = (18, 25)
"""First and last ONNX operator set that the exporter writes; the first one runs where all the others do."""
Runner = Callable[[Tensor], Tensor]


class Deployed(nn.Module):
    """A network that takes what a contract says; images are visible ones.

    Args:
        network: returns embeddings [B, D] of normalised images.
        l2_normalise: scale embeddings to length 1, after which Euclidean and cosine distance rank alike.
        contract: of the images.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, *, l2_normalise: bool = False,
                 contract: InputContract = OURS) -> None:
        super().__init__()
        self.network, self.l2_normalise, self.contract = network, l2_normalise, contract
        scale, shift = contract.affine()
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, images: Tensor) -> Tensor:
        """RGB images [B, 3, H, W], float32, to embeddings [B, D]."""
        inside = self.contract.normalisation == "inside"
        embedding = self.network(images * self.scale + self.shift if inside else images)
        return F.normalize(embedding) if self.l2_normalise else embedding


class Format(NamedTuple):
    """How a format is written and run.

    Attributes:
        suffix: of its files.
        write: (network, example images [2, 3, H, W], opset) -> the file's bytes; ONNX alone has an opset.
        open: the file's bytes -> what runs it on images.
    """

    suffix: str
    write: Callable[[nn.Module, Tensor, int], bytes]
    open: Callable[[bytes], Runner]


def export(network: nn.Module, *, name: str, image_size: tuple[int, int], opset: int = OPSETS[0]) -> bytes:
    """The bytes of a file.

    Args:
        network: takes and returns what the module says.
        name: a key of ``FORMATS``.
        image_size: (height, width), fixed in the file.
        opset: of ONNX, in the range ``OPSETS``.

    Raises:
        ConfigError: the packages that write the format are not installed.
        ExportError: the exporter cannot express the network.
    """
    example = torch.full((2, 3, *image_size), 127.0)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # exporters warn about their own insides and TorchScript about its age
            return FORMATS[name].write(network.eval(), example, opset)
    except ExportError:
        raise
    except ImportError as error:
        raise ConfigError(f"format={name} needs the package {error.name}: install it with pip install "
                          "'nas-reid[export]'") from error
    except Exception as error:  # exporters raise anything
        reason = str(error).strip().partition("\n")[0][:300]
        raise ExportError(f"format={name} cannot express this network: {type(error).__name__}: {reason}. Another "
                          f"format may: {', '.join(sorted(set(FORMATS) - {name}))}") from error


def check(content: bytes, plain: Runner, *, name: str, image_size: tuple[int, int], tolerance: float,
          contract: InputContract = OURS) -> float:
    """Run a file on random images and compare with PyTorch, for each of ``CHECKED_BATCHES``.

    Args:
        content: the file.
        plain: PyTorch's embeddings of uint8 images [B, H, W, 3].
        name: a key of ``FORMATS``.
        image_size: (height, width).
        tolerance: largest difference allowed, relative to the largest embedding value where that exceeds 1.
        contract: of the file's images.

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
            found = FORMATS[name].open(content)(contract.prepare(images))
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
        """Embeddings [B, D] of images, uint8 [B, H, W, 3]."""
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


def onnx_versions(content: bytes) -> dict[str, int]:
    """Operator set and IR version of an ONNX file; runtimes refuse files that are newer than they in either."""
    import onnx

    model = onnx.load_from_string(content)
    return {"opset": max(entry.version for entry in model.opset_import if not entry.domain),
            "ir_version": model.ir_version}


def _write_onnx(network: nn.Module, example: Tensor, opset: int) -> bytes:
    import onnx
    import onnxruntime  # noqa: F401  the check needs it; say so before the work
    import onnxscript  # noqa: F401  torch.onnx would name it in a traceback

    with _errors_only("torch.onnx", "onnxscript", "onnx_ir"):  # else over a hundred lines about their own passes
        program = torch.onnx.export(network, (example,), dynamo=True, input_names=["images"],
                                    output_names=["embeddings"], dynamic_shapes=_free_batch(), verbose=False,
                                    opset_version=opset)
    if program is None:
        raise ExportError("format=onnx: torch.onnx gave no program; try another version of torch or onnxscript")
    model = program.model_proto
    found = max(entry.version for entry in model.opset_import if not entry.domain)
    if found != opset:
        raise ExportError(f"opset={opset} was asked for and torch.onnx wrote opset {found}; ask for that one, or try "
                          "another version of torch or onnxscript")
    model.ir_version = onnx.helper.find_min_ir_version_for(model.opset_import)  # torch's is newer than it needs to be
    return model.SerializeToString()


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


def _write_exported_program(network: nn.Module, example: Tensor, _opset: int) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(network, (example,), dynamic_shapes=_free_batch()), buffer)
    return buffer.getvalue()


def _write_torchscript(network: nn.Module, example: Tensor, _opset: int) -> bytes:
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
