"""PyTorch's own samples of some operators, by tools/torch_samples.py, which holds all of them by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
NAMES = (
    "amax cumprod gather index_add linalg.matrix_norm masked_select nn.functional.avg_pool2d nn.functional.batch_norm "
    "nn.functional.conv2d nn.functional.interpolate nn.functional.linear nn.functional.pad norm scatter softmax tril where"
).split()


def run(*arguments: str) -> str:
    """What the tool says; PyTorch's module of samples is private, and not everywhere to be had."""
    command = [sys.executable, "tools/torch_samples.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 2 and "cannot be imported" in done.stdout:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_samples() -> None:
    """Values, types, gradients of both orders; in float64, where rounding decides nothing."""
    last = run("--float64", *NAMES).strip().splitlines()[-1]
    assert " 0 failed, 0 refused" in last
    assert int(last.split(" of ")[1].split()[0]) > 300  # there were samples at all


def test_errors() -> None:
    """What PyTorch refuses is refused."""
    assert " 0 failed" in run(
        "--errors", "diag", "nn.functional.group_norm", "nn.functional.multi_margin_loss", "softmax"
    )
