"""torch.types and torch.nn.common_types: what type hints name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad.tensor import Tensor

Number = int | float | bool
Device = Any
_dtype = _device = _size = _layout = Any
_int, _float, _bool = int, float, bool
_TensorOrTensors = Tensor | Sequence[Tensor]

_size_1_t = _size_2_t = _size_3_t = _size_4_t = _size_any_t = int | tuple[int, ...]
_size_1_opt_t = _size_2_opt_t = _size_3_opt_t = _size_any_opt_t = int | None | tuple[int | None, ...]
_ratio_2_t = _ratio_3_t = _ratio_any_t = float | tuple[float, ...]
_maybe_indices_t = Tensor | tuple[Tensor, Tensor]
