"""Which arrays are alive at each step of a trace: seen by weak references, so that the trace itself keeps none alive."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

from minigrad.autograd.graph import memory_of


@dataclass
class Held:
    """One piece of memory that the traced program made."""

    nbytes: int
    what: str
    """What it was first seen as."""


class Memory:
    """The memory made since the trace began: results, what nodes saved, gradients. What was there before does not count."""

    def __init__(self) -> None:
        self._alive: dict[int, tuple[Any, Held]] = {}
        self._gone: list[Held] = []

    def note(self, array: Any, what: str) -> None:
        """Counts the memory behind an array from now on, until nothing holds it."""
        owner = memory_of(array)
        key = id(owner)
        if key in self._alive or not getattr(owner, "nbytes", 0):
            return
        try:
            self._alive[key] = weakref.ref(owner, lambda _: self._free(key)), Held(int(owner.nbytes), what)
        except TypeError:  # an array library without weak references
            return

    def forget(self, array: Any) -> None:
        """Leaves an array out: it was there before the trace."""
        self._alive.setdefault(id(memory_of(array)), (memory_of(array), Held(0, "")))

    def _free(self, key: int) -> None:
        self._gone.append(self._alive.pop(key)[1])

    @property
    def alive(self) -> int:
        """Bytes that are alive now."""
        return sum(held.nbytes for _, held in list(self._alive.values()))

    def freed(self) -> list[Held]:
        """What has gone since this was last asked for."""
        gone, self._gone = self._gone, []
        return gone
