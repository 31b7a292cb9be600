"""The orders in which a tensor's elements may lie in memory, under torch's names."""

from __future__ import annotations

from typing import Any


class MemoryFormat:
    """An order of the elements in memory; what `memory_format=` takes."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"minigrad.{self.name}"


preserve_format = MemoryFormat("preserve_format")
"""As in the tensor that is copied."""
contiguous_format = MemoryFormat("contiguous_format")
"""In the order of the indices."""
channels_last = MemoryFormat("channels_last")
"""Images (N, C, H, W) pixel by pixel: in the order of (N, H, W, C)."""
strided = MemoryFormat("strided")
"""The only value of `layout=`: tensors have a shape and strides, and none is sparse."""


def laid_out(array: Any, memory_format: MemoryFormat) -> Any:
    """A copy whose elements lie in that order.

    TypeError for what is no memory format; RuntimeError for channels_last of other than four axes.
    """
    if memory_format is preserve_format:
        return array.copy(order="K")
    if memory_format is contiguous_format:
        return array.copy(order="C")
    if memory_format is not channels_last:
        raise TypeError(f"memory_format must be one of minigrad's memory formats, not {memory_format!r}")
    if array.ndim != 4:
        raise RuntimeError(f"required rank 4 tensor to use channels_last format, not one of shape {tuple(array.shape)}")
    return array.transpose(0, 2, 3, 1).copy(order="C").transpose(0, 3, 1, 2)
