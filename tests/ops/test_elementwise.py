"""Arithmetic, exponentials, angles, rounding, choices and comparisons against torch: a line an op."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import minigrad
from tests.cases import INDEX, INF, KINKED, NAN, Table, values
from tests.checking import Drawn, Given, check, positive

T = Table()
case, refusal = T.case, T.refusal

# -- one operand, where the function is smooth
EVERYWHERE = Drawn((2, 3))
DOMAIN: dict[str, Callable[..., Drawn]] = {
    name: Drawn
    for name in (
        "exp exp2 expm1 sin cos sinh cosh tanh atan asinh sigmoid erf erfc neg square positive "
        "special.erf special.erfc special.expit special.exp2 special.expm1"
    ).split()
}
DOMAIN |= {name: positive for name in "log log2 log10 log1p sqrt rsqrt reciprocal special.log1p".split()}  # type: ignore[misc]
DOMAIN |= {name: partial(Drawn, low=-0.9, high=0.9) for name in "asin acos atanh".split()}
DOMAIN |= {"acosh": partial(Drawn, low=1.2, high=3.0), "tan": partial(Drawn, low=-1.2, high=1.2)}
DOMAIN |= {"logit": partial(Drawn, low=0.1, high=0.9), "special.logit": partial(Drawn, low=0.1, high=0.9)}


def drawn(domain: Callable[..., Drawn], *shape: int) -> Drawn:
    return domain(*shape) if domain is positive else domain(shape)


for name, domain in DOMAIN.items():
    for shape in ((2, 3), (), (0,), (2, 1, 3, 2)):
        case(name, drawn(domain, *shape))
    if name not in ("neg", "square", "positive"):
        case(name, Given([1, 0, 3], INDEX), **KINKED)
        case(name, Given([True, False]), **KINKED)
SPECIAL = Given([0.0, -0.0, 1.0, -1.0, INF, -INF, NAN])
for name in DOMAIN:
    case(name, SPECIAL, **KINKED)
for name in (
    "absolute negative arcsin arccos arctan arccosh arcsinh arctanh".split()  # second names
):
    case(name, drawn(DOMAIN.get(name.replace("arc", "a"), Drawn), 3))
case("logit", Given([0.05, 0.3, 0.97, NAN]), eps=0.1, **KINKED)
case("logit", Given([0.05, 0.3, 0.97]), 0.1, **KINKED)
for name, points in {
    "exp": [-800.0, 800.0, 88.0], "expm1": [1e-12, -800.0], "log1p": [1e-12, -0.5], "erf": [1e-9, 0.3, 3.0, 6.0, -9.0],
    "erfc": [1e-9, 0.3, 3.0, 6.0, -9.0], "sigmoid": [-800.0, -30.0, 0.0, 30.0, 800.0], "tanh": [-800.0, 1e-9, 800.0],
}.items():  # fmt: skip
    case(name, Given(points), **KINKED)
for name in ("erf", "erfc", "exp2"):
    case(name, Drawn((40, 1000), -5, 5), layouts=False)

# -- piecewise constant, and their like
for name in "floor ceil trunc fix round sign sgn frac".split():
    case(name, Given([[-2.5, -1.5, -0.5, -0.0, 0.0], [0.5, 1.5, 2.5, 7.0, -7.0]]), **KINKED)
    case(name, Given([INF, -INF, NAN, 1e20, -0.3]), **KINKED, order=1)
    case(name, Drawn(()), **KINKED)
    case(name, Drawn((0, 2)), **KINKED)
    if name != "frac":
        case(name, Given([-3, 0, 2], INDEX))
        case(name, Given([3, 0, 2], np.uint8))
for decimals in (-2, -1, 0, 1, 3):
    case("round", Given([1.25, -2.35, 1555.0, 1250.0, 0.0005, NAN]), **KINKED, decimals=decimals)
    case("special.round", Given([1.25, -2.35, 1555.0]), **KINKED, decimals=decimals)
case("abs", Given([-1.5, 0.0, -0.0, 2.0, INF, NAN]), **KINKED)
case("abs", Given([-1, 0, 2], np.int32))
case("heaviside", Given([-1.0, 0.0, 2.0, NAN]), Given([0.5]), order=0, how=values)
case("heaviside", Given([[-1, 0], [2, 0]], INDEX), Given([3, 4], INDEX))
for nan, posinf, neginf in ((None, None, None), (1.5, 2.0, -3.0), (0.5, None, -1.0)):
    case("nan_to_num", Given([NAN, INF, -INF, 1.0]), nan, posinf, neginf, **KINKED)
case("nan_to_num", Given([1, 2], INDEX))
case("sgn", Given([True, False]))
case("square", Given([1, -2], INDEX))

# -- two operands
for name in "add sub mul div hypot atan2 logaddexp logaddexp2 maximum minimum fmod remainder xlogy".split():
    first = positive if name in ("hypot", "atan2", "xlogy") else Drawn
    second = positive if name in ("div", "hypot", "atan2", "xlogy", "fmod", "remainder") else Drawn
    for x, y in (((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1, 3), (4, 1)), ((0, 3), (3,)), ((), ()), ((2, 3), ())):
        case(name, drawn(first, *x), drawn(second, *y), seed=1)
for name in "divide true_divide multiply subtract".split():
    case(name, (2, 3), positive(3))
    case(name, Given([4, 2], INDEX), Given([3, 2], np.int32))
PAIRS = [
    Given([0.0, 0.0, 1.0, INF, -INF, INF, NAN, 1.0, 7.5, -7.5]),
    Given([0.0, 1.0, 0.0, INF, -INF, -INF, 1.0, NAN, 2.0, 2.0]),
]
for name in "add sub mul div pow hypot logaddexp atan2 maximum minimum fmod remainder xlogy".split():
    case(name, *PAIRS, **KINKED, order=1)
case("hypot", Given([1e300, 3e-200]), Given([1e300, 4e-200]), single=False, **KINKED)
case("logaddexp", Given([1000.0, -1000.0]), Given([999.0, -1001.0]), **KINKED)
case("atan2", Given([1, -2], INDEX), Given([3, 4], INDEX))
case("atan2", Given([1, -2], INDEX), (2,))
case("fmod", Given([7, -7, 4], INDEX), Given([2, 2, -3], INDEX))
case("fmod", Given([7.5, -7.5, 4.0]), 2, **KINKED)
case("fmod", Given([7, -7], INDEX), 2.5, **KINKED)
case("remainder", Given([7, -7, 4], np.int8), Given([2, 2, -3], INDEX))
case("remainder", 7, Given([2, -2], INDEX))
case("xlogy", (3,), 2.5)
case("xlogy", 2.0, positive(3))
case("xlogy", Given([0.0, 0.0, 2.0]), Given([0.0, NAN, 3.0]), **KINKED)
case("special.xlogy", positive(3), positive(3))
case("float_power", Given([2, 3], INDEX), Given([0, -1], INDEX))
case("float_power", positive(3), 2, single=False)
case("float_power", 2, Given([2, 3], INDEX))
for rounding in ("floor", "trunc"):
    case("div", Given([7.5, -7.5, 4.0, 1.0, -1.0, 0.0]), Given([2.0, 2.0, -3.0, 0.0, 0.0, 0.0]), rounding_mode=rounding,
         **KINKED, order=1)  # fmt: skip
    case("div", Given([7, -7, 4, -4], INDEX), Given([2, 2, -3, -2], np.int32), rounding_mode=rounding)
    case("div", Given([7, 4], np.uint8), Given([2, 3], np.uint8), rounding_mode=rounding)
    case("divide", (3,), 0.5, rounding_mode=rounding, **KINKED)
case("div", 3, Given([2, 4], INDEX))
case("add", Given([1, 2], INDEX), Given([3, 4], INDEX), alpha=2)
case("add", Given([True, False]), True)
case("add", Given([True, False]), 2)
case("mul", Given([True, False]), Given([True, True]))
case("mul", Given([1.5, 2.5]), Given(2.5, np.float64))
case("add", Given([1.5, 2.5], np.float32), Given(2.5, np.float64), differences=False)
case("add", Given([1.5, 2.5], np.float32), Given([2.5, 1.0], np.float64), differences=False)
case("pow", Given([2, 3], INDEX), 2.0)
case("pow", 2, Given([1, 2], INDEX))
case("pow", Given([-8.0, 0.0, 0.0, INF]), Given([3.0, -1.0, 0.0, -1.0]), **KINKED)
case("pow", Given([0.0, 2.0]), 3, **KINKED)
case("pow", 0.0, Given([2.0, 0.0, -1.0]), **KINKED, order=1)

# -- three operands
for weight in (0.25, 0.5, 0.75, -1.5, 2):
    case("lerp", (2, 3), (2, 3), weight)
case("lerp", (2, 3), (3,), (2, 1))
case("lerp", (2, 3), (2, 3), Drawn((), 0.0, 1.0))
case("lerp", (0, 3), (3,), 0.5)
case("addcmul", (2, 3), (3,), (2, 1))
case("addcmul", (2, 3), (2, 3), (2, 3), value=-1.5)
case("addcmul", Given([1, 2], INDEX), Given([3, 4], INDEX), Given([5, 6], np.int32), value=2)
case("addcmul", Given([1, 2], INDEX), (2,), Given([5, 6], np.int32))
case("addcdiv", (2, 3), (3,), positive(2, 1))
case("addcdiv", (2, 3), (2, 3), positive(2, 3), value=0.5)

# -- choices
case("clamp", Given([1.0, 2.0, 3.0, 0.0, 5.0, NAN]), 2, 3, **KINKED)
case("clamp", Given([1.0, 5.0]), min=3.0, max=2.0, **KINKED)
case("clamp", Given([1.0, 2.0, 3.0, 0.0, 5.0]), Given([2.0] * 5), Given([3.0] * 5), **KINKED)
case("clamp", Given([1.0, 2.0, 3.0]), Given([4.0] * 3), Given([3.0] * 3), **KINKED)
case("clamp", Given([1.0, NAN, 3.0]), Given([2.0, 2.0, NAN]), **KINKED, order=1)
case("clamp", Given([1.0, 5.0]), None, Given([2.0, 2.0]), **KINKED)
case("clamp", Given([1, 2], INDEX), Given([1.5, 1.5]), **KINKED)
case("clamp", Given([1, 5, 9], INDEX), 2, 7)
case("clamp", Given([1, 5], np.uint8), 2)
case("clamp", Given([1, 5], INDEX), max=2.5)
case("clamp", Given([True, False]), 0, 1)
case("clip", (3, 4), -0.5, 0.5)
case("clamp", Drawn(()), -0.5, 0.5)
case("clamp", Drawn((0, 3)), -0.5, 0.5)
case("clamp_min", Given([1.0, 2.0, 3.0]), Given([2.0, 2.0, 2.0]), **KINKED)
case("clamp_max", Given([1, 2, 3], INDEX), 2)
case("maximum", Given([1, 5], INDEX), Given([2, 3], np.int32))
case("maximum", Given([1, 5], INDEX), (2,))
case("where", Given([[True], [False]]), (2, 3), (3,))
case("where", Given([True, False]), Given([1.0, 2.0], np.float32), Given(2.5, np.float64), differences=False)
case("where", Given([True, False]), Given([1, 2], INDEX), True)
case("where", Given([True, False]), 1.0, 2)
case("where", Given([True, False]), 1, 2)
case("where", Given([True, False]), Given([INF, 2.0]), Given([1.0, NAN]), **KINKED, order=1)
case("Tensor.where", (2, 3), Given([True, False, True]), (3,))
case("masked_fill", Given([1, 2], INDEX), Given([True, False]), 1.5)
case("masked_fill", Given([1, 2], INDEX), Given([True, False]), Given(7, np.int32))
case("masked_fill", Given([1.0, 2.0]), Given([[True, False], [True, True]]), 1.5)
case("masked_fill", Given([True, False]), Given([True, False]), 2)
case("masked_fill", (2, 3), Given([[True, False, True]]), Drawn(()))

# -- comparisons
for (
    name
) in "eq ne lt le gt ge greater greater_equal less less_equal not_equal logical_and logical_or logical_xor".split():
    case(name, Given([0.0, 2.0, NAN, INF]), Given([[1.0, 2.0, NAN, INF], [0.0, 3.0, 1.0, -INF]]))
    case(name, Given([0, 2], INDEX), Given([1.5, 2.0]))
for name in "isfinite isinf isnan isposinf isneginf isreal logical_not".split():
    case(name, SPECIAL)
    case(name, Given([0, 2], INDEX))
for kwargs in ({}, {"rtol": 0.1}, {"atol": 0.5}, {"equal_nan": True}):
    case(
        "isclose",
        Given([1.0, 1.0, INF, INF, NAN, 0.0]),
        Given([1.0 + 1e-6, 1.09, INF, -INF, NAN, 0.4]),
        order=0,
        **kwargs,
    )
case("isclose", Given([1, 5], INDEX), Given([1, 4], INDEX), atol=1)
case("bitwise_xor", Given([6, 3], INDEX), Given([5, 5], np.int32))

# -- of one and two operands, once more: every pair of types, every shape
for op in ("add", "sub", "mul", "div", "maximum", "minimum"):
    case(op, (2, 3), (2, 3))
    case(op, (2, 3), (3,))
    case(op, (2, 1, 3), (4, 1))
    case(op, (0, 3), (3,))
    case(op, (), ())
    case(op, (2, 3), ())
for op in ("add", "sub", "mul", "div"):
    case(op, (2, 3), 2.5)
    case(op, Given([[1, 2], [3, 4]], INDEX), (2, 2))
    case(op, Given([1, 2, 3], np.int32), 2)
    case(op, Given([1, 2, 3], INDEX), 2.5)
    case(op, Given([1, 2, 3], np.int32), Given([4, 5, 6], np.uint8))
    case(op, Given([1, 2, 3], np.int32), Given(2.5))
case("add", (2, 3), (3,), alpha=2.5)
case("sub", (2, 3), (3,), alpha=0.5)
case("add", Given([True, False]), Given([True, True]))
case("div", Given([7.5, -7.5, 4.0]), Given([2.0, 2.0, -3.0]), rounding_mode="floor")
case("div", Given([7.5, -7.5, 4.0]), Given([2.0, 2.0, -3.0]), rounding_mode="trunc")
case("div", Given([7, -7, 4], INDEX), Given([2, 2, -3], INDEX), rounding_mode="floor")
case("div", Given([7, -7, 4], INDEX), Given([2, 2, -3], INDEX), rounding_mode="trunc")
case("div", Given([7, -7, 4], INDEX), 2)
case("floor_divide", Given([7, -7], INDEX), 2)
case("remainder", Given([7.5, -7.5, 4.0]), Given([2.0, 2.0, -3.0]))
case("remainder", Given([7, -7, 4], INDEX), 3)
case("maximum", Given([1.0, 2.0, float("nan")]), Given([1.0, 3.0, 0.0]), **KINKED)
case("minimum", Given([1.0, 2.0, 3.0]), Given([1.0, 3.0, float("nan")]), **KINKED)
case("pow", positive(2, 3), (2, 3))
case("pow", positive(2, 3), (3,))
case("pow", (2, 3), 2)
case("pow", (2, 3), 3)
case("pow", positive(4), 0.5)
case("pow", positive(4), -1.5)
case("pow", (2, 3), 0)
case("pow", (2, 3), 1)
case("pow", 2.0, (3,))
case("pow", Given([0.0, 1.0, 2.0]), Given([2.0, 0.0, 1.5]), **KINKED, order=1)
case("pow", Given([0.0, 2.0]), 2.0)
case("pow", Given([1, 2, 3], INDEX), 2)
for op in "neg exp tanh sigmoid square sign abs relu clone floor ceil round trunc".split():
    case(op, (2, 3))
    case(op, ())
    case(op, (0,))
for op in ("log", "sqrt", "rsqrt"):
    case(op, positive(0, 2))
for op in ("exp", "log", "sqrt", "tanh", "sigmoid"):
    case(op, Given([1, 2, 3], INDEX))
case("sigmoid", Given([-800.0, -30.0, 0.0, 30.0, 800.0]))
for op in ("abs", "relu", "sign"):
    case(op, Given([-1.0, 0.0, 2.0, float("inf")]), **KINKED)
case("relu", Given([float("nan"), -1.0, 1.0]), **KINKED)
case("relu", Given([-1, 2], INDEX))
case("round", Given([0.5, 1.5, 2.5, -0.5]), **KINKED)
case("clamp", (3, 4), min=-0.5, max=1.0)
case("clamp", (3, 4), min=0.1)
case("clamp", (3, 4), max=0.1)
case("clamp", Given([-2.0, -0.5, 1.0, float("nan")]), min=-1.0, max=0.0, **KINKED)
case("clamp", (3, 4), (4,), positive(3, 1), **KINKED)
case("clamp", Given([1, 2, 3], INDEX), min=2)
case("clamp", Given([1, 2, 3], INDEX), min=1.5)
case("clamp_min", (3,), 0.0)
case("clamp_max", (3,), 0.0)
case("where", Given([[True, False, True]]), (2, 3), (3,))
case("where", Given([True, False, True]), (3,), 1.5)
case("where", Given([True, False]), Given([1, 2], INDEX), 0.5)
case("where", Given([True, False]))
case("masked_fill", (2, 3), Given([[True, False, True]]), 1.5)
case("masked_fill", (2, 3), Given([[True, False, True]]), -float("inf"), **KINKED)
for op in ("eq", "ne", "lt", "le", "gt", "ge"):
    case(op, Given([1.0, 2.0, 3.0]), Given([3.0, 2.0, 1.0]), order=0)
    case(op, Given([1, 2, 3], INDEX), 2, order=0)
for op in ("bitwise_and", "bitwise_or", "bitwise_xor"):
    case(op, Given([True, False]), Given([True, True]))
    case(op, Given([6, 3], INDEX), 5)
case("bitwise_not", Given([True, False]))
case("logical_and", Given([1.0, 0.0]), Given([2.0, 3.0]), order=0)
case("logical_or", Given([1, 0], INDEX), Given([0, 0], INDEX))
case("logical_not", Given([1.0, 0.0]), order=0)
for op in ("isnan", "isinf", "isfinite"):
    case(op, Given([1.0, float("nan"), float("inf"), -float("inf")]), order=0)

REFUSED: dict[str, list[Any]] = {
    "exp": [2.0], "atan2": [np.ones(2), 2.0], "maximum": [np.ones(2), 2.0], "hypot": [np.ones(2, int), np.ones(2, int)],
    "logaddexp": [np.ones(2, int), np.ones(2, int)], "frac": [np.ones(2, int)], "abs": [np.array([True])],
    "neg": [np.array([True])], "positive": [np.array([True])], "floor": [np.array([True])], "round": [np.array([True])],
    "sub": [np.ones(1), True], "fmod": [np.ones(1, int), np.zeros(1, int)], "remainder": [np.ones(1, int), 0],
    "floor_divide": [np.ones(2, int), np.array([1, 0])], "add": [np.ones(2), np.ones(3)], "pow": [np.ones(2, int), -1],
    "addcdiv": [np.ones(2), np.ones(2, int), np.ones(2, int)], "addcmul": [np.array([True])] * 3,
    "lerp": [np.ones(2), np.ones(2, np.float32), 0.5], "clamp": [np.ones(2)], "where": [np.ones(2), 1.0, 2.0],
    "masked_fill": [np.ones(2), np.ones(2), 1.0], "heaviside": [np.ones(2), np.ones(2, int)],
    "isclose": [np.ones(2), np.ones(2, int)], "bitwise_and": [np.ones(2), 1], "bitwise_not": [np.ones(2)],
    "clamp_min": [np.ones(2)], "nan_to_num": [2.0], "fix": [2.0],
}  # fmt: skip
for name, inputs in REFUSED.items():
    refusal(name, *inputs)


@pytest.mark.parametrize("key", T.cases)
def test_as_torch(key: str, device: str) -> None:
    T.run(key, device)


@pytest.mark.parametrize("key", T.refusals)
def test_refused_as_by_torch(key: str, device: str) -> None:
    T.refuse(key, device)


IN_PLACE: dict[str, list[Any]] = {
    **{
        name: []
        for name in "abs acos asin atan ceil cos cosh erf erfc exp exp2 expm1 floor frac log log10 log1p "
        "log2 neg reciprocal round rsqrt sgn sigmoid sign sin sinh sqrt square tan tanh trunc nan_to_num relu".split()
    },
    **{name: [(3,)] for name in "add sub mul div atan2 fmod hypot pow remainder xlogy divide multiply".split()},
    "addcmul": [(3,), (3,)], "addcdiv": [(3,), (3,)], "lerp": [(3,), 0.3], "clamp": [0.2, 0.5], "clamp_min": [0.3],
    "masked_fill": [Given([True, False, True]), 0.5], "logit": [0.3],
}  # fmt: skip


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place(name: str, device: str) -> None:
    """x.op_() on the result of another op, which is differentiated through; op's own way is checked above."""
    low, high = 0.1, 0.9
    others = [Drawn(x, low, high) if isinstance(x, tuple) else x for x in IN_PLACE[name]]

    def call(x: Any, *rest: Any) -> Any:
        y = x * 1
        z = getattr(y, name + "_")(*rest)
        assert z is y
        return y * y

    check(
        name, Drawn((2, 3), low, high), *others, device=device, minigrad_call=call, torch_call=call, differences=False
    )


def test_errors_of_arguments(device: str) -> None:
    x = minigrad.ones(2, device=device)
    with pytest.raises(TypeError, match="both be numbers or both Tensors"):
        minigrad.clamp(x, x, 3.0)
    with pytest.raises(RuntimeError, match="rounding_mode"):
        minigrad.div(x, x, rounding_mode="up")
    with pytest.raises(RuntimeError, match="alpha"):
        minigrad.add(x.long(), x.long(), alpha=1.5)
    with pytest.raises(RuntimeError, match="value"):
        minigrad.addcmul(x.long(), x.long(), x.long(), value=1.5)
    with pytest.raises(NotImplementedError, match="heaviside"):
        minigrad.heaviside(x.requires_grad_(), minigrad.ones(2, device=device))
    with pytest.raises(NotImplementedError, match="decimals"):
        minigrad.round(x.detach().long(), decimals=1)


def test_the_users_error_settings_hold_outside_only() -> None:
    """np.errstate(all="raise") does not reach our ops, and is still there afterwards; in every thread."""
    seen: list[Any] = []

    def work() -> None:
        with np.errstate(all="raise"):
            for name in "log exp sqrt rsqrt reciprocal sigmoid erf tan acos cosh log1p erfc asin logit exp2".split():
                x = minigrad.tensor([0.0, -1.0, -1e3, 1e38, float("inf"), float("nan")], requires_grad=True)
                y = getattr(x, name)() / 0
                y.backward(x.detach())
            seen.append(np.geterr()["divide"])
            with pytest.raises(FloatingPointError):
                np.float64(1) / np.zeros(1)

    work()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == ["raise", "raise"]
    assert np.geterr()["divide"] == "warn"
