"""The geometry of the windows that convolution, pooling and unfold slide over images, as one value."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

__all__ = ["Pair", "Window"]

Pair: TypeAlias = tuple[int, int]
Slices: TypeAlias = tuple[slice, slice]


@dataclass(frozen=True)
class Window:
    """A window of KH x KW kernel offsets; every pair is (height, width).

    Offset (kh, kw) of the window of output (oh, ow) is the pixel in row oh SH + kh DH - PH, column ow SW + kw DW - PW.
    Hashable: plans are cached by it.
    """

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    ceil_mode: bool = False

    @cached_property
    def extent(self) -> Pair:
        """The effective kernel extent: from a window's first pixel to its last, d (k - 1) + 1."""
        (kh, kw), (dh, dw) = self.kernel, self.dilation
        return dh * (kh - 1) + 1, dw * (kw - 1) + 1

    @property
    def pointwise(self) -> bool:
        """One offset that falls on every pixel: the patches are the image."""
        return self.kernel == self.stride == (1, 1) and self.padding == (0, 0)

    def output_size(self, size: Sequence[int]) -> Pair:
        """(OH, OW) = floor((size + 2 padding - extent) / stride) + 1 windows of images (H, W), below 1 where none fits.

        ceil_mode rounds up, but drops a last window that would start in the padding behind the image.
        """
        (sh, sw), (ph, pw), (eh, ew) = self.stride, self.padding, self.extent
        height, width = size
        if not self.ceil_mode:
            return (height + 2 * ph - eh) // sh + 1, (width + 2 * pw - ew) // sw + 1
        rows, columns = -((eh - height - 2 * ph) // sh) + 1, -((ew - width - 2 * pw) // sw) + 1
        return rows - ((rows - 1) * sh >= height + ph), columns - ((columns - 1) * sw >= width + pw)

    def input_size(self, out: Sequence[int]) -> Pair:
        """The smallest image (H, W) = (out - 1) stride + extent - 2 padding that has (OH, OW) windows."""
        (sh, sw), (ph, pw), (eh, ew) = self.stride, self.padding, self.extent
        return (out[0] - 1) * sh + eh - 2 * ph, (out[1] - 1) * sw + ew - 2 * pw

    def border(self, size: Sequence[int]) -> tuple[Pair, Pair]:
        """The pixels that the windows see around images (H, W): ((above, below), (left, right)) of them."""
        (height, width), (ph, pw) = self.input_size(self.output_size(size)), self.padding
        return (ph, max(height + ph - size[0], 0)), (pw, max(width + pw - size[1], 0))

    def offsets(self, size: Pair, out: Pair) -> Iterator[tuple[int, int, Slices, Slices]]:
        """For each offset (kh, kw) that meets the image at all: the pixels under it, and the outputs they belong to."""
        for kh in range(self.kernel[0]):
            for kw in range(self.kernel[1]):
                rows, out_rows = self.offset(0, kh, size[0], out[0])
                columns, out_columns = self.offset(1, kw, size[1], out[1])
                if out_rows.start < out_rows.stop and out_columns.start < out_columns.stop:
                    yield kh, kw, (rows, columns), (out_rows, out_columns)

    def offset(self, axis: int, k: int, size: int, out: int) -> Slices:
        """Along one axis: the pixels under offset k where it is inside the image, and the outputs they belong to."""
        s, start = self.stride[axis], k * self.dilation[axis] - self.padding[axis]
        first = max(0, -(start // s))  # the least o with o s + start >= 0
        last = min(out, (size - 1 - start) // s + 1)
        if last <= first:
            return slice(0, 0), slice(0, 0)
        pixel = first * s + start
        return slice(pixel, pixel + (last - first - 1) * s + 1, s), slice(first, last)

    def phase(self, axis: int, start: int) -> tuple[slice, int, int]:
        """Along one axis: the offsets that fall on the pixels start, start + S, start + 2 S ..., where 0 <= start < S;
        the output whose first such offset falls on `start`; and from one to the next, how many outputs further back it is.
        """
        k, s, p, d = (pair[axis] for pair in (self.kernel, self.stride, self.padding, self.dilation))
        step = s // math.gcd(s, d)
        first = next((i for i in range(min(step, k)) if (i * d - p - start) % s == 0), k)
        return slice(first, k, step), (start + p - first * d) // s, d * step // s
