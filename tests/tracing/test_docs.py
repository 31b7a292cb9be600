"""docs/trace.md runs as it stands there, and prints what it says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "trace.md"


def test_the_page_runs_and_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```(python|text)\n(.*?)```", PAGE.read_text(), re.S)
    monkeypatch.chdir(tmp_path)
    here: dict[str, object] = {"__name__": "page"}
    printed = io.StringIO()
    for kind, block in blocks:
        if kind == "python":
            with contextlib.redirect_stdout(printed):
                exec(compile(block, "trace.md", "exec"), here)
            continue
        lines = [line for line in block.splitlines() if "frees" not in line]
        shown = [line for line in printed.getvalue().splitlines() if "frees" not in line]
        assert "\n".join(lines) in "\n".join(shown)
    assert "beside PyTorch: 14 arrays compared, none differs" in printed.getvalue()
    assert {"step.html", "watch.png", "runs"} <= {path.name for path in tmp_path.iterdir()}
