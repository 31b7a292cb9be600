"""What exercises are made of: a task with its checks, and the words for answers that are not right yet."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minigrad.tensor import Tensor


class NotYet(Exception):
    """An answer that is not right yet; says, in words for a student, what is not."""


class Exercise:
    """A task: a function or class to fill in or repair (its source, which a student is given), and what checks an answer."""

    def __init__(self, task: Any) -> None:
        self.name: str = task.__name__
        lines = textwrap.dedent(inspect.getsource(task)).splitlines()
        self.source = "\n".join(line for line in lines if line != "@exercise")
        if inspect.isfunction(task) and self.source.endswith('"""'):
            self.source += "\n    ..."
        self.check: Callable[[Any], None] | None = None

    def verdict(self, answers: Mapping[str, Any], source: str) -> str:
        """What is thought of the answer: "right", "to do", or "not yet: " and why. `source` is that of all answers."""
        assert self.check is not None
        if self.name not in answers:
            return f"not yet: there is no {self.name} in the file"
        if unchanged(self.source, source, self.name):
            return "to do"
        try:
            self.check(answers[self.name])
        except NotYet as words:
            return f"not yet: {words}"
        except Exception as error:
            return f"not yet: it ends with {type(error).__name__}: {error}"
        return "right"


def exercise(task: Any) -> Exercise:
    """Makes an exercise of a function or class."""
    return Exercise(task)


def judges(task: Any) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """A decorator: check(answer) of this exercise raises NotYet, or lets what the answer raises through, if it is not right."""

    def decorate(check: Callable[[Any], None]) -> Callable[[Any], None]:
        task.check = check
        return check

    return decorate


def unchanged(task: str, source: str, name: str) -> bool:
    """Whether the function or class `name` in `source` is still the task as it was given."""
    given = ast.parse(task).body[0]
    return any(
        ast.dump(node) == ast.dump(given) for node in ast.parse(source).body if getattr(node, "name", "") == name
    )


def expect(got: Any, expected: Any, what: str, mistakes: Mapping[str, Any] | None = None, atol: float = 1e-8) -> None:
    """NotYet unless `got` is `expected`, in shape and in value to `atol`; `what` was computed, as "central(f, 3, 0.1)".

    mistakes: words for values that common mistakes give; those that fit are said.
    """
    if got is None:
        raise NotYet(f"{what} gives None. Is a return missing?")
    try:
        found, right = numbers(got), numbers(expected)
    except (TypeError, ValueError):
        raise NotYet(f"{what} gives {got!r}, which is no number and no array") from None
    if found.shape != right.shape:
        raise NotYet(f"{what} has the shape {_shape(found)}, but should have {_shape(right)}")
    if _close(found, right, atol):
        return
    words = next((w for w, value in (mistakes or {}).items() if _close(found, numbers(value), atol)), None)
    if words is None:
        worst = np.unravel_index(np.argmax(np.nan_to_num(np.abs(found - right), nan=np.inf)), right.shape)
        place = f" at {[int(i) for i in worst]}" if right.ndim else ""
        words = f"{found[worst]:.6g}{place} is not {right[worst]:.6g}"
    raise NotYet(f"{what}: {words}")


def require(condition: Any, words: str) -> None:
    """NotYet with these words unless the condition holds."""
    if not condition:
        raise NotYet(words)


def numbers(value: Any) -> np.ndarray:
    """A number, a sequence, an array or a Tensor as an array of float64."""
    return np.asarray(value.array if isinstance(value, Tensor) else value, dtype=np.float64)


def _close(a: np.ndarray, b: np.ndarray, atol: float) -> bool:
    return a.shape == b.shape and bool(np.all(np.abs(a - b) <= atol + 1e-8 * np.abs(b)))


def _shape(array: np.ndarray) -> str:
    return f"{tuple(array.shape)}" if array.ndim else "of a single number"
