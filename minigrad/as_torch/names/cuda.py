"""What torch.cuda has beyond minigrad.cuda: typed constructors, and precision that is not mixed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import minigrad
from minigrad.as_torch.names import amp
from minigrad.errors import DeviceError

OutOfMemoryError = DeviceError
random = SimpleNamespace(manual_seed=minigrad.manual_seed, manual_seed_all=minigrad.manual_seed)
"""One generator, on the host, draws for all devices."""
__all__ = ["OutOfMemoryError", "amp", "random"]


def _typed(name: str) -> Any:
    def construct(*args: Any) -> Any:
        return getattr(minigrad, name)(*args).to("cuda")

    construct.__name__ = name
    return construct


FloatTensor, LongTensor, IntTensor = _typed("FloatTensor"), _typed("LongTensor"), _typed("IntTensor")
ByteTensor, BoolTensor, DoubleTensor = _typed("ByteTensor"), _typed("BoolTensor"), _typed("DoubleTensor")
HalfTensor = _typed("HalfTensor")


def is_initialized() -> bool:
    return minigrad.is_gpu_available()


def is_bf16_supported(*args: Any) -> bool:
    """There is no bfloat16."""
    return False


def get_rng_state(device: Any = None) -> Any:
    """The state of the one generator."""
    return minigrad.get_rng_state()


def set_rng_state(new_state: Any, device: Any = None) -> None:
    minigrad.set_rng_state(new_state)


def get_rng_state_all() -> list[Any]:
    return [minigrad.get_rng_state()] if minigrad.is_gpu_available() else []


def set_rng_state_all(new_states: Any) -> None:
    for state in new_states:
        minigrad.set_rng_state(state)


def ipc_collect() -> None:
    """No memory is shared between processes."""


init = ipc_collect
reset_max_memory_allocated = minigrad.cuda.reset_peak_memory_stats
