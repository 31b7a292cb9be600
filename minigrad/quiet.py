"""`with quiet():` NumPy does not warn of log 0, 0 / 0 or overflow: -inf, NaN and inf say it, as in torch.

Afterwards the caller's own np.errstate holds again.
"""

from __future__ import annotations

from contextvars import Context, ContextVar, Token, copy_context
from functools import partial
from typing import Any

import numpy as np


def _ignored_errors() -> tuple[ContextVar[Any], Any] | None:
    """NumPy's treatment of floating-point errors: the variable that holds it, and its value where all are ignored.

    None before NumPy 2.0, where it is no context variable.
    """
    with np.errstate(all="ignore"):
        return next(iter(copy_context().items()), None)


_IGNORED = Context().run(_ignored_errors)  # in an empty context, so that NumPy's variable is the only one


class _Quiet:
    """np.errstate(all="ignore") at a quarter of its cost, which the smallest ops would feel."""

    __slots__ = ("before",)
    before: Token[Any]

    def __enter__(self) -> None:
        self.before = _IGNORED[0].set(_IGNORED[1])  # type: ignore[index]

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        _IGNORED[0].reset(self.before)  # type: ignore[index]


quiet: Any = partial(np.errstate, all="ignore") if _IGNORED is None else _Quiet
