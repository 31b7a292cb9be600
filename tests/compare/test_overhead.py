"""python -m compare overhead: a tiny run from end to end, and bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compare import overhead
from compare.__main__ import main


def test_a_small_run_from_end_to_end(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "overhead.json"
    assert main(["overhead", "--rounds", "1", "--batches", "1", "--json", str(file)]) == 0
    found = json.loads(file.read_text())
    assert list(found["microseconds"]["minigrad"]) == list(found["microseconds"]["torch"]) == list(overhead.OPS)
    assert [int(length) for length in found["chain"]] == list(overhead.LENGTHS)
    assert all(t[0] > 0 for times in found["microseconds"].values() for t in times.values())
    assert all(op in capsys.readouterr().out for op in ("add",))


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--batches", "x"], ["--nonsense"]])
def test_bad_options_are_one_line(arguments: list[str], capsys: Any) -> None:
    assert main(["overhead", *arguments]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_without_torch_one_line(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overhead, "find_spec", lambda name: None)
    assert main(["overhead"]) == 2
    assert "PyTorch" in capsys.readouterr().err
