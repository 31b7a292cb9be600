"""torch.types: what type hints name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad.tensor import Tensor

Number = int | float | bool
Device = Any
_dtype = _device = _size = _layout = Any
_int, _float, _bool = int, float, bool
_TensorOrTensors = Tensor | Sequence[Tensor]
