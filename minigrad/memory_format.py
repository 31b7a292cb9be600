"""How a tensor lies in memory, under torch's names."""

from __future__ import annotations

from enum import Enum


class MemoryFormat(Enum):
    """What `to`, `contiguous`, `clone` and the like take as memory_format."""

    contiguous_format = "contiguous_format"  # in the order of the indices
    channels_last = "channels_last"  # (N, C, H, W) as (N, H, W, C)
    preserve_format = "preserve_format"  # as it is

    def __repr__(self) -> str:
        return f"minigrad.{self.value}"


contiguous_format = MemoryFormat.contiguous_format
channels_last = MemoryFormat.channels_last
preserve_format = MemoryFormat.preserve_format
