"""Names of torch that mean nothing to this engine: what they ask for is so already, or is refused in one line when it is used."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import minigrad
from minigrad.as_torch.names import amp, backends, cuda, distributed, distributions, fx, hub, jit, tuples, types, utils
from minigrad.as_torch.names.amp import GradScaler, autocast
from minigrad.device import Device

__all__ = [
    "GradScaler", "amp", "autocast", "backends", "cuda", "distributed", "distributions", "fx", "hub", "jit",
    "tuples", "types", "utils",
]  # fmt: skip

layout = minigrad.memory_format.MemoryFormat
__version__ = "2.14.0"
"""The version of torch whose names these are."""
version = SimpleNamespace(__version__=__version__, cuda=None, hip=None, git_version="")


def compile(model: Any = None, **options: Any) -> Any:
    """The model as it is: there is no compiler here. As a decorator too."""
    if model is None:
        return lambda f: f
    warnings.warn("torch.compile has no effect: minigrad runs the model as it is", stacklevel=2)
    return model


compiler = SimpleNamespace(
    disable=lambda f=None, **_: f if f else (lambda g: g),
    is_compiling=lambda: False,
    is_dynamo_compiling=lambda: False,
    is_exporting=lambda: False,
)
_C = SimpleNamespace(_log_api_usage_once=lambda event: None, _get_tracing_state=lambda: None)
_dynamo = SimpleNamespace(
    allow_in_graph=lambda f: f,
    reset=lambda: None,
    utils=SimpleNamespace(is_compile_supported=lambda device_type: False),
)
mps = xpu = SimpleNamespace(
    is_available=lambda: False, device_count=lambda: 0, manual_seed=minigrad.manual_seed, empty_cache=lambda: None
)
accelerator = SimpleNamespace(
    is_available=minigrad.is_gpu_available,
    current_accelerator=lambda check_available=False: Device("cuda") if minigrad.is_gpu_available() else None,
    device_count=minigrad.cuda.device_count,
    current_device_index=minigrad.cuda.current_device,
    set_device_index=minigrad.cuda.set_device,
    synchronize=minigrad.cuda.synchronize,
)
channels_last_3d = minigrad.channels_last


def _assert(condition: Any, message: str) -> None:
    """assert, as a function."""
    assert condition, message


def typename(obj: Any) -> str:
    """A tensor's old type, another object's class with its module."""
    kind = type(obj)
    return obj.type() if isinstance(obj, minigrad.Tensor) else f"{kind.__module__}.{kind.__qualname__}"


def set_float32_matmul_precision(precision: str) -> None:
    """ "highest": products are of float32's precision; "high" and "medium": on a GPU their operands may be rounded to TF32."""
    if precision not in ("highest", "high", "medium"):
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium': nothing is changed", UserWarning, stacklevel=2
        )
        return
    backends.cuda.matmul.allow_tf32 = precision != "highest"


def get_float32_matmul_precision() -> str:
    return "high" if backends.cuda.matmul.allow_tf32 else "highest"


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """All algorithms are deterministic."""


def are_deterministic_algorithms_enabled() -> bool:
    return True


def set_flush_denormal(mode: bool) -> bool:
    """Not built: False, as torch says where the processor cannot."""
    return False


def set_default_tensor_type(t: Any) -> None:
    """FloatTensor is the only default."""
    if t not in ("torch.FloatTensor", minigrad.FloatTensor):
        raise NotImplementedError(f"the default type is float32: {t} is not built as a default")


set_num_interop_threads = set_warn_always = lambda value: None


def get_num_interop_threads() -> int:
    return 1


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Autocast never changes a type here."""
    return False


is_autocast_cpu_enabled = is_autocast_enabled


def get_autocast_dtype(device_type: str) -> Any:
    """float32: the type in which all is computed."""
    return minigrad.float32


get_autocast_cpu_dtype = get_autocast_gpu_dtype = lambda: minigrad.float32


def __getattr__(name: str) -> Any:
    """torch.relu_(x) is x.relu_()."""
    if name.endswith("_") and name[0] != "_" and hasattr(minigrad.Tensor, name):
        return getattr(minigrad.Tensor, name)
    raise AttributeError(name)


__all__ += [name for name in globals() if name not in __all__ and not name.startswith("_")]
