"""What torch.cuda has beyond minigrad.cuda: typed constructors, and precision that is not mixed."""

from __future__ import annotations

from typing import Any

import minigrad
from minigrad.as_torch.names import amp
from minigrad.errors import DeviceError

OutOfMemoryError = DeviceError
__all__ = ["OutOfMemoryError", "amp"]


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
