"""tools/processors.py: a setting takes effect or its row says so, a red test is named, the page keeps other processors."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
TOOL = ROOT / "tools" / "processors.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("processors", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["processors"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_settings_are_those_that_this_processor_can_run(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "processor_flags", lambda: {"pni", "sse4_2", "avx", "avx2", "fma"})
    known = tool.settings()
    assert [name for name in known if name.startswith("OpenBLAS")] == [
        f"OpenBLAS {core}" for core in ("Prescott", "Nehalem", "Sandybridge", "Haswell", "Zen")
    ]
    assert known["as it comes"] == {} and known["threads 3"] == {"MINIGRAD_NUM_THREADS": "3"}
    assert all(given.keys() <= set(tool.VARIABLES) for given in known.values())
    monkeypatch.setattr(tool, "processor_flags", set)  # no Linux, or no x86
    assert list(tool.settings()) == ["as it comes", "NumPy at its baseline", "threads 1", "threads 2", "threads 3"]


def test_whether_a_setting_took_effect_is_seen(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIGRAD_NUM_THREADS", "7")  # of whoever runs the tool: no setting has it
    plain, three, unknown = (
        tool.look(g) for g in ({}, tool.settings()["threads 3"], {"OPENBLAS_CORETYPE": "Nonsense"})
    )
    assert plain["threads"] != 7 and three["threads"] == 3
    assert unknown == plain
    assert tool.look({"PYTHONHOME": "/nowhere"}) is None


SUITE = """
import os, pytest
def test_right(): assert os.environ.get("OPENBLAS_CORETYPE") == "Nehalem"
@pytest.mark.parametrize("x", ["a|b"])
def test_wrong(x): assert False
@pytest.mark.skip
def test_left_out(): pass
"""


def test_a_red_test_is_named(tool: ModuleType, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "test_it.py").write_text(SUITE)
    given = {"OPENBLAS_CORETYPE": "Nehalem"}
    arguments = ["--noconftest", "-c", "/dev/null", f"--rootdir={tmp_path}", str(tmp_path)]
    row = tool.run("OpenBLAS Nehalem", 1, given, "chosen", arguments, 5)
    assert row.counts == {"passed": 1, "failed": 1, "skipped": 1} and not row.green
    assert row.failed == ["test_it.py::test_wrong[a|b]"] and "assert False" in capsys.readouterr().err
    line = tool.line([row])
    assert line.startswith("| OpenBLAS Nehalem | chosen | 0 of 1 green | 1 | 1 | 1 |") and "[a\\|b] |" in line
    assert tool.run("x", 1, {}, "", [*arguments, "-k", "nothing"], 5).failed[0].startswith("pytest ended with 5")
    assert tool.run("x", 1, {}, "", arguments, 0).failed == ["no end within 0 minutes"]


def test_the_page_keeps_other_processors(tool: ModuleType) -> None:
    page = "# Page\n\nwords\n\n## A\n\nold\n\n## B\n\nits own\n"
    assert tool.put(page, "A", "## A\n\nnew") == "# Page\n\nwords\n\n## B\n\nits own\n\n## A\n\nnew\n"
    assert tool.put("# Page\n", "A", "## A\n\nnew") == "# Page\n\n## A\n\nnew\n"


def test_rows_are_kept_and_the_exit_code_tells(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(SUITE)
    keep = tmp_path / "rows.jsonl"
    pytest_arguments = [
        "--noconftest",
        "-c",
        "/dev/null",
        f"--rootdir={tmp_path}",
        str(tmp_path),
        "-k",
        "wrong or left",
    ]
    command = [sys.executable, str(TOOL), "--only", "threads 3", "--keep", str(keep), "--", *pytest_arguments]
    said = []
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 1 and "1 of 1 runs are red" in done.stdout, done.stderr
        said.append(done.stdout)
    assert said[0] == said[1] and len(keep.read_text().splitlines()) == 1
    assert json.loads(keep.read_text())[1]["failed"] == ["test_it.py::test_wrong[a|b]"]
