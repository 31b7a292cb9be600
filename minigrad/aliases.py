"""NumPy's names for arguments: x.sum(axis=1, keepdims=True). torch takes them wherever it has the argument, and so do we."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

ALIASES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}


def numpys_names(op: Callable[..., Any], module: str | None = None) -> Callable[..., Any]:
    """The op, which takes its arguments under NumPy's names too; itself if it has none that NumPy calls otherwise.

    module: where the function is found under its name, if that is not where the op is.
    """
    if not isinstance(op, FunctionType):
        return op
    code = inspect.unwrap(op).__code__
    parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    called = {"input": parameters[0]} if parameters[:1] in (("x",), ("A",)) else {}  # as torch.linalg's pages call it
    names = {alias: called.get(name, name) for alias, name in [*ALIASES.items(), *zip(called, called, strict=True)]}
    names = {alias: name for alias, name in names.items() if name in parameters and alias not in parameters}
    if not names:
        return op
    are_names = frozenset(names)

    @functools.wraps(op)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs and not are_names.isdisjoint(kwargs):
            for alias in [name for name in kwargs if name in names]:
                if names[alias] in kwargs:
                    raise TypeError(f"{op.__name__}() got both {names[alias]!r} and {alias!r}, which are one argument")
                kwargs[names[alias]] = kwargs.pop(alias)
        return op(*args, **kwargs)

    if module is not None:
        call.__module__ = module
    return call
