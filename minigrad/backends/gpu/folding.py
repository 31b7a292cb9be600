"""unfold and fold, in torch's layout: what convolution's definition is made of."""

from __future__ import annotations

from dataclasses import replace

from minigrad.window import Pair, Window

from ..kernels import Array
from .columns import Geometry, columns, fold_rows
from .device import xp
from .layout import from_rows, to_rows


def unfold(x: Array, *, window: Window) -> Array:
    """The patches of x (N, C, H, W) as (N, C*KH*KW, L), L = OH*OW, in torch's order."""
    g = Geometry(replace(window, groups=1), 0, *x.shape)
    cols = columns(g, to_rows(x, xp))
    patches = cols.reshape(g.N, g.OH * g.OW, *window.kernel, g.C).transpose(0, 4, 2, 3, 1)
    return xp.ascontiguousarray(patches).reshape(g.N, g.K, g.OH * g.OW)


def fold(cols: Array, *, output_size: Pair, window: Window) -> Array:
    """The transpose of unfold: (N, C, H, W), every pixel the sum of all that cols (N, C*KH*KW, L) hold of it."""
    n, channels = cols.shape[0], cols.shape[1] // (window.kernel[0] * window.kernel[1])
    g = Geometry(replace(window, groups=1), 0, n, channels, *output_size)
    patches = cols.reshape(n, channels, *window.kernel, cols.shape[2]).transpose(0, 4, 2, 3, 1)
    return from_rows(fold_rows(g, xp.ascontiguousarray(patches).reshape(n * g.OH * g.OW, g.K)), xp)
