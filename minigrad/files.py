"""How files are written, so that no reader and no crash ever sees half of one."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from minigrad.errors import OptionError, WriteError


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


def check_target(path: Path, option: str) -> None:
    """OptionError if no file can be written there: a folder or device, or in a folder that is not there, or not ours."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise OptionError(f"{option} {path}: no file can be written there: there is no folder {path.parent}")
    if (path.exists() and not path.is_file()) or not is_writable(folder):
        raise OptionError(f"{option} {path}: no file can be written there")


def check_folder(path: Path, option: str) -> None:
    """OptionError if a folder is none, or cannot be made there."""
    there = path.absolute()
    while not there.exists() and not there.is_symlink():
        there = there.parent
    if not there.is_dir() or not is_writable(there):
        raise OptionError(f"{option} {path}: no folder can be written there")


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
