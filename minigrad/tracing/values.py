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
    flat = host.reshape(-1) if host.flags.c_contiguous else host.ravel(order="K")
    floats = flat.astype(np.float64) if flat.dtype.kind != "f" or flat.dtype.itemsize < 4 else flat
    if not host.size:
        return Summary(shape, dtype, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0, numbers=host.tolist())
    with np.errstate(all="ignore"):
        squares = float(np.vdot(floats, floats)) if floats.dtype == np.float64 else float(_squares(floats))
        nans = infinities = 0
        if not math.isfinite(squares):
            nans, infinities = int(np.isnan(floats).sum()), int(np.isinf(floats).sum())
            floats = floats[np.isfinite(floats)].astype(np.float64)
            squares = math.nan if nans else math.inf if infinities else float(np.vdot(floats, floats))
        finite = floats if floats.size else np.zeros(1)
        mean = float(finite.mean(dtype=np.float64))
        square = squares if math.isfinite(squares) else float(np.vdot(finite, finite))
        found = Summary(
            shape, dtype, math.sqrt(squares), mean, math.sqrt(max(0.0, square / finite.size - mean * mean)),
            float(finite.min()), float(finite.max()), 1 - np.count_nonzero(flat) / flat.size, nans, infinities,
        )  # fmt: skip
    if host.size <= SMALL:
        found.numbers = host.tolist()
    else:
        sample = finite[:: max(1, finite.size // SAMPLE)]
        low, high = (found.low, found.high) if found.low < found.high else (found.low - 0.5, found.low + 0.5)
        found.histogram = np.histogram(sample, BINS, (low, high))[0].tolist()
        found.picture, found.about = picture(host)
    return found


def _squares(x: np.ndarray) -> np.floating:
    """The sum of the squares, added in float64 a block at a time."""
    return np.add.reduce([np.einsum("i,i->", b, b, dtype=np.float64) for b in np.split(x, range(65536, x.size, 65536))])


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
