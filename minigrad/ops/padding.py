"""Borders around the last axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import backends
from minigrad.function import Function
from minigrad.ops.common import real
from minigrad.ops.shape import ints
from minigrad.tensor import Tensor, describe


class Pad(Function):
    """A border of a constant around x (negative widths crop);  gx = gy without the border."""

    def __init__(self, widths: tuple[tuple[int, int], ...], value: float) -> None:
        self.widths, self.value = widths, value

    def forward(self, x: Any) -> Any:
        xp = backends.of(x).xp
        x = x[tuple([slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, self.widths, strict=True)])]
        widths = [(max(a, 0), max(b, 0)) for a, b in self.widths]
        y = xp.empty_like(x, shape=tuple([n + a + b for n, (a, b) in zip(x.shape, widths, strict=True)]))
        y.fill(self.value)
        y[tuple([slice(a, a + n) for n, (a, _) in zip(x.shape, widths, strict=True)])] = x
        return y

    def backward(self, gy: Tensor) -> Tensor:
        return Pad(tuple([(-a, -b) for a, b in self.widths]), 0)(gy)


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """A border around the last axes: pad = (left, right, top, bottom, ...), the last axis first.

    mode: "constant" (value, 0 by default; negative widths crop), "reflect", "replicate" or "circular".
    """
    pad = ints((tuple(pad),))
    if len(pad) % 2 or len(pad) // 2 > input.ndim:
        raise RuntimeError(
            f"Padding length must be divisible by 2 and at most twice the number of dimensions, got {pad}"
        )
    widths = [(0, 0)] * input.ndim
    for i in range(len(pad) // 2):
        widths[input.ndim - 1 - i] = (pad[2 * i], pad[2 * i + 1])
    for n, (a, b) in zip(input.shape, widths, strict=True):
        if n + a + b < 0:
            raise RuntimeError(f"padding {pad} resulted in a negative output size for {describe(input)}")
    if mode == "constant":
        return Pad(tuple(widths), 0.0 if value is None else real(value, "value"))(input)
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if value is not None and value != 0:
        raise ValueError(f'Padding mode "{mode}" doesn\'t take in value argument')
    for d, (a, b) in enumerate(widths):
        if a or b:
            input = input[(slice(None),) * d + (_border(input.shape[d], a, b, mode),)]
    return input


def _border(n: int, before: int, after: int, mode: str) -> np.ndarray:
    """Where each element of a padded axis comes from."""
    i = np.arange(-before, n + after)
    if mode == "replicate":
        return np.clip(i, 0, n - 1)
    if mode == "circular":
        if before > n or after > n:
            raise RuntimeError("Padding value causes wrapping around more than once.")
        return i % n
    if before >= n or after >= n:
        raise RuntimeError(
            f"Argument #4: Padding size should be less than the corresponding input dimension, but got: padding "
            f"({before}, {after}) at an axis of {n}"
        )
    return np.abs((i + n - 1) % max(2 * (n - 1), 1) - (n - 1)) if n > 1 else np.zeros_like(i)
