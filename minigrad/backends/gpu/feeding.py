"""Batches on their way to a GPU: copied beside the work on the batch before, and normalised there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..kernels import Array
from .device import copy_in, xp
from .launch import kernel
from .layout import from_rows


class Conveyor:
    """Copies batches to the current GPU by a stream of its own: while the work on one is done, the next one is on its way.

    There are two places for each array of a batch. What `bring` returns is for work that is asked for before its next call: the
    copy after that one waits for this work alone.
    """

    def __init__(self) -> None:
        self.stream = xp.cuda.Stream(non_blocking=True)
        self.places: tuple[list[Array], list[Array]] = ([], [])
        self.turn = 0
        self.before = _event()

    def bring(self, arrays: Sequence[np.ndarray]) -> list[Array]:
        """The arrays on the GPU, C-contiguous, for work on the current stream. The host does not wait."""
        here, now = xp.cuda.get_current_stream(), _event()
        now.record(here)
        self.turn = 1 - self.turn
        place = self.places[self.turn]
        if [(a.shape, a.dtype) for a in place] != [(a.shape, a.dtype) for a in arrays]:
            place[:] = [xp.empty(a.shape, a.dtype) for a in arrays]
            self.stream.wait_event(now)  # the memory may be another's, whose work is under way
        self.stream.wait_event(self.before)
        for array, numbers in zip(place, arrays, strict=True):
            copy_in(array, numbers, self.stream)
        there = _event()
        there.record(self.stream)
        here.wait_event(there)
        self.before = now
        return list(place)


def _event() -> Array:
    return xp.cuda.Event(disable_timing=True)


def normalize_bytes(images: Array, shift: Array, scale: Array) -> Array:
    """x (N, C, H, W) = (v - shift) scale, float32, of images v (N, H, W, C) uint8; shift, scale (C,) float32.

    As minigrad.data.normalize has it, to the bit: with shift = 255 mean, scale = 1 / (255 std).
    """
    out = xp.empty(images.shape, np.float32)
    run = kernel("images", "normalize_bytes", out.dtype)
    run.over(out.size, xp.ascontiguousarray(images), shift, scale, out, np.int64(out.size), images.shape[-1])
    return from_rows(out, xp)


class Images:
    """A data set's images as bytes in the current GPU's memory, and what their places make of them (minigrad.data.resident)."""

    def __init__(self, nbytes: int, longest: int, image_size: int, channels: int, plain: bool) -> None:
        """longest: the greatest width or height; plain: nothing is turned or resized."""
        self.bytes = xp.empty(nbytes, np.uint8)
        self.longest, self.image_size, self.channels, self.plain = longest, image_size, channels, plain
        self.filled = 0

    def fill(self, block: np.ndarray) -> None:
        """Put more bytes behind those that are there."""
        copy_in(self.bytes[self.filled : self.filled + block.size], block)
        self.filled += block.size

    def take(self, places: Array, shift: Array, scale: Array) -> Array:
        """x (N, C, S, S) float32, normalised, of places (N, FIELDS) float64; S = image_size."""
        n, size, channels = len(places), self.image_size, self.channels
        out = xp.empty((n, size, size, channels), np.float32)
        count = np.int64(out.size)
        if self.plain:
            cut = kernel("images", "cut_images", out.dtype)
            cut.over(out.size, self.bytes, places, shift, scale, out, count, size, channels)
            return from_rows(out, xp)
        lines = xp.empty((n, self.longest, size, channels), np.uint8)
        first, second = (kernel("images", name, out.dtype) for name in ("resize_lines", "resize_across"))
        first.over(lines.size, self.bytes, places, lines, np.int64(lines.size), self.longest, size, channels)
        second.over(out.size, lines, places, shift, scale, out, count, self.longest, size, channels)
        return from_rows(out, xp)
