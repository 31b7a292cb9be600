"""What can go wrong with a GPU is one line and exit code 2: no CuPy for it, an old driver, a busy, full or lost device."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minigrad.backends import get
from tests import emulator
from tests.emulator import POOL, CUDARuntimeError, Faults

ROOT = Path(__file__).parents[2]
SMALL = "--device gpu --limit-train 8 --limit-val 8 --batch-size 4 --image-size 32 --epochs 2 --warmup 0".split()

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(emulator.real_cupy() is not None, reason="the stand-in's GPUs fail on demand"),
    pytest.mark.skipif(emulator.compiler() is None, reason="no g++ to emulate CUDA with"),
]


def only_line(capsys: Any) -> str:
    """The one line on stderr, which is an error."""
    (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert line.startswith("error: "), line
    return line


# -- what CuPy says when it is imported, or asked for GPUs: in a process of its own ----------------------------------------

STAND_IN = "from tests.emulator import install\ncupy = install()\n"
IMPORTS = {
    "CuPy for another CUDA": (
        "raise ImportError('''\n=====\nFailed to import CuPy.\n\nOriginal error:\n  ImportError: libcublas.so.12: cannot open "
        "shared object file\n=====\n''')",
        ["CuPy is installed, but cannot be imported", "libcublas.so.12", "for another CUDA?", "cupy-cuda13x for CUDA 13"],
    ),
    "an old CuPy": (STAND_IN + "cupy.__version__ = '13.6.0'", ["CuPy 14 or newer", "CuPy 13.6.0 is installed"]),
    "an old driver": (
        STAND_IN + "from tests.emulator import CUDARuntimeError\n"
        "def count(): raise CUDARuntimeError('cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA '\n"
        "                                    'runtime version')\n"
        "cupy.cuda.runtime.getDeviceCount, cupy.cuda.runtime.driverGetVersion = count, lambda: 12020",
        ["cudaErrorInsufficientDriver", "the driver is good for CUDA 12.2, CuPy runs CUDA 13.0"],
    ),
    "no GPU": (STAND_IN + "cupy.cuda.runtime.getDeviceCount = lambda: 0", ["finds no CUDA device"]),
}  # fmt: skip


@pytest.mark.parametrize("case", IMPORTS)
def test_a_cupy_that_cannot_work_is_one_line(case: str, tmp_path: Path) -> None:
    code, words = IMPORTS[case]
    (tmp_path / "cupy.py").write_text(code + "\n")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    command = [sys.executable, str(ROOT / "train_minigrad.py"), "--device", "gpu", "--out", str(tmp_path / "run")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == "", done.stdout
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ") and all(word in line for word in words), line
    assert not (tmp_path / "run").exists()


# -- GPUs that fail -----------------------------------------------------------------------------------------------------


@pytest.fixture
def script(call_script: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The script, on two GPUs."""
    get("gpu").check_device.cache_clear()
    monkeypatch.setattr(Faults, "devices", 2)
    monkeypatch.setattr(Faults, "busy", {})
    with emulator.standin().cuda.Device(0):
        yield lambda *arguments: call_script("train_minigrad", *arguments)
    get("gpu").check_device.cache_clear()


def test_a_busy_gpu_is_one_line_and_the_other_one_works(script, capsys, monkeypatch, tmp_path) -> None:
    unavailable = CUDARuntimeError("cudaErrorDevicesUnavailable: CUDA-capable device(s) is/are busy or unavailable")
    monkeypatch.setattr(Faults, "busy", {0: unavailable})
    assert script(*SMALL, "--out", str(tmp_path / "a")) == 2
    line = only_line(capsys)
    assert "gpu:0 cannot be used" in line and "busy or unavailable" in line and "there is also gpu:1" in line
    assert not (tmp_path / "a").exists()
    assert script(*SMALL, "--device", "gpu:1", "--epochs", "1", "--out", str(tmp_path / "b")) == 0
    assert "device: gpu:1" in capsys.readouterr().out


def test_a_gpu_that_is_not_there_is_one_line(script, capsys) -> None:
    assert script("--device", "gpu:2") == 2
    assert "gpu:0 to gpu:1" in only_line(capsys)


def test_too_little_memory_is_found_before_training(script, capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(POOL, "total", POOL.used_bytes() + 64 * 2**20)
    assert (
        script(*SMALL, "--batch-size", "8", "--image-size", "128", "--model", "resnet18", "--out", str(tmp_path / "a"))
        == 2
    )
    line = only_line(capsys)
    assert "too little memory" in line or "memory does not suffice" in line, line
    assert not (tmp_path / "a").exists()


def test_what_a_step_needs_and_what_is_free_is_said(script, capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(POOL, "total", POOL.used_bytes() + 32 * 2**20)
    assert script(*SMALL[:2], "--batch-size", "4096", "--out", str(tmp_path / "a")) == 2
    line = only_line(capsys)
    assert "gpu:0 has too little memory: a step with --batch-size 4096 needs " in line and "GiB are free" in line, line
    fits = int(line.rsplit("--batch-size ", 1)[1].split()[0])
    assert 8 < fits < 4096 and not (tmp_path / "a").exists()


@pytest.mark.parametrize("case", ["full", "lost"])
def test_a_gpu_that_fails_in_training_leaves_the_last_checkpoint_whole(
    case, script, capsys, monkeypatch, tmp_path
) -> None:
    from minigrad.training import run as module

    seen = []
    finish = module.Run.finish_epoch

    def fail_afterwards(self: Any, *arguments: Any) -> None:
        finish(self, *arguments)
        seen.append(1)
        if case == "lost":
            monkeypatch.setattr(Faults, "work_left", 50)
        else:
            monkeypatch.setattr(POOL, "total", POOL.used_bytes() // 2)  # what is freed by now does not suffice either

    monkeypatch.setattr(module.Run, "finish_epoch", fail_afterwards)
    assert script(*SMALL, "--out", str(tmp_path / "run")) == 2
    line = only_line(capsys)
    assert (
        "the memory does not suffice (Out of memory allocating" if case == "full" else "the GPU failed (cudaError"
    ) in line
    monkeypatch.undo()
    assert seen == [1]
    assert script("--resume", str(tmp_path / "run"), "--device", "gpu") == 0
    assert "resumed" in capsys.readouterr().out


@pytest.mark.parametrize("case", ["full", "lost"])
def test_a_gpu_that_fails_in_a_captured_step_is_one_line(case, script, capsys, monkeypatch, tmp_path) -> None:
    """In the step that is captured, and in one that is launched: what was saved before the epoch is whole."""
    from minigrad.training import run as module

    record, seen = module.Run.record_later, []

    def fail_at(self: Any, *arguments: Any) -> None:
        record(self, *arguments)
        seen.append(1)
        if len(seen) == (3 if case == "full" else 5):  # three steps warm up, the fourth is captured
            if case == "lost":
                monkeypatch.setattr(Faults, "work_left", 1)
            else:
                monkeypatch.setattr("tests.emulator.memory.Pool.take", refuse)

    def refuse(self: Any, allocation: Any, requested: int) -> None:
        raise emulator.memory.OutOfMemoryError(allocation.size, 0)

    monkeypatch.setattr(module.Run, "record_later", fail_at)
    assert script(*SMALL, "--epochs", "1", "--limit-train", "32", "--out", str(tmp_path / "run")) == 2
    line = only_line(capsys)
    assert ("the memory does not suffice" if case == "full" else "the GPU failed (cudaError") in line, line
    monkeypatch.undo()
    assert script("--resume", str(tmp_path / "run"), "--device", "gpu") == 0
    assert "resumed" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["keeping", "evaluating"])
def test_a_gpu_that_is_lost_elsewhere_is_one_line(what, script, capsys, monkeypatch, tmp_path) -> None:
    """While images are brought to it, and in an evaluation."""
    from minigrad.backends.gpu.feeding import Images

    run = str(tmp_path / "run")
    if what == "evaluating":
        assert script(*SMALL, "--epochs", "1", "--out", run) == 0
        monkeypatch.setattr("minigrad.training.run.Data.val_batches", lose(monkeypatch))
        assert script("--resume", run, "--evaluate", "--device", "gpu") == 2
    else:
        fill = Images.fill

        def fail(self: Any, block: Any) -> None:
            monkeypatch.setattr(Faults, "work_left", 0)
            fill(self, block)

        monkeypatch.setattr(Images, "fill", fail)
        assert script(*SMALL, "--data-on-device", "--out", run) == 2
        assert not os.path.exists(run)
    assert "the GPU failed (cudaError" in only_line(capsys)


def lose(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Data.val_batches, on a GPU that is lost after the first batch."""
    from minigrad.training.run import Data

    batches = Data.val_batches

    def losing(self: Any, *arguments: Any) -> Any:
        for batch in batches(self, *arguments):
            yield batch
            monkeypatch.setattr(Faults, "work_left", 0)
            yield batch

    return losing
