"""Running `minigrad` quickly, inside this process; and photographs of all kinds that people have."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from minigrad.commands import main

ROOT = Path(__file__).parents[2]
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """call(*arguments): (exit code, stdout, stderr) of a command, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as end:  # how argparse ends after --help
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def at_terminal(call: Call, monkeypatch: pytest.MonkeyPatch) -> Call:
    """The same where both streams are terminals of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str) -> tuple[int, str, str]:
        with monkeypatch.context() as patch:
            for stream in (sys.stdout, sys.stderr):
                patch.setattr(stream, "isatty", lambda: True, raising=False)
            return call(*arguments)

    return run


@pytest.fixture
def refused(call: Call) -> Callable[..., str]:
    """refused(*arguments): the one line on stderr of a command that ends with exit code 2 and prints nothing else."""

    def run(*arguments: str) -> str:
        code, out, err = call(*arguments)
        assert code == 2, (arguments, out, err)
        assert err.startswith("error: ") and err.count("\n") == 1, err
        assert out == "", out
        return err

    return run


@pytest.fixture
def scene() -> np.ndarray:
    """A photograph whose four sides all differ, bright things on black: uint8 (60, 80, 3)."""
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[10:55, 30:50] = (200, 180, 160)
    pixels[10:25, 20:70] = (250, 60, 40)
    return pixels
