"""torch.backends: `allow_tf32` of products and of convolutions is minigrad's own; the other switches change nothing.

They are of libraries that are not used here, and can be set and read.
"""

from __future__ import annotations

from contextlib import nullcontext
from enum import Enum
from types import SimpleNamespace
from typing import Any

from minigrad.backends import precision
from minigrad.backends.precision import Switch


class _Precision(SimpleNamespace):
    """A namespace whose `allow_tf32` is that of one of minigrad's switches."""

    def __init__(self, switch: Switch, **more: Any) -> None:
        self.__dict__["_switch"] = switch
        super().__init__(**more)

    @property
    def allow_tf32(self) -> bool:
        """Whether operands of such products may be rounded to TF32 on a GPU."""
        return self._switch.allow_tf32

    @allow_tf32.setter
    def allow_tf32(self, value: bool) -> None:
        self._switch.allow_tf32 = bool(value)


cudnn = _Precision(
    precision.cudnn,
    enabled=False,
    benchmark=False,
    deterministic=True,
    is_available=lambda: False,
    version=lambda: None,
    flags=lambda *args, **kwargs: nullcontext(),
)
cuda = SimpleNamespace(
    matmul=_Precision(precision.cuda.matmul, allow_fp16_reduced_precision_reduction=False),
    is_built=lambda: False,
    sdp_kernel=lambda *args, **kwargs: nullcontext(),
)
attention = SimpleNamespace(
    SDPBackend=Enum("SDPBackend", "ERROR MATH FLASH_ATTENTION EFFICIENT_ATTENTION CUDNN_ATTENTION OVERRIDEABLE"),
    sdpa_kernel=lambda *args, **kwargs: nullcontext(),
)
"""torch.nn.attention: which kernel computes attention is not asked."""
mps = SimpleNamespace(is_available=lambda: False, is_built=lambda: False)
opt_einsum = SimpleNamespace(enabled=False, strategy=None, is_available=lambda: False)
mkldnn = SimpleNamespace(enabled=False, is_available=lambda: False)
mkl = openmp = SimpleNamespace(is_available=lambda: False)


def __getattr__(name: str) -> Any:
    raise AttributeError(f"minigrad has no torch.backends.{name}")
