"""A CUDA device that is pretended: its tensors say ``cuda:1`` and compute on the CPU, true numbers, bit for bit.

``FakeTensorMode`` has no values, so nothing that reads one could be run, and no backward pass in a build of torch
without CUDA. Here an operator runs on the CPU after it was asked what a GPU would be asked:

- do all its tensors lie on one device, and is the generator of that device? Else ``WrongDevice``.
- has it a fixed order of sums, if one is asked for? Of running sums alone.
- would the host wait for the device? Reading a number, copies between host and device that are not asynchronous,
  results whose size is data, indices by mask or on the other side: noted, with the function of ours that did it.

The device is the second one, so that whatever means "the GPU" and not the run's own is on the wrong one.
"""

import ctypes
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.weak import WeakTensorKeyDictionary

DEVICE = torch.device("cuda:1")
_BELOW = torch.device("maia:1")  # what torch's own code sees: CUDA's driver would be asked for streams
ROOT = Path(__file__).resolve().parents[2]
_SIZE_IS_DATA = {"nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive", "bincount", "histc"}
_READS = {"_local_scalar_dense", "equal", "item", "is_nonzero"}
_INDEXES = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index", "_unsafe_index_put"}
_Generator = torch.Generator


class WrongDevice(RuntimeError):
    """A tensor or a generator is not where the others are."""


class OnDevice(Tensor):
    """Says that it lies on ``DEVICE``; ``numbers`` are its numbers."""

    numbers: Tensor

    @staticmethod
    def __new__(cls, real: Tensor) -> "OnDevice":
        tensor = Tensor._make_wrapper_subclass(cls, real.shape, strides=real.stride(), dtype=real.dtype, device=_BELOW,
                                               storage_offset=real.storage_offset())
        tensor.numbers = real
        return tensor

    @property
    def device(self) -> torch.device:  # type: ignore[override]  # torch declares an attribute
        return DEVICE

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} outside of `pretended_cuda`")

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"OnDevice({self.numbers!r})"


class _AnyGenerator(_Generator):
    """``torch.Generator`` meanwhile."""

    def __new__(cls, device: torch.device | str = "cpu") -> torch.Generator:
        is_cuda = torch.device(device).type == "cuda"
        return super().__new__(DeviceGenerator) if is_cuda else _Generator(device)


class DeviceGenerator(_AnyGenerator):
    """A generator of ``DEVICE``."""

    @property
    def device(self) -> torch.device:  # type: ignore[override]  # torch declares an attribute
        return DEVICE


class _Above(TorchFunctionMode):
    """Operators lose the class of their generator on the way down: it is compared here. Indices that are lists of
    Python are not seen by either mode."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:  # copy on a way of their own
            return func(*args, **{**kwargs, "device": "cpu"}).to(_below(kwargs["device"]))
        if (generator := kwargs.get("generator")) is not None:
            tensors = [value for value in args if isinstance(value, Tensor)]
            wanted = torch.device(kwargs.get("device") or (tensors[0].device if tensors else "cpu"))
            if wanted.type != generator.device.type:
                raise WrongDevice(f"{func.__name__} on {wanted} was given a generator of {generator.device}")
        if func is Tensor.tolist and isinstance(args[0], OnDevice):
            return args[0].to("cpu").tolist()
        if func is torch.device:
            return func(*args, **kwargs)
        args = tuple(_below(value) if isinstance(value, torch.device | str) else value for value in args)
        return func(*args, **{**kwargs, "device": _below(kwargs["device"])} if kwargs.get("device") else kwargs)


class Cuda(TorchDispatchMode):
    """Runs operators for ``DEVICE``. ``waits`` counts, by function of ours, how often the host would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self._pinned: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self.operators: dict[str, set[str]] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch imports its compiler, which takes seconds, to keep away from it

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = func.overloadpacket.__name__
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        here = [tensor for tensor in tensors if isinstance(tensor, OnDevice)]
        there = [tensor for tensor in tensors if not isinstance(tensor, OnDevice)]
        to_device = bool(here)
        if (wanted := kwargs.get("device")) is not None:
            to_device = torch.device(wanted) == _BELOW
            kwargs["device"] = torch.device("cpu")
        is_pinned = kwargs.pop("pin_memory", False)
        if name in ("_to_copy", "copy_"):
            self._copy(name, args, kwargs, to_device)
        elif here:
            self._compute(name, args, kwargs, there)
        known = {id(tensor.numbers): tensor for tensor in here}
        args, kwargs = tree_map_only(OnDevice, lambda tensor: tensor.numbers, (args, kwargs))
        result = _in_float32(func, args) if "convolution" in name else func(*args, **kwargs)
        if is_pinned:
            self._pinned[result] = True
        if name in _READS or not to_device:
            return result
        return tree_map_only(Tensor, lambda real: known[id(real)] if id(real) in known else OnDevice(real), result)

    def _copy(self, name: str, args: Any, kwargs: Any, to_device: bool) -> None:
        target, source = (args[0], args[1]) if name == "copy_" else (None, args[0])
        crosses = isinstance(source, OnDevice) != (to_device if target is None else isinstance(target, OnDevice))
        into_pinned = target is not None and target in self._pinned
        asynchronous = kwargs.get("non_blocking", False) or (target is not None and len(args) > 2 and args[2])
        if crosses and not (asynchronous and (into_pinned or not isinstance(source, OnDevice))):
            self._wait(name)

    def _compute(self, name: str, args: Any, kwargs: Any, there: list[Tensor]) -> None:
        if name in _INDEXES:
            indices = [index for index in args[1] if index is not None]
            fills = name != "index" and len(args) > 2 and args[2].numel() == 1  # by mask: one kernel
            if any(index.dtype in (torch.bool, torch.uint8) for index in indices) and not fills:
                self._wait(name)
            if any(not isinstance(index, OnDevice) for index in indices):
                self._wait(name)
            there = [tensor for tensor in there if not any(tensor is index for index in indices)]
        elif name in _READS | _SIZE_IS_DATA or (name == "repeat_interleave" and kwargs.get("output_size") is None):
            self._wait(name)
        if name == "cumsum" and args[0].is_floating_point() and torch.are_deterministic_algorithms_enabled():
            raise RuntimeError("cumsum of floats on a GPU has no fixed order")
        strict = name in ("cat", "stack")
        if wrong := [tensor for tensor in there if tensor.ndim or strict]:  # a number may come from the host
            raise WrongDevice(f"{name} on {DEVICE} was given a tensor {list(wrong[0].shape)} of the host")

    def _wait(self, operator: str) -> None:
        frame = sys._getframe()
        while frame is not None:
            path = Path(frame.f_code.co_filename)
            if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in ("nas_reid", "search_spaces"):
                where = f"{path.relative_to(ROOT).as_posix()}:{frame.f_code.co_name}"
                break
            frame = frame.f_back
        else:
            where = "elsewhere"
        self.waits[where] += 1
        self.operators.setdefault(where, set()).add(operator)


def _in_float32(convolution: Any, args: Any) -> Any:
    """Not every CPU has all convolutions in bfloat16."""
    dtype = args[0].dtype
    args = tree_map_only(Tensor, lambda tensor: tensor.float() if tensor.dtype == torch.bfloat16 else tensor, args)
    return tree_map_only(Tensor, lambda tensor: tensor.to(dtype), convolution(*args))


def _below(device: Any) -> Any:
    """What is ``DEVICE`` for torch's own code; anything else as it is."""
    if not str(device).startswith("cuda"):
        return device
    if torch.device(device) != DEVICE:
        raise WrongDevice(f"a tensor is wanted on {device}, the run's GPU is {DEVICE}; say the device with its number")
    return _BELOW


class _Autocast(torch.autocast):
    """``torch.autocast`` meanwhile."""

    def __init__(self, device_type: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(_BELOW.type if device_type == DEVICE.type else device_type, *args, **kwargs)


def _let_autograd_know_of_the_device() -> None:
    """Autograd asks every device for a guard; that of ``meta`` guards nothing."""
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libc10.so"))
    guards = (ctypes.c_void_p * 15).in_dll(library, "_ZN3c104impl26device_guard_impl_registryE")
    maia, meta = 8, 14
    guards[maia] = guards[meta]


@contextmanager
def pretended_cuda() -> Iterator[Cuda]:
    """This thread has the GPUs ``cuda:0`` and ``cuda:1``; only the second may be used."""
    _let_autograd_know_of_the_device()
    overwrites = torch.__future__.get_overwrite_module_params_on_conversion()
    modules = [module for name, module in sys.modules.items()
               if name.startswith(("nas_reid.", "search_spaces.")) and getattr(module, "Generator", None) is _Generator]
    with ExitStack() as stack:
        for name, answer in (("_lazy_init", None), ("is_available", True), ("device_count", 2), ("current_device", 1),
                             ("is_bf16_supported", True), ("manual_seed_all", None), ("mem_get_info", (2**36, 2**36)),
                             ("synchronize", None)):
            stack.enter_context(patch.object(torch.cuda, name, lambda *_, answer=answer, **__: answer))
        stack.enter_context(patch.object(torch, "autocast", _Autocast))
        stack.enter_context(patch.object(torch, "inference_mode",  # which knows no views of such tensors
                                         lambda mode=True: torch.no_grad() if mode else nullcontext()))
        for module in (torch, *modules):
            stack.enter_context(patch.object(module, "Generator", _AnyGenerator))
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, overwrites)
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        stack.enter_context(torch.autograd.set_multithreading_enabled(False))  # on this thread, where the modes are
        stack.enter_context(_Above())
        yield stack.enter_context(Cuda())
