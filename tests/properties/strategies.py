"""What the property tests share: how often to try, how to draw, and what it means to be the same as torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st


def tries(count: int) -> settings:
    """So many examples, the same ones in every run."""
    return settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much, HealthCheck.too_slow],
    )


def shapes(least: int = 0, most: int = 4, smallest: int = 0, largest: int = 4) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes of `least` to `most` axes."""
    return st.lists(st.integers(smallest, largest), min_size=least, max_size=most).map(tuple)


def drawn(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """A float64 array of that shape: random, of order one, no two elements equal."""
    return np.asarray(np.random.default_rng(seed).uniform(-2, 2, shape))


def same_as_torch(call: Callable[..., Any], *inputs: Any, **options: Any) -> None:
    """Compares call(minigrad, *inputs) with call(torch, *inputs): values, shapes, dtypes, first and second gradients.

    `call` is given the framework, and arrays as its tensors. Where torch refuses, minigrad must.
    """
    import pytest
    import torch

    import minigrad
    from tests.checking import check

    try:
        call(torch, *(torch.from_numpy(x.copy()) if isinstance(x, np.ndarray) else x for x in inputs))
    except (RuntimeError, IndexError, ValueError, TypeError):
        with pytest.raises((RuntimeError, IndexError, ValueError, TypeError)):
            call(minigrad, *(minigrad.from_numpy(x.copy()) if isinstance(x, np.ndarray) else x for x in inputs))
        return
    options = {"float32": False, "differences": False, "layouts": False, **options}
    check(
        "program",
        *inputs,
        minigrad_call=lambda *a: call(minigrad, *a),
        torch_call=lambda *a: call(torch, *a),
        **options,
    )
