"""Runs scripts on several ranks, by the mpiexec beside this Python, or the first one found; tests skip where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def mpiexec() -> str | None:
    """The launcher, or None."""
    beside = Path(sys.executable).with_name("mpiexec")
    return str(beside) if beside.exists() else shutil.which("mpiexec")


needs_mpi = pytest.mark.skipif(find_spec("mpi4py") is None or mpiexec() is None, reason="needs mpi4py and mpiexec")

ENVIRONMENT = {
    "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "MINIGRAD_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
    "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}  # fmt: skip


def start(ranks: int, *command: str, cwd: Path = ROOT, flags: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """mpiexec -n ranks python command..., its output in pipes."""
    launcher = mpiexec()
    assert launcher is not None
    clean = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("PMI_", "OMPI_COMM", "RANK", "WORLD_SIZE", "MPI_LOCAL"))
    }
    return subprocess.Popen(
        [launcher, *flags, "-n", str(ranks), sys.executable, *command], cwd=cwd, env={**clean, **ENVIRONMENT},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def run(ranks: int, *command: str, cwd: Path = ROOT, flags: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """The same, when it has ended."""
    process = start(ranks, *command, cwd=cwd, flags=flags)
    try:
        out, err = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def check(ranks: int, script: str, tmp_path: Path) -> str:
    """Run a script on so many ranks; its output, if every rank ended well."""
    file = tmp_path / "script.py"
    file.write_text(script)
    done = run(ranks, str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
