"""What a measurement was made on: without it, a figure means nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Variables that say how many threads numerical libraries use, how those wait, and which kernels they choose.
PREFIXES = ("OPENBLAS_", "OMP_", "MKL_", "GOMP_", "KMP_", "GOTO_", "MINIGRAD_NUM_THREADS")


def numerical_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Those variables of an environment that change how fast numerical libraries are."""
    return {name: value for name, value in sorted(environment.items()) if name.startswith(PREFIXES)}


def describe_machine() -> dict[str, Any]:
    """Processor, cores that this process may use, load, memory, system, Python."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "usable_cores": usable,
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "memory": _field("/proc/meminfo", "MemTotal"),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _field(path: str, name: str) -> str | None:
    """The first value of a field in a file of `name : value` lines, if there is one."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)


def commit(folder: Path) -> str | None:
    """The git commit of a folder, with "+changes" if files differ from it; None where there is no git or no commit."""
    try:
        head = _git(folder, "rev-parse", "HEAD")
        return head + ("+changes" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


BUSY = 0.25  # of the cores: with a load above that before the start, times are not those of the machine alone


def in_words(machine: Mapping[str, Any], load: bool = True) -> str:
    """Of `describe_machine`'s facts what a reader of times has to know."""
    text = f"machine: {machine['processor']}, {machine['usable_cores']} of {machine['cores']} cores"
    if not load:
        return text
    return text + (f", load {machine['load'][0]:.1f}" if machine["load"] else ", load unknown")


def is_busy(machine: Mapping[str, Any]) -> bool:
    """Whether other programs were busy when measuring began."""
    return bool(machine["load"]) and machine["load"][0] > BUSY * machine["usable_cores"]
