"""Backpropagation, one step at a time: `mg.trace()` records a forward and a backward pass.

with mg.trace() as t:
    loss = ((w * x + b - y) ** 2).mean()
    loss.backward()
print(t)  # 80 columns for a terminal
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minigrad.ops.public import offer

if TYPE_CHECKING:
    from minigrad.tensor import Tensor
    from minigrad.tracing.record import Trace

GIBIBYTE = 1 << 30


def trace(input: Tensor | None = None, *, keep: int = GIBIBYTE) -> Any:
    """Without a matrix: a context that records every op within it, forward and backward (`tracing.record.Trace`).

    keep: how many bytes of arrays are copied, so that steps can be run again (`check`, `doubled`, the definitions of fused
    nodes); beyond that a summary of each array is kept. Of a matrix: torch's trace, the sum of its diagonal.
    """
    if input is None:
        return _recorder(keep)
    from minigrad.ops.diagonals import trace as of_matrix

    return of_matrix(input)


def _recorder(keep: int) -> Trace:
    from minigrad.tracing.record import Trace

    return Trace(keep)


offer("minigrad", trace)
