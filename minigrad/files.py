"""How files are written, so that no reader and no crash ever sees half of one."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from minigrad.errors import WriteError


def is_writable(folder: str | Path) -> bool:
    """Whether a file can be made in a folder. It is tried: what the system says of leave is not true of every file system."""
    if not os.access(folder, os.W_OK | os.X_OK):
        return False
    try:
        descriptor, name = tempfile.mkstemp(prefix=".minigrad-", dir=folder)
    except OSError:
        return False
    os.close(descriptor)
    with suppress(OSError):
        os.unlink(name)
    return True


def write_atomically(path: Path, data: bytes) -> None:
    """Put `data` at `path` so that a reader, or a crash, sees the old file or the new one and nothing between.

    WriteError, and the old file is as it was, where that cannot be done.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "it is a folder, or a device")
        try:
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            with suppress(OSError):
                temporary.unlink()
    except OSError as error:
        raise WriteError(error.errno, error.strerror or str(error), str(path)) from error
    if os.name == "posix":  # the rename itself has to reach the disk too, where the file system can promise that
        with suppress(OSError):
            directory = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
