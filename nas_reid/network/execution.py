"""How a network is run: on which device, in which memory order and number format, compiled or not."""

import logging

import torch
from torch import nn

from nas_reid.errors import ConfigError
from nas_reid.network.model import ReIDNetwork
from nas_reid.parallel.processes import local_rank, rank, world

PRECISIONS = ("auto", "float32", "bfloat16")
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune")

log = logging.getLogger(__name__)


def place(network: ReIDNetwork, device: torch.device, *, channels_last: bool, precision: str = "float32",
          compile: str | None = None, sync_norms: bool = True) -> ReIDNetwork:
    """Move a network to where it runs and say how; parameters keep their names and float32 values.

    Args:
        network: changed in place, and returned.
        device: where to.
        channels_last: order of images and weights in memory.
        precision: see ``trunk_dtype``.
        compile: a mode of ``torch.compile`` for the trunk, ``reduce-overhead`` meaning CUDA graphs; None: as it is.
        sync_norms: whether batch norms see the whole batch in training where several processes have parts of it.

    Raises:
        ConfigError: see ``trunk_dtype``.
    """
    network.trunk_dtype = trunk_dtype(precision, device)
    network.has_whole_batch_norms = sync_norms
    network.to(device)
    if channels_last:
        in_channels_last(network)
    if compile is not None:
        network.trunk.compile(mode=compile)
        network.trunk_is_compiled = True
        log.info("the network is compiled at its first steps, which may take minutes (compile=null: not at all)")
    return network


def in_channels_last(network: nn.Module) -> nn.Module:
    """The network itself, its weights in channels-last memory."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch declares no such form


def trunk_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The number format of the trunk's convolutions and products when it is trained, by autocast.

    bfloat16 halves the memory of the maps and uses a GPU's tensor cores; with 8 bits of mantissa it is not exact.
    Parameters, statistics of norms, alphas, head, losses and metrics are float32 in any case, and so is the trunk of a
    network in evaluation mode: teachers, validation and test do not depend on it.

    float32 says how numbers are kept. NVIDIA GPUs from Ampere on multiply them in convolutions as TF32, with 10 bits of
    mantissa, unless ``torch.backends.cudnn.allow_tf32`` is false; second order switches that off for itself.

    Args:
        precision: ``float32``, ``bfloat16``, or ``auto``: bfloat16 on a GPU that computes it, else float32.
        device: of the network.

    Raises:
        ConfigError: bfloat16 was asked for, and the GPU does not compute it.
    """
    is_gpu = device.type == "cuda"
    supported = not is_gpu or torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "bfloat16" and not supported:
        raise ConfigError(f"precision=bfloat16: {torch.cuda.get_device_name(device)} does not compute it; use float32, "
                          "or auto, which chooses by the GPU")
    wanted = precision == "bfloat16" or (precision == "auto" and is_gpu and supported)
    return torch.bfloat16 if wanted else torch.float32


def select_device(name: str, *, job: int = 0) -> torch.device:
    """``auto`` is the GPU ``job`` modulo their number, else the CPU; any other name is taken as it is.

    Of several processes each has the GPU of its own number on its machine, with ``cuda`` as with ``auto``.

    A GPU becomes this thread's current one: what asks CUDA and names no GPU would else wake the first one, which takes
    hundreds of MiB of its memory. Other threads begin with the first one again.

    Raises:
        ConfigError: not a device name, a GPU that this machine or this build of torch does not have, or Apple's.
    """
    if name.startswith("mps"):
        raise ConfigError(f"device={name}: Apple's GPUs have no float64, in which alphas are sampled and images "
                          "augmented here, and nothing was tried on one; use device=cpu")
    if world() > 1 and name.startswith(("auto", "cuda")) and (name == "cuda" or torch.cuda.is_available()):
        return _own_gpu(name)
    if name == "auto":
        name = f"cuda:{job % torch.cuda.device_count()}" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.ones(1, device=name)
        device.item()  # what computes nothing, such as meta, has no number to give
        if device.is_cuda:
            torch.cuda.set_device(device.device)
        return device.device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"device={name!r} cannot be used by torch {torch.__version__}: {reason}; use auto, cpu, or a "
                          f"GPU such as cuda:0 of {torch.cuda.device_count()}; device=cpu always works") from error


def _own_gpu(name: str) -> torch.device:
    """The GPU of this one of several processes, which becomes the current one, as NCCL wants it."""
    if name not in ("auto", "cuda"):
        raise ConfigError(f"device={name} is one GPU for {world()} processes; use auto, which gives each its own")
    if local_rank() >= torch.cuda.device_count():
        raise ConfigError(f"device={name}: process {rank()} is number {local_rank()} on its machine and needs the GPU "
                          f"of that number; there are {torch.cuda.device_count()}. Start as many processes as there "
                          "are GPUs (torchrun --nproc_per_node=gpu), or take device=cpu")
    torch.cuda.set_device(local_rank())
    return torch.device("cuda", local_rank())
