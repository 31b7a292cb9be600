"""What a trace keeps of an array: a copy, while there is memory for it, and a summary that a page or a terminal can show.

The summary has the numbers themselves of a small array. Of a large one it has a histogram and a heat map, each cell of
which is the element of largest magnitude in its block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.device import CPU, to_device

SMALL = 48
"""Arrays of at most so many elements are shown as numbers."""
CELLS = 24
"""A heat map has at most so many cells along an axis."""
BINS = 24
BLOCK = 1 << 15
SAMPLE = 50_000
"""A histogram and quantiles are made from at most so many elements, evenly spread."""


@dataclass
class Summary:
    """An array in figures. NaN and infinities are counted, and left out of the rest."""

    shape: tuple[int, ...]
    dtype: str
    norm: float
    """sqrt(sum x^2); NaN if an element is NaN."""
    mean: float
    std: float
    low: float
    high: float
    zeros: float
    """The share of elements that are 0."""
    nans: int
    infinities: int
    numbers: Any = None
    """Nested lists of the numbers of a small array."""
    histogram: list[int] = field(default_factory=list)
    """Counts in BINS equal parts of [low, high]."""
    picture: np.ndarray | None = None
    """Rows and columns of a heat map."""
    about: str = ""
    """What the heat map shows of the array."""

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def rms(self) -> float:
        """sqrt(mean x^2): the norm, whatever the size."""
        return self.norm / math.sqrt(self.size) if self.size else 0.0


def summarise(array: Any) -> Summary:
    """The summary of an array of any type, on any device."""
    host = to_device(array, CPU)
    shape, dtype = tuple(host.shape), str(host.dtype)
    if not host.size:
        return Summary(shape, dtype, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0, numbers=host.tolist())
    flat = host.reshape(-1) if host.flags.c_contiguous else host.ravel(order="K")
    floats = flat.astype(np.float64) if flat.dtype.kind != "f" or flat.dtype.itemsize < 4 else flat
    with np.errstate(all="ignore"):
        squares, total, low, high, nonzero = _figures(floats)
        nans = infinities = 0
        if not math.isfinite(squares):
            nans, infinities = int(np.isnan(floats).sum()), int(np.isinf(floats).sum())
            floats = floats[np.isfinite(floats)].astype(np.float64)
            squares, total, low, high, _ = _figures(floats) if floats.size else (0.0,) * 5
        count = max(1, floats.size)
        std = math.sqrt(max(0.0, squares / count - (total / count) ** 2))
        norm = math.nan if nans else math.inf if infinities else math.sqrt(squares)
    found = Summary(shape, dtype, norm, total / count, std, low, high, 1 - nonzero / flat.size, nans, infinities)
    if host.size <= SMALL:
        found.numbers = host.tolist()
    else:
        low, high = (low, high) if low < high else (low - 0.5, low + 0.5)
        found.histogram = np.histogram(floats[:: max(1, floats.size // SAMPLE)], BINS, (low, high))[0].tolist()
        found.picture, found.about = picture(host)
    return found


def _figures(x: np.ndarray) -> tuple[float, float, float, float, float]:
    """The sum of squares, the sum, the least, the largest, how many are not 0: a block that fits a cache at a time."""
    squares, total, low, high, nonzero = 0.0, 0.0, math.inf, -math.inf, 0
    for start in range(0, x.size, BLOCK):
        block = x[start : start + BLOCK]
        squares += float(block.dot(block))
        total += float(block.sum())
        low, high = min(low, float(block.min())), max(high, float(block.max()))
        nonzero += int(np.count_nonzero(block))
    return squares, total, low, high, nonzero


def picture(x: np.ndarray) -> tuple[np.ndarray, str]:
    """(rows and columns of at most CELLS cells, what they show). Images: four channels of the first one, side by side."""
    if x.ndim >= 3 and x.shape[-1] * x.shape[-2] > 16:
        count = math.prod(x.shape[:-2])
        maps = [x[np.unravel_index(i, x.shape[:-2])] for i in range(min(count, 4))]
        cells = [blocks(m, CELLS, CELLS // 2 if count > 2 else CELLS) for m in maps]
        return np.concatenate(cells, 1), f"the first {len(maps)} of {count} maps" if count > 1 else ""
    x = x.reshape(x.shape[0], -1) if x.ndim > 2 else x
    if x.ndim == 2:
        return blocks(x, CELLS, 2 * CELLS), f"{x.shape[0]} rows, {x.shape[1]} columns"
    return blocks(x.reshape(1, -1), 1, 2 * CELLS), ""


def _floats(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32) if x.dtype.kind != "f" or x.dtype.itemsize < 4 else x


def blocks(x: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """x (H, W) in at most rows x columns blocks: of each the element of largest magnitude, with its sign; NaN wins."""
    x = _floats(x)
    return _largest(_largest(x, 0, rows), 1, columns)


def _largest(x: np.ndarray, axis: int, count: int) -> np.ndarray:
    if x.shape[axis] <= count:
        return x
    starts = np.linspace(0, x.shape[axis], count, endpoint=False).astype(int)
    high, low = np.maximum.reduceat(x, starts, axis), np.minimum.reduceat(x, starts, axis)
    return np.where(-low > high, low, high)


@dataclass
class Value:
    """One array of a trace: a leaf, an op's result, or a gradient."""

    summary: Summary
    array: Any
    """A copy on the device that the array was on; None beyond what the trace may keep."""
    label: str = ""
    """x.name, a parameter's name in its module, or the variable's."""
    producer: int | None = None
    """The number of the node that made it."""
    output: int = 0
    """Which of that node's outputs it is."""
    leaf: bool = False
    """Whether gradients are accumulated here."""
    gradient: Value | None = None
    """Of a leaf: its .grad when the trace ended; of a result: the gradient that came in."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's."""
        return self.summary.shape
