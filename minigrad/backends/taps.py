"""How the winner of a max pool's window is written down: its tap, the kernel offset kh KW + kw."""

from __future__ import annotations

import numpy as np


def tap_dtype(kernel: tuple[int, int]) -> np.dtype:
    """The type of these windows' taps: one that leaves `cut_bit` free."""
    return np.dtype(np.uint8 if kernel[0] * kernel[1] <= 128 else np.int32)


def cut_bit(dtype: np.dtype) -> int:
    """The bit of a tap that says: the ReLU between convolution and pool cut this window off, no gradient goes through it."""
    return 128 if dtype == np.uint8 else 1 << 30
