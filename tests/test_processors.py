"""tools/processors.py: a setting takes effect or its row says so, a red test is named, the page keeps other processors."""

from __future__ import annotations

import importlib.util
import json
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
    assert "MINIGRAD_NUM_THREADS" not in tool.environment({})
    three = {"MINIGRAD_NUM_THREADS": "3"}
    found, nonsense = (tool.look(three | given) for given in ({}, {"OPENBLAS_CORETYPE": "Nonsense"}))
    assert found["threads"] == 3 and nonsense == found
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


def test_rows_are_kept_and_the_exit_code_tells(
    tool: ModuleType, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "test_it.py").write_text(SUITE)
    keep, page = tmp_path / "rows.jsonl", tmp_path / "page.md"
    page.write_text("# Page\n")
    monkeypatch.setattr(tool, "PAGE", page)
    monkeypatch.setattr(tool, "look", lambda given: {"threads": given["MINIGRAD_NUM_THREADS"] != "1", "checksum": 0})
    arguments = ["--noconftest", "-c", "/dev/null", f"--rootdir={tmp_path}", str(tmp_path), "-k", "wrong or left"]
    command = ["processors.py", "--only", "threads", "--keep", str(keep), "--write", "--", *arguments]
    monkeypatch.setattr(sys, "argv", command)
    said = []
    for _ in range(2):
        assert tool.main() == 1
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] and "\n2 of 2 runs are red." in said[0]
    assert "| threads 3 | the same kernels as threads 2: not run again |" in said[0]
    rows = [json.loads(line)[1] for line in keep.read_text().splitlines()]
    assert [row["failed"] for row in rows] == [["test_it.py::test_wrong[a|b]"]] * 2
    assert page.read_text().count("\n| threads ") == 3 and tool.machine_name() in page.read_text()
