"""torch.nn.utils.rnn: sequences of several lengths in one tensor. Packed sequences are not built."""

from __future__ import annotations

from collections.abc import Sequence

from minigrad.ops.shape import cat, stack
from minigrad.tensor import Tensor

__all__ = ["pad_sequence"]


def pad_sequence(
    sequences: Sequence[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Sequences (L_i, ...) as one tensor (L, N, ...), or (N, L, ...) if batch_first, each filled up to the longest's L."""
    if padding_side not in ("left", "right"):
        raise ValueError(f"padding_side should be either 'right' or 'left', not {padding_side!r}")
    longest = max(len(x) for x in sequences)

    def padded(x: Tensor) -> Tensor:
        rest = x.new_full((longest - len(x), *x.shape[1:]), padding_value)
        return cat([x, rest] if padding_side == "right" else [rest, x])

    return stack([padded(x) for x in sequences], 0 if batch_first else 1)
