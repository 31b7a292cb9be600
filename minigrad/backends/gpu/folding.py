"""unfold and fold, in torch's layout: what convolution's definition is made of."""

from __future__ import annotations

from typing import Any

from .columns import Geometry, Pair, columns, fold_rows
from .device import xp
from .layout import from_rows, to_rows


def unfold(x: Any, kernel: Pair, dilation: Pair, padding: Pair, stride: Pair) -> Any:
    """The patches of x (N, C, H, W) as (N, C*KH*KW, L), L = OH*OW, in torch's order."""
    n, c, h, w = x.shape
    g = Geometry(n, c, h, w, 1, 0, kernel, stride, padding, dilation)
    cols = columns(g, to_rows(x, xp), slice(0, g.N * g.OH * g.OW))
    patches = cols.reshape(g.N, g.OH * g.OW, *kernel, g.C).transpose(0, 4, 2, 3, 1)
    return xp.ascontiguousarray(patches).reshape(g.N, g.C * kernel[0] * kernel[1], g.OH * g.OW)


def fold(cols: Any, output_size: Pair, kernel: Pair, dilation: Pair, padding: Pair, stride: Pair) -> Any:
    """The transpose of unfold: (N, C, H, W), every pixel the sum of all that cols (N, C*KH*KW, L) hold of it."""
    n, channels = cols.shape[0], cols.shape[1] // (kernel[0] * kernel[1])
    g = Geometry(n, channels, *output_size, 1, 0, kernel, stride, padding, dilation)
    patches = cols.reshape(n, channels, *kernel, cols.shape[2]).transpose(0, 4, 2, 3, 1)
    x = xp.empty((n, *output_size, channels), cols.dtype)
    rows = slice(0, n * g.OH * g.OW)
    fold_rows(g, xp.ascontiguousarray(patches).reshape(1, rows.stop, g.K), x, rows)
    return from_rows(x, xp)
