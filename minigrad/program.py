"""How every command line of the project begins and ends: a user's mistake is one line and exit code 2, never a traceback.

While minigrad is imported in order to run as a program, Ctrl-C ends the process at once; `run` puts Python's handling back.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

from minigrad.errors import MinigradError, is_device_failure, one_line

PROGRAMS = (
    "minigrad",
    "minigrad.exe",
    "-m",
)  # sys.argv[0] is "-m" while Python imports the package of `python -m package`


class Interrupted(Exception):
    """Ctrl-C or another signal, noticed where everything is saved; `str` says how to go on."""

    def __init__(self, signum: int, message: str) -> None:
        super().__init__(message)
        self.signum = signum


def end_at_ctrl_c() -> None:
    """Until `run`, Ctrl-C ends the process without a traceback; where a shell has it ignored, it stays so."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def run(work: Callable[[], int]) -> int:
    """The exit code of `work()`: 2 after one line for what the user can put right, 128 + its number after a signal."""
    with suppress(ValueError):  # in another thread than the main one there are no signals to handle
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    prepare_streams()
    from minigrad.terminal import folded

    with folded():
        return _exit_code(work)


_notes: list[str] = []


def note(text: str) -> None:
    """A remark for stderr, so that stdout stays what was asked for; at the end, and only if all went well."""
    _notes.append(text)


def _exit_code(work: Callable[[], int]) -> int:
    _notes.clear()
    try:
        code = work()
        sys.stdout.flush()
        for text in _notes:
            print(f"note: {text}", file=sys.stderr)
        return code
    except BrokenPipeError:  # `| head -1`: whoever read has enough
        give_up_output()
        return 128 + getattr(signal, "SIGPIPE", 13)
    except (MinigradError, FloatingPointError, OSError, MemoryError) as error:
        say_error(error)
    except Interrupted as stop:
        with suppress(OSError):
            print(stop, flush=True)
        give_up_output()
        return 128 + stop.signum
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 128 + signal.SIGINT
    except Exception as error:
        if not is_device_failure(error):
            raise
        say_error(error)
    return 2


def as_called(command: str) -> str:
    """How the user wrote what runs: "python train_torch.py", or "minigrad train" for a command of `minigrad`."""
    path = sys.argv[0]
    if os.path.basename(path) in PROGRAMS:
        return f"minigrad {command}"
    if path.endswith(os.path.join("minigrad", "__main__.py")):
        return f"python -m minigrad {command}"
    return f"python {shlex.quote(path)}"


def say_error(error: BaseException) -> None:
    """One line on stderr, after what was printed before it."""
    give_up_output()
    with suppress(OSError):
        print(one_line(error), file=sys.stderr)


def prepare_streams() -> None:
    """Output that is closed (`>&-`) goes nowhere; a letter that its encoding lacks becomes a question mark."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def give_up_output() -> None:
    """Print what is left to be printed; if that fails, as on a full disk, let it be, without a traceback at the very end."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError, AttributeError):  # a stream of a test has no file
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)


if os.path.basename(sys.argv[0] if sys.argv else "") in PROGRAMS:
    end_at_ctrl_c()
