"""One run a folder: a lock that its process holds, and that ends with it, however it ends."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from minigrad.errors import OptionError

NAME = ".lock"


class Lock:
    """Held from its making to `release`. OptionError if another run has it; where a system knows no such locks, none is held."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self.file: Any = None
        try:
            import fcntl
        except ImportError:
            return
        try:
            self.file = open(self.path, "a+")
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.file.seek(0)
            who = self.file.read().strip() or "another process"
            self.file.close()
            raise OptionError(f"{folder} is in use by another run ({who}): wait for its end, or give --out") from None
        except OSError:  # a file system without locks
            return
        self.file.truncate(0)
        self.file.write(f"process {os.getpid()}")
        self.file.flush()

    def release(self) -> None:
        """Let others have the folder."""
        if self.file is not None:
            with suppress(OSError):
                self.path.unlink()
            with suppress(OSError):
                self.file.close()
            self.file = None
