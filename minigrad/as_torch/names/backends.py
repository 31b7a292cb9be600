"""torch.backends: switches of libraries that are not used here. They can be set and read, and change nothing."""

from __future__ import annotations

from contextlib import nullcontext
from enum import Enum
from types import SimpleNamespace
from typing import Any

_products = {"allow_tf32": False, "allow_fp16_reduced_precision_reduction": False}

cudnn = SimpleNamespace(
    enabled=False,
    benchmark=False,
    deterministic=True,
    allow_tf32=False,
    is_available=lambda: False,
    version=lambda: None,
)
cuda = SimpleNamespace(
    matmul=SimpleNamespace(**_products), is_built=lambda: False, sdp_kernel=lambda *args, **kwargs: nullcontext()
)
attention = SimpleNamespace(
    SDPBackend=Enum("SDPBackend", "ERROR MATH FLASH_ATTENTION EFFICIENT_ATTENTION CUDNN_ATTENTION OVERRIDEABLE"),
    sdpa_kernel=lambda *args, **kwargs: nullcontext(),
)
"""torch.nn.attention: which kernel computes attention is not asked."""
mps = SimpleNamespace(is_available=lambda: False, is_built=lambda: False)
mkldnn = SimpleNamespace(enabled=False, is_available=lambda: False)
mkl = openmp = SimpleNamespace(is_available=lambda: False)


def __getattr__(name: str) -> Any:
    raise AttributeError(f"minigrad has no torch.backends.{name}")
