"""Backpropagation, one step at a time: `mg.trace()` records a forward and a backward pass, `mg.watch(model)` a training.

with mg.trace() as t:
    loss = ((w * x + b - y) ** 2).mean()
    loss.backward()
print(t)  # 80 columns for a terminal
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minigrad.ops.public import offer

if TYPE_CHECKING:
    from pathlib import Path

    from minigrad.tensor import Tensor
    from minigrad.tracing.record import Trace
    from minigrad.tracing.watch import Watch

GIBIBYTE = 1 << 30


def trace(input: Tensor | None = None, *, keep: int = GIBIBYTE) -> Any:
    """Without a matrix: a context that records every op within it, forward and backward (`tracing.record.Trace`).

    keep: how many bytes of arrays are copied, so that steps can be run again (`check`, `doubled`, the definitions of fused
    nodes); beyond that a summary of each array is kept. Of a matrix: torch's trace, the sum of its diagonal. TypeError for
    anything else: a model is called within the context.
    """
    if input is None:
        return _recorder(keep)
    from minigrad.ops.diagonals import trace as of_matrix
    from minigrad.tensor import Tensor

    if not isinstance(input, Tensor):
        what = type(input).__name__
        raise TypeError(
            f"trace() takes a matrix, not {what}; to record a pass: with mg.trace() as t, and call it within"
        )
    return of_matrix(input)


def _recorder(keep: int) -> Trace:
    from minigrad.tracing.record import Trace

    return Trace(keep)


def watch(
    model: Any, optimizer: Any = None, *, every: int = 1, folder: str | Path | None = None, first: int = 0
) -> Watch:
    """A context that notes the norms of gradients and updates and the share of dead units, over the steps of a training.

    model: of minigrad or of torch. optimizer: each of its steps counts; None: each call of the watch's `step()`. every: only
    each so-manieth step is looked at. folder: where TensorBoard's events are written as they come, and watch.png at the end.
    first: the number of the first step. Of parameters and layers, by name: see `tracing.watch.Watch`.
    """
    from minigrad.tracing.watch import Watch

    return Watch(model, optimizer, every, folder, first)


offer("minigrad", trace, watch)
