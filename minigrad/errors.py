"""The errors that a user can cause from the command line.

A script turns each of these into one clear line and exit code 2. Errors of ops are torch's kinds instead
(RuntimeError, IndexError, TypeError, ValueError, NotImplementedError), raised where they happen.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class MinigradError(Exception):
    """Something that the user can put right: the message says what was wrong and what would be right."""


class OptionError(MinigradError, ValueError):
    """An option's value is unknown, out of range, or at odds with another option."""


class DataError(MinigradError, ValueError):
    """A data set is missing, incomplete or unreadable; the message names the file and its line."""


class CheckpointError(MinigradError, ValueError):
    """A checkpoint is truncated, of another model, or not a checkpoint at all."""


class WriteError(MinigradError, OSError):
    """A file cannot be written: the disk is full, say, or the folder is not ours to write in. What was there is as it was."""

    def __str__(self) -> str:
        return f"{self.filename} cannot be written ({self.strerror}): what was there is as it was"


class DeviceError(MinigradError, RuntimeError):
    """A device was asked for that this machine does not have."""


class RankError(MinigradError, RuntimeError):
    """Another rank was lost, hangs, or gave up; or the ranks disagree about what they are to do."""


def is_device_failure(error: BaseException) -> bool:
    """Whether CuPy raised it: a GPU that is lost or has failed in the middle of its work, kernels that do not compile."""
    return type(error).__module__.partition(".")[0] in ("cupy", "cupy_backends") and not isinstance(error, MemoryError)


def one_line(error: BaseException) -> str:
    """What a script says of an error before it ends with exit code 2. An OSError says which file it is about."""
    text = str(error)
    if isinstance(error, OSError) and not isinstance(error, MinigradError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if is_device_failure(error):
        text = f"the GPU failed ({text}). What was saved is whole: --resume goes on with it"
    if isinstance(error, MemoryError):
        text = f"the memory does not suffice ({text})"
    return f"error: {printable(' '.join(text.split()))}"


def printable(text: str) -> str:
    """A text with what a terminal would obey, or cannot show, written as Python writes it: \\x1b."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """What ends a message on an unknown name: " (did you mean X?)", of the known one most like it; "" where none is."""
    from difflib import get_close_matches

    names = sorted(known)
    near = get_close_matches(name.lower(), {other.lower() for other in names}, n=1)
    alike = [other for other in names if near and other.lower() == near[0]]
    return f" (did you mean {get_close_matches(name, alike, 1, 0)[0]}?)" if alike else ""


def explain_missing(module: str) -> None:
    """From here on, the AttributeError for a name that the module does not have proposes the one that was probably meant."""
    import sys

    def missing(name: str) -> Any:
        raise no_attribute(module, name)

    vars(sys.modules[module])["__getattr__"] = missing


def no_attribute(module: str, name: str) -> AttributeError:
    """The error for a name that a module does not have; the `obj` alone is given, so that Python does not guess as well."""
    import sys

    here = sys.modules[module]
    known = [] if name.startswith("_") else [*dir(here), *getattr(here, "__all__", ())]
    near = did_you_mean(name, [other for other in known if not other.startswith("_")])
    return AttributeError(f"module {module!r} has no attribute {name!r}{near}", obj=here)
