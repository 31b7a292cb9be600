"""The promise of `fresh` ops, held in every backward pass of the suite: what they return is theirs to give away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigrad import engine
from minigrad.grad_mode import state
from minigrad.tensor import Tensor


def may_share_memory(x: Any, y: Any) -> bool:
    """Whether two arrays of one library may overlap in memory, by their bounds."""
    if type(x) is not type(y) or not x.size or not y.size:
        return False
    if hasattr(x, "_array"):  # the stand-in for CuPy
        x, y = x._array, y._array
    if isinstance(x, np.ndarray):
        return np.may_share_memory(x, y)
    import cupy

    return bool(cupy.may_share_memory(x, y))


def saved_arrays(node: Any) -> list[Any]:
    """The arrays that a node keeps for its backward."""
    saved = [s[0].array for s in node._saved if type(s) is tuple]
    kept = [getattr(node, name, None) for name in node.keeps]
    output = [] if node._output is None else [node._output[0]]
    return saved + output + [a for a in kept if hasattr(a, "strides")]


@contextmanager
def watched() -> Iterator[None]:
    """Checks each step of each backward pass within: a fresh gradient overlaps nothing, and can be written into."""
    step = engine._step

    def checked(node: Any, gradients: Any, needs: Any, observers: Any) -> Any:
        if not node.fresh or node.packed is not None or state.grad:  # a recorded pass adds into no array
            return step(node, gradients, needs, observers)
        others = saved_arrays(node) + [g.array for g in gradients if isinstance(g, Tensor)]
        results = step(node, gradients, needs, observers)
        if node.hooks and engine.AFTER in node.hooks:  # then the engine does not count them as its own
            return results
        for _, result in results:
            array = result.array
            name = f"{node.name()} is declared fresh, but a gradient that it returns"
            assert not any(may_share_memory(array, other) for other in others), f"{name} overlaps another array"
            assert not array.size or not any(
                s == 0 and n > 1 for s, n in zip(array.strides, array.shape, strict=True)
            ), f"{name} repeats"
            assert getattr(array.flags, "writeable", True), f"{name} is read-only"
            others.append(array)
        return results

    engine._step = checked
    try:
        yield
    finally:
        engine._step = step
