"""A collective under way: what the functions of minigrad.distributed return with async_op=True."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from minigrad.distributed.watch import Watch


class Work:
    """A collective that this rank has begun: `wait()` for its result, or ask whether it `is_completed()`.

    test: whether it is done; asking also moves it on. finish: what is to be done then, once: copying the result to its place.
    """

    def __init__(self, watch: Watch, test: Callable[[], bool], finish: Callable[[], None] | None = None) -> None:
        self._watch, self._test, self._finish = watch, test, finish
        self._done = False

    def is_completed(self) -> bool:
        """Whether the result is there."""
        if not self._done and self._test():
            self._done = True
            if self._finish is not None:
                self._finish()
        return self._done

    def wait(self, timeout: timedelta | None = None) -> bool:
        """Wait for the result; True. RankError if another rank was lost, or did not come within the limit."""
        self._watch.wait_for(self.is_completed, None if timeout is None else timeout.total_seconds())
        return True
