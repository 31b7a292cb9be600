"""Arguments that many ops share: NumPy's names, x.sum(axis=1, keepdims=True), which torch takes too; out=, where to write; and
factors between tensors, x.add_(2, y), as torch once took them."""

from __future__ import annotations

import functools
import inspect
import sys
import warnings
from collections.abc import Callable
from types import FunctionType
from typing import Any

from minigrad.arguments import is_tensor
from minigrad.grad_mode import state

ALIASES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}

FACTORS: dict[str, tuple[str, ...]] = {
    "add": ("alpha",), "sub": ("alpha",), "addcmul": ("value",), "addcdiv": ("value",),
    **{name: ("beta", "alpha") for name in ("addmm", "addmv", "addr", "baddbmm", "addbmm")},
}  # fmt: skip
"""The numbers that torch once took before the tensors that they multiply."""


def numpys_names(op: Callable[..., Any], module: str | None = None) -> Callable[..., Any]:
    """The op, which takes its arguments under NumPy's names too; itself if it has none that NumPy calls otherwise.

    module: where the function is found under its name, if that is not where the op is.
    """
    if not isinstance(op, FunctionType):
        return op
    code = inspect.unwrap(op).__code__
    parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    names = {alias: name for alias, name in ALIASES.items() if name in parameters and alias not in parameters}
    if parameters[:1] in (("x",), ("A",)):  # torch.linalg's pages call it `input`
        names |= {alias: parameters[0] for alias in ("input", "x", "a", "x1") if alias not in parameters}
    takes_out = module == "minigrad" and "out" not in parameters
    factors = FACTORS.get(op.__name__, ())
    if not (names or takes_out or factors):
        return op
    are_names, most = frozenset(names), code.co_argcount if factors else sys.maxsize

    @functools.wraps(op)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs and not are_names.isdisjoint(kwargs):
            for alias in [name for name in kwargs if name in names]:
                if names[alias] in kwargs:
                    raise TypeError(f"{op.__name__}() got both {names[alias]!r} and {alias!r}, which are one argument")
                kwargs[names[alias]] = kwargs.pop(alias)
        if len(args) > most:
            args, kwargs = _factors_by_name(op, args, kwargs, factors)
        if kwargs and takes_out and "out" in kwargs:
            return written(kwargs.pop("out"), op, args, kwargs)
        return op(*args, **kwargs)

    if module is not None:
        call.__module__ = module
    return call


def _factors_by_name(op: Callable[..., Any], args: Any, kwargs: Any, factors: tuple[str, ...]) -> tuple[Any, Any]:
    """(args, kwargs) of add(x, 2, y) as add(x, y, alpha=2), with torch's warning."""
    tensors, numbers = args[:1], args[1:]
    if not is_tensor(args[0]):  # addmm(beta, x, alpha, a, b)
        tensors, numbers = (), args
    tensors += tuple(x for x in numbers if is_tensor(x))
    numbers = tuple(x for x in numbers if not is_tensor(x))
    if len(tensors) != inspect.unwrap(op).__code__.co_argcount or len(numbers) > len(factors):
        return args, kwargs
    warnings.warn(
        f"This overload of {op.__name__} is deprecated: give {' and '.join(factors)} by name, after the tensors",
        stacklevel=3,
    )
    return tensors, {**kwargs, **dict(zip(factors, numbers, strict=False))}


def written(out: Any, op: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """op(*args, **kwargs) written into the tensor `out`, or the tuple of them, which is returned; out=None: the result itself.

    A tensor of another shape is resized, with a warning unless it is empty. RuntimeError if a gradient is asked for, or if
    the result does not fit the type of `out`.
    """
    if out is None:
        return op(*args, **kwargs)
    outs = out if isinstance(out, (tuple, list)) else (out,)
    if state.grad and any(getattr(x, "requires_grad", False) for x in (*args, *kwargs.values(), *outs)):
        raise RuntimeError(
            f"{op.__name__}(): functions with out=... arguments don't support automatic differentiation, but one of the arguments "
            "requires grad."
        )
    result = op(*args, **kwargs)
    for target, value in zip(outs, result if isinstance(result, tuple) else (result,), strict=True):
        if "bif".index(_kind(value)) > "bif".index(_kind(target)):
            raise RuntimeError(f"result type {value.dtype} can't be cast to the desired output type {target.dtype}")
        if target.shape != value.shape:
            if target.numel():
                warnings.warn(
                    f"An output with one or more elements was resized since it had shape {target.shape}", stacklevel=4
                )
            target.data = value.to(target.dtype).to(target.device)
        else:
            target.copy_(value)
    return out


def _kind(x: Any) -> str:
    return x.dtype.kind.replace("u", "i")
