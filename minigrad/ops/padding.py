"""pad: borders around the last axes, constant, reflected, replicated or circular."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import backends
from minigrad.arguments import ints
from minigrad.op import Op
from minigrad.ops.common import real
from minigrad.ops.public import offer
from minigrad.tensor import Tensor, describe


class Pad(Op):
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
    """A border around the last axes: pad = (left, right, top, bottom, ...), the last axis first; negative widths crop.

    mode: "constant" (value, 0 by default), of any axes; "reflect", "replicate" or "circular", of the last one, two or three of
    input (C, ...) or (N, C, ...).
    """
    pad = ints((tuple(pad),))
    count = len(pad) // 2
    if len(pad) % 2 or count > input.ndim:
        raise RuntimeError(
            f"Padding length must be divisible by 2 and at most twice the number of dimensions, got {pad}"
        )
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if mode != "constant":
        if value is not None and value != 0:
            raise ValueError(f'Padding mode "{mode}" doesn\'t take in value argument')
        if not (1 <= count <= 3 and count + 1 <= input.ndim <= count + 2):
            raise NotImplementedError(f"Padding size {len(pad)} is not supported for {describe(input)} in mode {mode}")
    widths = [(0, 0)] * (input.ndim - count) + [(pad[2 * i], pad[2 * i + 1]) for i in reversed(range(count))]
    mirrored = mode in ("reflect", "replicate")  # of these, torch gives no empty results
    for n, (a, b) in zip(input.shape, widths, strict=True):
        if (n + a + b < 1 and (a or b)) if mirrored else (n + min(a, 0) + min(b, 0) < 0 or n + a + b < 0):
            raise RuntimeError(f"padding {pad} resulted in a negative output size for {describe(input)}")
    if mode == "constant":
        return Pad(tuple(widths), 0.0 if value is None else real(value, "value"))(input)
    if mirrored and 0 in input.shape[-count - 1 :]:
        raise RuntimeError(
            f"Expected a tensor with possibly 0 batch size and other non-zero dimensions, got {describe(input)}"
        )
    y = input
    for d, (before, after) in enumerate(widths):
        if before or after:
            y = y[(slice(None),) * d + (_sources(input.shape[d], before, after, mode),)]
    return input.clone() if y is input else y


def _sources(n: int, before: int, after: int, mode: str) -> np.ndarray:
    """Where each element of a padded axis comes from."""
    i = np.arange(-before, n + after)
    if mode == "replicate":
        return np.clip(i, 0, n - 1)
    if mode == "circular":  # around what is left of the axis, where one end is cropped and the other one goes on
        start, stop = max(-before, 0), n - max(-after, 0)
        if max(before, after) > stop - start:
            raise RuntimeError("Padding value causes wrapping around more than once.")
        return (i - start) % max(stop - start, 1) + start
    if before >= n or after >= n:
        raise RuntimeError(
            f"Argument #4: Padding size should be less than the corresponding input dimension, but got: padding "
            f"({before}, {after}) at an axis of {n}"
        )
    return np.abs((i + n - 1) % max(2 * (n - 1), 1) - (n - 1)) if n > 1 else np.zeros_like(i)


offer("Tensor nn.functional", pad)
