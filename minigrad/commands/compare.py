"""minigrad beside PyTorch: the commands of `python -m compare`."""

from __future__ import annotations

from collections.abc import Sequence


def run(arguments: Sequence[str]) -> int:
    """Run a command of compare."""
    from compare.__main__ import dispatch

    return dispatch(arguments)
