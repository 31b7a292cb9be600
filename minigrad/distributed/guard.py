"""A time limit on what cannot be interrupted: MPI's own start, which waits for ranks that may be lost already."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def time_limit(seconds: float, message: str, later: float = 0.0) -> Iterator[None]:
    """Within, this process is killed after so many seconds, `message` printed first; no longer waiting is another process's.

    A thread would not do: MPI's start keeps the interpreter's lock. later: seconds more, so that another rank may speak first.
    """
    if not hasattr(os, "fork"):
        yield
        return
    parent, (ends, holds) = os.getpid(), os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of a fork beside threads: the child calls the system alone
        guard = os.fork()
    if guard == 0:
        os.close(holds)
        _guard(parent, ends, seconds + later, message)
    os.close(ends)
    try:
        yield
    finally:
        os.close(holds)  # which the guard sees, as it would see our death
        with contextlib.suppress(ChildProcessError):
            os.waitpid(guard, 0)


def _guard(parent: int, ends: int, seconds: float, message: str) -> None:
    """The guard's life: until the pipe closes, or the time is up."""
    until = time.monotonic() + seconds
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ready = select.select([ends], [], [], max(0.0, until - time.monotonic()))[0]
    if not ready:
        with contextlib.suppress(OSError):
            os.write(2, f"error: {message}\n".encode())
        with contextlib.suppress(OSError):
            os.kill(parent, signal.SIGKILL)
    os._exit(0)
