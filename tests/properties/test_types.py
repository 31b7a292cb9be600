"""Types of results: tensors with axes, 0-d tensors and numbers of all types in every combination, against torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from tests.properties.strategies import tries

torch = pytest.importorskip("torch")

TYPES = [np.bool_, np.uint8, np.int8, np.int16, np.int32, np.int64, np.float16, np.float32, np.float64]
REFUSALS = (RuntimeError, IndexError, ValueError, TypeError, NotImplementedError)

NUMBERS = st.sampled_from([True, 2, 3, 2.0, 0.5])


@st.composite
def operands(draw: Any) -> Any:
    """An array with axes, a 0-d one, or a number."""
    form = draw(st.sampled_from([(3,), (3,), (), None]))
    if form is None:
        return draw(NUMBERS)
    return np.asarray(np.array([1, 2, 3])[: form[0] if form else 1].reshape(form), draw(st.sampled_from(TYPES)))


def same(call: Any, *inputs: Any) -> None:
    """The same values in the same type, or both refuse."""

    def outcome(framework: Any) -> Any:
        tensors = [framework.from_numpy(x.copy()) if isinstance(x, np.ndarray) else x for x in inputs]
        try:
            return call(framework, *tensors).numpy()
        except REFUSALS as refusal:
            return f"{type(refusal).__name__}: {refusal}"

    ours, theirs = outcome(minigrad), outcome(torch)
    if isinstance(theirs, str):
        assert isinstance(ours, str), f"torch refuses ({theirs}), minigrad gives {ours!r}"
        return
    assert not isinstance(ours, str), f"minigrad refuses ({ours}), torch gives {theirs!r}"
    assert ours.dtype == theirs.dtype, f"{ours.dtype} against torch's {theirs.dtype}"
    tolerance = 1e-2 if ours.dtype == np.float16 else 1e-5
    np.testing.assert_allclose(np.asarray(ours, np.float64), np.asarray(theirs, np.float64), tolerance, tolerance)


TWO = (
    "add sub mul div pow maximum minimum remainder fmod floor_divide atan2 eq lt ge logical_and bitwise_and bitwise_or xlogy"
).split()
ONE = (
    "neg abs sign exp log sqrt sin tanh sigmoid floor round square reciprocal erf sum mean prod max argmax std all any cumsum "
    "isnan isfinite logical_not clone relu trunc rsqrt sgn amax count_nonzero"
).split()


@tries(400)
@given(name=st.sampled_from(TWO), x=operands(), y=operands())
def test_two_operands(name: str, x: Any, y: Any) -> None:
    if not isinstance(x, np.ndarray):
        x, y = y, x
    if isinstance(x, np.ndarray):
        same(lambda f, a, b: getattr(f, name)(a, b), x, y)


@tries(150)
@given(name=st.sampled_from("+ - * / ** // % < ==".split()), x=operands(), y=operands())
def test_operators(name: str, x: Any, y: Any) -> None:
    if isinstance(x, np.ndarray) or isinstance(y, np.ndarray):
        same(lambda f, a, b: eval(f"a {name} b"), x, y)


@tries(200)
@given(name=st.sampled_from(ONE), dtype=st.sampled_from(TYPES), form=st.sampled_from([(3,), ()]))
def test_one_operand(name: str, dtype: Any, form: tuple[int, ...]) -> None:
    x = np.asarray(np.array([2, 0, 3])[: form[0] if form else 1].reshape(form), dtype)
    same(lambda f, a: getattr(f, name)(a, 0) if name == "cumsum" else getattr(f, name)(a), x)


@tries(100)
@given(x=operands(), y=operands())
def test_where_cat_and_result_type(x: Any, y: Any) -> None:
    condition = np.array([True, False, True])
    same(lambda f, c, a, b: f.where(c, a, b), condition, x, y)
    if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
        same(lambda f, a, b: f.cat([a.reshape(-1), b.reshape(-1)]), x, y)
        same(lambda f, a, b: f.stack([a, b]), x, y)


@tries(60)
@given(x=operands(), low=NUMBERS, high=NUMBERS, alpha=st.sampled_from([1, 2, 0.5]))
def test_numbers_as_parameters(x: Any, low: Any, high: Any, alpha: Any) -> None:
    if isinstance(x, np.ndarray):
        same(lambda f, a: f.clamp(a, low, high), x)
        same(lambda f, a: f.add(a, a, alpha=alpha), x)
        same(lambda f, a: a.masked_fill(a == 1, low), x)
        same(lambda f, a: f.full_like(a, low), x)


@tries(60)
@given(x=operands(), y=operands(), name=st.sampled_from(["add_", "mul_", "sub_", "div_", "pow_"]))
def test_in_place(x: Any, y: Any, name: str) -> None:
    """The result keeps the type of what it is written into, or the types do not fit."""
    if isinstance(x, np.ndarray):
        same(lambda f, a, b: getattr(a, name)(b), x, y)
