"""What tools/mutation.py found that no test saw: kinks of pow, values at bounds, and gradients asked for one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad.autograd import grad
from tests.checking import Given, check
from tests.properties.strategies import drawn

F = minigrad.nn.functional
NAN = float("nan")

CASES: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("pow", (Given([0.0, 0.0, 0.0, 0.0, 2.0, 2.0, 0.0]), Given([0.0, 1.0, -1.0, 2.0, 0.0, 1.0, 0.5])), {}),
    ("pow", (Given([-1.5, -1.5, -1.0]), Given([1.0, 2.0, 0.0])), {}),
    ("pow", (Given([0.0, 1.0, -2.0]), 1.0), {}),
    ("pow", (Given([0.0, 1.0, -2.0]), 0.0), {}),
    ("pow", (-2.0, Given([0.0, 1.0, 2.0])), {}),
    ("pow", (0.0, Given([0.0, 1.0, 2.0, 0.5])), {}),
    ("pow", (0.0, Given([-1.0, 3.0])), {}),
    ("pow", (1.0, Given([-1.0, 3.0])), {}),
    ("div", ((2, 3), (3,)), {"rounding_mode": "floor"}),
    ("div", ((3,), (2, 3)), {"rounding_mode": "trunc"}),
    ("where", (Given([[True, False, True], [False, True, True]]), (3,), (2, 3)), {}),
    ("where", (Given([[True, False, True], [False, True, True]]), (2, 1), ()), {}),
    ("clamp", (Given([-1.0, -2.0, 0.0, 1.0, NAN]),), {"min": -1.0, "max": 1.0}),
    ("clamp", (Given([-1.0, -2.0, 0.0, 1.0, NAN]),), {"min": -1.0}),
    ("clamp", (Given([-1.0, -2.0, 0.0, 1.0, NAN]),), {"max": 1.0}),
    ("nn.functional.hardtanh", (Given([-1.0, -2.0, 0.0, 1.0, NAN]),), {}),
    ("xlogy", (Given([0.0, 0.0, 0.0, 1.5, 0.0]), Given([0.5, 0.0, -1.0, 0.5, 2.0])), {}),
    ("maximum", (Given([1.0, 2.0, 3.0]), Given([[1.0, 3.0, 2.0], [0.0, 2.0, NAN]])), {}),
    ("minimum", (Given([1.0, 2.0, 3.0]), Given([[1.0, 3.0, 2.0], [0.0, 2.0, NAN]])), {}),
]


@pytest.mark.parametrize("name, inputs, options", CASES)
def test_at_the_kinks(name: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> None:
    check(name, *inputs, differences=False, float32=False, order=1 if name == "pow" else 2, **options)


@pytest.mark.parametrize("index, shape", [(0, (1, 3, 4)), (0, (1, 1, 4)), ((0, 1), (1, 4)), ((0, 1), (1, 1, 1))])
def test_a_value_with_more_axes_than_its_place(index: Any, shape: tuple[int, ...]) -> None:
    def assign(x: Any, v: Any) -> Any:
        y = x * 2
        y[index] = v
        return y

    check("setitem", (2, 3, 4), shape, minigrad_call=assign, torch_call=assign, layouts=False)


SEVERAL: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {
    **{
        name: (getattr(minigrad, name), [(2, 3), (3,)])
        for name in "add sub mul div maximum minimum atan2 hypot logaddexp fmod remainder xlogy".split()
    },
    "pow": (lambda x, y: (x.abs() + 1) ** y, [(2, 3), (3,)]),
    "where": (lambda x, y: minigrad.where(minigrad.from_numpy(drawn((2, 3)) > 0), x, y), [(2, 3), (3,)]),
    "lerp": (minigrad.lerp, [(2, 3), (3,), (2, 1)]),
    "matmul": (minigrad.matmul, [(2, 3), (3, 4)]),
    "cat": (lambda x, y: minigrad.cat([x, y]), [(2, 3), (1, 3)]),
    "setitem": (lambda x, v: (x * 1).index_put((minigrad.tensor([0, 2]),), v * 1), [(3, 2), (2, 2)]),
    "linear": (F.linear, [(2, 3), (4, 3), (4,)]),
    "conv2d": (F.conv2d, [(2, 3, 4, 5), (2, 3, 3, 2), (2,)]),
    "conv_transpose2d": (F.conv_transpose2d, [(2, 3, 4, 5), (3, 2, 3, 2), (2,)]),
    "conv2d_relu": (lambda x, w, b: F._conv2d_relu(x, w, b, 1, 0, 1, 1), [(2, 3, 4, 5), (2, 3, 3, 2), (2,)]),
    "conv2d_relu_max_pool2d": (
        lambda x, w, b: F._conv2d_relu_max_pool2d(x, w, b, 1, 0, 1, 1, ((2, 2), (1, 1), (0, 0), (1, 1), False)),
        [(2, 3, 5, 5), (2, 3, 3, 2), (2,)],
    ),
    "batch_norm": (lambda x, w, b: F.batch_norm(x, None, None, w, b, True), [(4, 3, 2), (3,), (3,)]),
    "batch_norm, evaluated": (
        lambda x, w, b: F.batch_norm(x, minigrad.from_numpy(drawn((3,), 7)), minigrad.from_numpy(np.ones(3)), w, b),
        [(4, 3, 2), (3,), (3,)],
    ),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (3, 4), w, b), [(2, 3, 4), (3, 4), (3, 4)]),
    "group_norm": (lambda x, w, b: F.group_norm(x, 2, w, b), [(2, 4, 3), (4,), (4,)]),
    "rms_norm": (lambda x, w: F.rms_norm(x, (3, 4), w), [(2, 3, 4), (3, 4)]),
    "attention": (F.scaled_dot_product_attention, [(2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 3), (3, 5)]),
    "attention, few keys": (F.scaled_dot_product_attention, [(2, 2, 3, 4), (2, 2, 2, 4), (2, 2, 2, 6)]),
    "prelu": (F.prelu, [(2, 3, 2), (3,)]),
}


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("name", SEVERAL)
def test_gradients_one_at_a_time(name: str, again: bool) -> None:
    """An input alone has the gradient that it has among others, when it is differentiated once and when twice."""
    call, forms = SEVERAL[name]
    arrays = [drawn(shape, seed) for seed, shape in enumerate(forms)]

    def gradients(chosen: list[int]) -> list[np.ndarray]:
        tensors = [minigrad.from_numpy(a).requires_grad_(i in chosen) for i, a in enumerate(arrays)]
        y = call(*tensors)
        wanted = [tensors[i] for i in chosen]
        found = grad(y, wanted, minigrad.from_numpy(drawn(y.shape, 11)).requires_grad_(), create_graph=again)
        return [g.detach().numpy() for g in found]

    together = gradients(list(range(len(arrays))))
    for i, expected in enumerate(together):
        (alone,) = gradients([i])
        np.testing.assert_allclose(alone, expected, rtol=1e-12, atol=1e-12)


def test_the_third_gradient_of_a_max_pool() -> None:
    """d/dx sum (dL/dx)^2 for L = sum pool(x^2)^2: minigrad's third gradient by minigrad's own finite differences."""
    x, d = drawn((1, 1, 4, 4)), drawn((1, 1, 4, 4), 1)

    def second(array: np.ndarray, create_graph: bool) -> tuple[Any, Any]:
        t = minigrad.from_numpy(array).requires_grad_()
        (g,) = grad((F.max_pool2d(t * t, 2) ** 2).sum(), [t], create_graph=True)
        return t, grad((g * g).sum(), [t], create_graph=create_graph)[0]

    t, s = second(x, True)
    (third,) = grad((s * minigrad.from_numpy(d)).sum(), [t])
    step = 1e-6
    measured = ((second(x + step * d, False)[1] - second(x - step * d, False)[1]) / (2 * step)).numpy()
    np.testing.assert_allclose((third.numpy() * d).sum(), (measured * d).sum(), rtol=1e-6)
