"""torch.jit: there is no compiler here, so scripts and traces are the Python code that they were made of."""

import typing
import warnings
from typing import Any, Final

from minigrad.nn import Module

ScriptModule = Module

__all__ = [
    "Attribute", "Final", "ScriptModule", "annotate", "annotations", "export", "ignore", "interface", "is_scripting", "is_tracing",
    "isinstance", "script", "script_if_tracing", "script_method", "trace", "unused",
]  # fmt: skip


def script(obj: Any = None, *args: Any, **kwargs: Any) -> Any:
    """The function, class or module as it is."""
    if isinstance_(obj, Module):
        warnings.warn("torch.jit has no effect: minigrad runs the Python code as it is", stacklevel=2)
    return obj


def trace(func: Any, *args: Any, **kwargs: Any) -> Any:
    """The function or module as it is."""
    return script(func)


def _as_it_is(f: Any = None, *args: Any, **kwargs: Any) -> Any:
    return f if callable(f) else (lambda g: g)


export = unused = ignore = interface = script_method = script_if_tracing = _as_it_is
_script_if_tracing = _overload_method = _overload = freeze = optimize_for_inference = _as_it_is


def is_scripting() -> bool:
    return False


def is_tracing() -> bool:
    return False


def annotate(the_type: Any, the_value: Any) -> Any:
    """The value."""
    return the_value


def Attribute(value: Any, type: Any = None) -> Any:
    """The value."""
    return value


class annotations:
    Any, Dict, List, Optional, Tuple, Union = typing.Any, dict, list, typing.Optional, tuple, typing.Union
    BroadcastingList1 = BroadcastingList2 = BroadcastingList3 = list


isinstance_ = isinstance
isinstance = isinstance_
