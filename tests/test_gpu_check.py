"""tools/gpu_check.sh, the first minutes on a GPU, goes through on a few small images and the stand-in for CuPy."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import emulator

ROOT = Path(__file__).parent.parent
pytestmark = [
    pytest.mark.skipif(emulator.compiler() is None, reason="no g++ to emulate CUDA with"),
    pytest.mark.skipif(shutil.which("bash") is None, reason="no bash"),
]


@pytest.fixture(scope="module")
def standin_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder for PYTHONPATH in which `import cupy` finds the stand-in."""
    folder = tmp_path_factory.mktemp("standin")
    for name in ("cupy", "cupyx"):
        (folder / f"{name}.py").write_text("from tests.emulator import install\n\ninstall()\n")
    return str(folder)


def check(part: str, out: Path, standin_path: str) -> tuple[int, str, list[str]]:
    """Exit code, log and the commands that failed, of one part of the check."""
    environment = {
        **os.environ, "OUT": str(out), "PARTS": part, "SMALL": "1", "PYTHON": sys.executable, "PYTHONPATH": standin_path,
        "LIMIT": "400", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
    }  # fmt: skip
    command = ["bash", "tools/gpu_check.sh"]
    code = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True).returncode
    log = (out / "log.txt").read_text()
    count, failed = re.findall(r"^== \d+s done: (\d+) commands failed\n(.*)", log, re.M | re.S)[-1]
    failures = [line.strip() for line in failed.splitlines() if line.strip()]
    assert len(failures) == int(count) and code == bool(failures), log
    return code, log, failures


@pytest.mark.parametrize("part", ["kernels", pytest.param("train", marks=pytest.mark.slow), "tests"])
def test_a_part_goes_through(part: str, tmp_path: Path, standin_path: str) -> None:
    code, log, _ = check(part, tmp_path, standin_path)
    assert code == 0, log
    if part == "train":
        assert "-- exit 130" in log and "resumed " in log and "under attack: untargeted, 1 step" in log, log
        assert log.count("best validation top-1") == 4 and log.count("device: gpu:0") == 7, log
    else:
        assert re.search(r"= \d+ passed.* in ", log) and "skipped" not in log, log


def test_the_facts(tmp_path: Path, standin_path: str) -> None:
    """What fails here is what a machine without a GPU has not got."""
    _, log, failures = check("facts", tmp_path, standin_path)
    assert all(command.startswith("nvidia-smi ") for command in failures), log
    assert "14.2.0" in log and "in the place of CuPy" in log


def test_the_steps(tmp_path: Path, standin_path: str) -> None:
    code, log, _ = check("steps", tmp_path, standin_path)
    assert code == 0, log
    result = json.loads((tmp_path / "steps-simplenet.json").read_text())
    assert result["step_ms"] >= result["host_ms"] > 0 and result["peak_bytes"] > 2**20
    assert result["captured_step_ms"] >= result["captured_host_ms"] > 0 and "is not captured" not in log
    assert result["job"]["device"] == "gpu:0" and result["job"]["batch"] == 2


def test_the_speed_wants_a_gpu_for_torch(tmp_path: Path, standin_path: str) -> None:
    """Ours takes its first steps; PyTorch has no stand-in."""
    code, log, failures = check("speed", tmp_path, standin_path)
    if code:
        assert len(failures) == 1 and "minigrad: first steps" in log and "PyTorch finds no such GPU" in log, log


def test_a_limit_that_is_over_is_said(tmp_path: Path, standin_path: str) -> None:
    out = {**os.environ, "OUT": str(tmp_path), "PARTS": "train", "LIMIT": "1", "PYTHON": sys.executable}
    done = subprocess.run(["bash", "tools/gpu_check.sh"], cwd=ROOT, env=out, capture_output=True, text=True)
    assert done.returncode == 1 and "no time left for" in done.stdout, done.stdout
