"""What a run prints: on the terminal, and in log.txt of its folder; nobody listening any more does not end a run unsaved."""

from __future__ import annotations

import errno
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


class Output(io.TextIOBase):
    """Takes the place of stdout. What cannot be printed is noted in `failure`, and the program goes on to where it is saved.

    Lines go to the log as well, from the first one on; bars, which are written over, do not.
    """

    def __init__(self, stream: Any) -> None:
        self.stream, self.before = stream, io.StringIO()
        self.log: Any = None
        self.failure: OSError | None = None

    def log_to(self, path: Path) -> None:
        """Go on in that file, after what was printed so far. A log that cannot be written is left out."""
        with suppress(OSError):
            self.log = open(path, "a", encoding="utf-8")
            self.log.write(self.before.getvalue())
        self.before = io.StringIO()

    def write(self, text: str) -> int:
        """Print a text."""
        if self.failure is None:
            try:
                self.stream.write(text)
            except OSError as error:
                self.failure = error
        if "\r" not in text and "\x1b" not in text:
            with suppress(OSError, ValueError):
                (self.log or self.before).write(text)
        return len(text)

    def flush(self) -> None:
        """See that it is printed."""
        if self.failure is None:
            try:
                self.stream.flush()
            except OSError as error:
                self.failure = error
        if self.log is not None:
            with suppress(OSError, ValueError):
                self.log.flush()

    def isatty(self) -> bool:
        """Whether a person looks on."""
        return self.stream.isatty()

    def fileno(self) -> int:
        """The descriptor of the stream."""
        return self.stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the stream."""
        return getattr(self.stream, "encoding", None) or "utf-8"

    @property
    def reader_gone(self) -> bool:
        """Whether whoever read has enough: `| head -1`."""
        return self.failure is not None and self.failure.errno == errno.EPIPE


def output() -> Output | None:
    """What stdout is, if it is an Output."""
    return sys.stdout if isinstance(sys.stdout, Output) else None


@contextmanager
def captured() -> Iterator[Output]:
    """Within it stdout is an Output. At its end, OSError if something could not be printed."""
    before = sys.stdout
    sys.stdout = out = Output(before)
    try:
        yield out
        out.flush()
    finally:
        sys.stdout = before
        if out.log is not None:
            with suppress(OSError, ValueError):
                out.log.close()
    if out.reader_gone:
        raise BrokenPipeError(errno.EPIPE, "nobody reads the output any more")
    if out.failure is not None:
        raise out.failure
