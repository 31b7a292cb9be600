"""torch.backends: switches of libraries that are not used here. They can be set and read, and change nothing."""

from __future__ import annotations

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
cuda = SimpleNamespace(matmul=SimpleNamespace(**_products), is_built=lambda: False)
mps = SimpleNamespace(is_available=lambda: False, is_built=lambda: False)
mkldnn = SimpleNamespace(enabled=False, is_available=lambda: False)
mkl = openmp = SimpleNamespace(is_available=lambda: False)


def __getattr__(name: str) -> Any:
    raise AttributeError(f"minigrad has no torch.backends.{name}")
