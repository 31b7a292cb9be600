"""Files of results: what each says of its own making, written whole or not at all, read with care.

A result is a dictionary that JSON can hold. Its "format" is "compare COMMAND VERSION"; beside it stands its origin: the
command, when, on which commit, machine and versions. Those that are committed lie in compare/results/.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from compare.kit.machine import commit, describe_machine
from minigrad.errors import OptionError
from minigrad.files import check_target as check_file
from minigrad.files import write_atomically

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "compare" / "results"
LIBRARIES = ("numpy", "scipy", "torch", "torchvision", "cupy-cuda12x", "cupy-cuda13x")

Result = dict[str, Any]


def origin(command: str, arguments: Sequence[str]) -> Result:
    """{"command", "started", "commit", "machine", "versions"}: where a result comes from."""
    return {
        "command": shlex.join(["python", "-m", "compare", command, *map(portable, arguments)]),
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": commit(ROOT),
        "machine": describe_machine(),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """{library: version} of minigrad and of what is installed beside it; nothing is imported for it."""
    import minigrad

    found = {"minigrad": minigrad.__version__}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            pass
    return found


def portable(argument: str) -> str:
    """An argument as it goes into a file: of a path from the root only the name, for the rest says nothing elsewhere.

    A path may stand alone, after --option= or a label=, after torch: and after @.
    """
    return re.sub(r"(^|[=:@])(/[^=:@]+)", lambda found: found[1] + Path(found[2]).name, argument)


def check_target(path: Path | None, format: str, option: str = "--json") -> None:
    """OptionError, before anything is measured, if no result of this format could be written there: no such folder, no
    leave to write, or a file that is something else, which stays as it is."""
    if path is None:
        return
    check_file(path, option)
    if path.exists():
        read_result(path, format, option)


def read_result(path: Path, format: str | None = None, option: str = "--json") -> Result:
    """The result in a file. OptionError if there is none, if it was cut short, or if it is not of `format` (None: any)."""
    stays = "nothing was overwritten"
    try:
        result = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise OptionError(f"{option} {path} is no file of results, or was cut short: {stays}") from error
    made = result.get("format") if isinstance(result, dict) else None
    if not isinstance(made, str) or not made.startswith("compare ") or format not in (None, made):
        raise OptionError(f"{option} {path} is of format {made!r}, not {format or 'compare ...'!r}: {stays}")
    return result


def write_result(path: Path | None, result: Result, option: str = "--json") -> None:
    """Write a result, whole or not at all; None: nowhere. OptionError where it cannot be written."""
    if path is None:
        return
    try:
        write_atomically(path, (json.dumps(result, indent=1) + "\n").encode())
    except OSError as error:
        raise OptionError(f"{option} {path}: {error.strerror}") from error
