"""How python -m compare network compares: the file in both frameworks, and the settings of a command line."""

from __future__ import annotations

import argparse
import ast
from typing import Any

from compare.kit.result import Result
from minigrad.errors import OptionError


def measure(chosen: argparse.Namespace, begun: Result) -> Result:
    """Both networks, and how far apart what they compute is."""
    from minigrad.testing import against_torch

    shape, settings = _shape(chosen.shape), dict(map(_setting, chosen.set))
    try:
        found = against_torch(chosen.network, shape, train=chosen.train, **settings)
    except (SyntaxError, ModuleNotFoundError) as error:
        raise OptionError(f"{chosen.network.rpartition(':')[0]} cannot be loaded: {error}") from error
    rows = [[name, list(shape), apart] for name, shape, apart in found.rows]
    return begun | {"network": found.network, "rows": rows, "problems": found.problems, "agree": found.agree}


def _shape(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(n) for n in text.split(","))
    except ValueError:
        raise OptionError(f"--shape takes whole numbers with commas between, not {text!r}") from None


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise OptionError(f"--set takes ARGUMENT=VALUE, not {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return name, value
