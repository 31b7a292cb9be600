"""python -m compare overhead: a tiny run from end to end, and bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compare import overhead
from compare.__main__ import main
from compare.kit.result import RESULTS, read_result


def test_a_small_run_from_end_to_end(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "overhead.json"
    assert main(["overhead", "--rounds", "1", "--batches", "1", "--json", str(file)]) == 0
    found = json.loads(file.read_text())
    assert found["format"] == overhead.COMMAND.format and found["machine"] and found["versions"]
    assert list(found["microseconds"]["minigrad"]) == list(found["microseconds"]["torch"]) == list(overhead.measure.OPS)
    assert [int(length) for length in found["chain"]] == list(overhead.measure.LENGTHS)
    assert all(t[0] > 0 for times in found["microseconds"].values() for t in times.values())
    assert all(op in capsys.readouterr().out for op in ("add",))


def test_what_is_committed_can_be_shown() -> None:
    result = read_result(RESULTS / "overhead-cpu.json", overhead.COMMAND.format)
    small, chains = overhead.show.tables(result)
    assert [row[0] for row in small.rows] == list(overhead.measure.OPS) and len(chains.rows) == len(
        overhead.measure.LENGTHS
    )
    assert overhead.show.pictures(result)["overhead"].startswith(b"\x89PNG")
    result["microseconds"] = {"minigrad": {"add": [2.0, 2.0], "exp": [3.0]}, "torch": {"add": [1.0, 4.0], "exp": [1.0]}}
    result["chain"] = {"1000": 2.0, "100000": 3.0}
    assert "1.25 (add) to 3.00 (exp)" in overhead.show.verdict(result)
    assert "chain of 100,000 costs 1.50 of one in a chain of 1,000" in overhead.show.verdict(result)


@pytest.mark.parametrize(
    "arguments", [["--rounds", "0"], ["--batches", "x"], ["--nonsense"], ["--json", "pyproject.toml"]]
)
def test_bad_options_are_one_line(arguments: list[str], capsys: Any) -> None:
    assert main(["overhead", *arguments]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_without_torch_one_line(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compare.kit.arguments.find_spec", lambda name: None)
    assert main(["overhead"]) == 2
    assert "PyTorch" in capsys.readouterr().err
