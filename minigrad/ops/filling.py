"""In-place random fills: x.normal_() and its kin. Numbers come from a generator; no gradient goes to what was there before."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.device import to_device
from minigrad.grad_mode import state
from minigrad.ops.pointwise import ZeroGradient
from minigrad.ops.public import offer
from minigrad.random import Generator, default_generator
from minigrad.tensor import Tensor


def _filled(x: Tensor, draw: Callable[[], Any]) -> Tensor:
    """x with the numbers that draw() returns, of x's shape, written into its memory."""
    x._check_in_place()
    numbers = to_device(np.asarray(draw()).astype(x.dtype), x.device)
    if state.grad and x._requires_grad:
        return x._in_place(lambda before: ZeroGradient(before.shape, Tensor._wrap(numbers))(before))
    x.array[...] = numbers
    x._bump_version()
    return x


def _floats(x: Tensor, name: str) -> None:
    if x.dtype.kind != "f":
        raise NotImplementedError(f"{name} of {x.dtype} is not implemented: it takes floating-point tensors")


def _numbers(name: str, **given: Any) -> tuple[Any, ...]:
    """The arguments, which have to be numbers."""
    for argument, value in given.items():
        if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
            raise TypeError(f"{name}(): argument {argument!r} must be a number, not {type(value).__name__}")
    return tuple(given.values())


def _from_to(name: str, given: tuple[Any, ...], named: dict[str, Any], defaults: tuple[Any, Any]) -> tuple[Any, Any]:
    """The arguments `from`, which is no name in Python, and `to`."""
    if len(given) + len(named) > 2 or named.keys() - {"from", "to"} or (given and "from" in named):
        raise TypeError(f"{name}() takes from and to, not {(*given, *named)}")
    values = dict(zip(("from", "to"), given, strict=False)) | named
    return values.get("from", defaults[0]), values.get("to", defaults[1])


def uniform_(input: Tensor, *bounds: float, generator: Generator | None = None, **named: float) -> Tensor:
    """Fills x with numbers from [from, to), by default [0, 1)."""
    low, high = _numbers(
        "uniform_", **dict(zip(("from", "to"), _from_to("uniform_", bounds, named, (0.0, 1.0)), strict=True))
    )
    _floats(input, "uniform_")
    largest = float(np.finfo(input.dtype).max)
    if not (abs(low) <= largest and abs(high) <= largest and high - low <= largest):
        raise RuntimeError(f"uniform_: from={low} or to={high} is out of bounds for {input.dtype}")
    if low > high:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low} > to={high}")
    source = generator or default_generator
    return _filled(input, lambda: source.uniform(low, high, input.shape, input.dtype))


def normal_(input: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fills x with numbers from the normal distribution."""
    _numbers("normal_", mean=mean, std=std)
    _floats(input, "normal_")
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    source = generator or default_generator
    return _filled(input, lambda: source.normal(mean, std, input.shape, input.dtype))


def log_normal_(input: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None) -> Tensor:
    """Fills x with e to the power of numbers from the normal distribution of that mean and std."""
    _numbers("log_normal_", mean=mean, std=std)
    _floats(input, "log_normal_")
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std}")
    source = generator or default_generator
    return _filled(input, lambda: np.exp(source.normal(mean, std, input.shape, np.float64)))


def cauchy_(input: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fills x with median + sigma tan(pi (u - 1/2)), u uniform: the Cauchy distribution."""
    _numbers("cauchy_", median=median, sigma=sigma)
    if input.dtype.kind != "f":
        raise RuntimeError(f"cauchy_ is a continuous distribution: it takes floating-point tensors, not {input.dtype}")
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    return _filled(input, lambda: median + sigma * np.tan(math.pi * (_uniform(input, generator) - 0.5)))


def exponential_(input: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fills x with -log(1 - u) / lambd, u uniform: the exponential distribution."""
    _numbers("exponential_", lambd=lambd)
    if input.dtype.kind != "f":
        raise RuntimeError(
            f"exponential_ is a continuous distribution: it takes floating-point tensors, not {input.dtype}"
        )
    if not lambd > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    return _filled(input, lambda: -np.log1p(-_uniform(input, generator)) / lambd)


def geometric_(input: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Fills x with the number of trials up to the first success: k = 1, 2, ... with probability (1 - p)^(k - 1) p."""
    _numbers("geometric_", p=p)
    if input.dtype.kind == "b":
        raise NotImplementedError("geometric_ is not implemented for bool")
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    return _filled(input, lambda: np.maximum(np.ceil(np.log1p(-_uniform(input, generator)) / math.log1p(-p)), 1.0))


def bernoulli_(input: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fills x with 1 with probability p, else 0. p: a number, or a Tensor of one a place that broadcasts to x."""
    if isinstance(p, Tensor):
        _floats(p, "bernoulli_'s p")
        chances = p.detach().expand(input.shape).numpy(force=True)
    else:
        (chances,) = _numbers("bernoulli_", p=p)
    if not (np.all(np.asarray(chances) >= 0) and np.all(np.asarray(chances) <= 1)):
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
    return _filled(input, lambda: _uniform(input, generator) < chances)


def random_(input: Tensor, *bounds: int, generator: Generator | None = None, **named: int) -> Tensor:
    """Fills x with integers: random_(to) from [0, to), random_(from, to) from [from, to).

    random_(): all that x's type can tell apart, from 0 on: up to the largest integer, of floats to 2 to their mantissa's bits.
    """
    if input.dtype.kind == "f":
        last, largest = 2 ** (np.finfo(input.dtype).nmant + 1), int(np.finfo(input.dtype).max)
    else:
        last = largest = 1 if input.dtype.kind == "b" else int(np.iinfo(input.dtype).max)
    given = (0, *bounds) if len(bounds) == 1 and not named else bounds
    low, high = _from_to("random_", given, named, (0, None))
    high = min(last, 2**63 - 1) + 1 if high is None else high
    for value in (low, high):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise TypeError(f"random_() takes integers, not {type(value).__name__}")
    low, high = int(low), int(high)
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    smallest = -largest if input.dtype.kind == "f" else 0 if input.dtype.kind in "bu" else -largest - 1
    for name, value in (("from", low), ("to - 1", high - 1)):
        if not smallest <= value <= largest:
            raise RuntimeError(f"random_: {name}, {value}, is out of bounds for {input.dtype}")
    source = generator or default_generator
    return _filled(input, lambda: source.integers(low, high, input.shape))


def _uniform(x: Tensor, generator: Generator | None) -> np.ndarray:
    """Numbers from [0, 1) of x's shape, in float64."""
    return (generator or default_generator).uniform(0, 1, x.shape, np.float64)


offer("Tensor", bernoulli_, cauchy_, exponential_, geometric_, log_normal_, normal_, random_, uniform_)
