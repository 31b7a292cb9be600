"""All the cases of the tables in tests/ops, for what every op has to do: take NumPy's numbers, and float16."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.ops import (
    test_activation,
    test_attention,
    test_elementwise,
    test_indexing,
    test_losses,
    test_matmul,
    test_multihead,
    test_networks,
    test_normalization,
    test_ops,
    test_reduction,
    test_shape,
)

Case = tuple[str, tuple[Any, ...], dict[str, Any]]
"""(name, inputs, kwargs) as `check` takes them."""


def _all() -> Iterator[Case]:
    for listed in (test_activation.CASES, test_elementwise.CASES, test_ops.CASES):
        for _, name, inputs, kwargs in listed.values():
            yield name, tuple(inputs), kwargs
    for table in (test_indexing.T, test_matmul.T, test_reduction.T, test_shape.T):
        for _, name, inputs, kwargs in table.cases.values():
            yield name, tuple(inputs), kwargs
    for _, name, inputs, kwargs in (*test_losses.CASES, *test_networks.CASES):
        yield name, tuple(inputs), kwargs
    for name, inputs, kwargs in test_normalization.CASES:
        yield name, tuple(inputs), kwargs
    for inputs, kwargs in test_attention.CASES:
        yield "nn.functional.scaled_dot_product_attention", tuple(inputs), kwargs
    for inputs, kwargs in test_multihead.CASES.values():
        yield "nn.functional.multi_head_attention_forward", (), {**inputs, **kwargs}


OPTIONS = ("device", "order", "differences", "float32", "layouts", "seed", "minigrad_call", "torch_call")
"""What `check` takes for itself: not the op's."""


def cases() -> dict[str, Case]:
    """Every case, numbered within its name."""
    found: dict[str, Case] = {}
    count: dict[str, int] = {}
    for name, inputs, kwargs in _all():
        count[name] = count.get(name, 0) + 1
        found[f"{name}#{count[name]}"] = name, inputs, kwargs
    return found
