"""out=: the result is written into a tensor that is there already, as in torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg

CALLS: dict[str, Any] = {
    "add": lambda m, x, out: m.add(x, x, out=out),
    "mul by name": lambda m, x, out: m.mul(input=x, other=2.5, out=out),
    "matmul": lambda m, x, out: m.matmul(x, x, out=out),
    "sum over axis": lambda m, x, out: m.sum(x, axis=1, out=out),
    "cat": lambda m, x, out: m.cat([x, x], 1, out=out),
    "eye": lambda m, x, out: m.eye(3, out=out),
    "arange": lambda m, x, out: m.arange(4, out=out),
    "where": lambda m, x, out: m.where(x > 0, x, -x, out=out),
}


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("name", CALLS)
def test_as_torch(name: str, kind: str) -> None:
    found = []
    for library in (torch, mg):
        x = library.tensor(np.random.default_rng(0).uniform(-1, 1, (3, 3)), dtype=getattr(library, kind))
        out = library.empty(0, dtype=getattr(library, kind) if name != "arange" else library.int64)
        result = CALLS[name](library, x, out)
        assert result is out
        again = library.full(tuple(out.shape), 7, dtype=out.dtype)
        pointer = again.data_ptr()
        CALLS[name](library, x, again)
        assert again.data_ptr() == pointer and again.tolist() == out.tolist()
        found.append(out.numpy())
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6, atol=1e-7)


def test_a_wider_type_is_fine() -> None:
    for library in (torch, mg):
        out = library.empty(2, dtype=library.float64)
        assert (
            library.add(library.ones(2), 1, out=out) is out
            and out.dtype == library.float64
            and out.tolist() == [2.0, 2.0]
        )


def test_pairs_of_results() -> None:
    x = mg.tensor([[1.0, 3.0], [4.0, 2.0]])
    values, places = mg.empty(0), mg.empty(0, dtype=mg.int64)
    result = mg.max(x, 1, out=(values, places))
    assert result[0] is values and values.tolist() == [3.0, 4.0] and places.tolist() == [1, 0]


def test_what_torch_refuses() -> None:
    for library in (torch, mg):
        x, out = library.ones(2, requires_grad=True), library.empty(2)
        with pytest.raises(RuntimeError, match="out=... arguments don't support automatic differentiation"):
            library.add(x, x, out=out)
        with library.no_grad():
            assert library.add(x, x, out=out).tolist() == [2.0, 2.0]
        with pytest.raises(RuntimeError, match="can't be cast to the desired output type"):
            library.add(x.detach(), 0.5, out=library.empty(2, dtype=library.int64))
        with pytest.warns(UserWarning, match="was resized"):
            library.add(x.detach(), 0.5, out=library.empty(3))
        assert library.add(x, x, out=None).requires_grad
