"""Running the two scripts: as a user does, in a process of their own, or quickly inside this one."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Threads change the order of sums: one thread on both sides of every comparison of bits.
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MINIGRAD_NUM_THREADS": "1",
    "PYTHONPATH": str(ROOT),
}


@pytest.fixture(scope="session", params=["train_torch", "train_minigrad"])
def script(request: pytest.FixtureRequest) -> str:
    """The name of a script: every test that takes it runs in both frameworks."""
    if request.param == "train_torch":
        pytest.importorskip("torch")
    return request.param


@pytest.fixture(scope="session")
def start(script: str) -> Callable[..., subprocess.Popen]:
    """start(*arguments, cwd=...): the script in a process of its own, its output as text in stdout."""

    def begin(*arguments: str, cwd: Path) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, str(ROOT / f"{script}.py"), *arguments],
            cwd=cwd,
            env=ENVIRONMENT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    return begin


@pytest.fixture
def call_script(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """call_script(name, *arguments): a script's main in this process; returns the exit code. Quicker than a process."""
    monkeypatch.syspath_prepend(str(ROOT))

    def run(name: str, *arguments: str) -> int:
        module = importlib.import_module(name)
        if name == "train_torch":
            module.torch.set_num_threads(1)
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
        return module.main(module.train, list(module.MODELS))

    return run


@pytest.fixture
def call(script: str, call_script: Callable[..., int]) -> Callable[..., int]:
    """call(*arguments): call_script for the script under test."""
    return partial(call_script, script)
