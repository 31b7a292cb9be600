"""tools/full_size.sh, the experiments at full size, goes through on a few small images, and keeps to its limit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")


def full_size(out: Path, **settings: str) -> tuple[int, str]:
    """Exit code and what the script said."""
    environment = {**os.environ, "OUT": str(out), "PYTHON": sys.executable, "EXPERIMENTS": "simplenet-60", **settings}
    command = ["bash", "tools/full_size.sh"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_an_experiment_goes_through_once(tmp_path: Path) -> None:
    small = {"SCALE": "smoke", "DEVICE": "cpu"}
    code, said = full_size(tmp_path, **small)
    result = json.loads((tmp_path / "accuracy-simplenet-60-smoke.json").read_text())
    assert code == 0 and "0 experiments failed" in said and "epoch 1/1" in said, said
    assert result["complete"] and [run["arm"] for run in result["runs"]] == ["minigrad"]
    code, said = full_size(tmp_path, **small)
    assert code == 0 and "epoch 1/1" not in said and "one framework" in said, said  # nothing is done twice


@pytest.mark.parametrize(
    ("settings", "code", "line"),
    [
        ({"LIMIT": "21", "SCALE": "smoke"}, 0, "no time left for: simplenet-60"),
        ({"DATA": "/nowhere/at/all"}, 2, "error: DATA=/nowhere/at/all is no folder"),
        ({"SCALE": "smoke", "EXPERIMENTS": "simplenet-61"}, 1, "unknown experiment 'simplenet-61'"),
    ],
)
def test_what_cannot_be_done_is_one_line(tmp_path: Path, settings: dict[str, str], code: int, line: str) -> None:
    found, said = full_size(tmp_path, **settings)
    assert found == code and line in said and "Traceback" not in said, said
