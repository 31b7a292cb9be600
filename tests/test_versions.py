"""What pyproject.toml promises of Python and of the libraries is what docs/versions.md says was run."""

from __future__ import annotations

import re
from pathlib import Path

import tools.versions
from tools.versions import COLUMNS, LIBRARIES, lowest, write

ROOT = Path(__file__).parent.parent
PYPROJECT = (ROOT / "pyproject.toml").read_text()


def _rows() -> list[dict[str, str]]:
    lines = [line for line in (ROOT / "docs" / "versions.md").read_text().splitlines() if line.startswith("| 3.")]
    return [dict(zip(COLUMNS, re.findall(r"[^| ]+", line), strict=True)) for line in lines]


def _minor(version: str) -> int:
    return int(version.split(".")[1])


def test_every_python_that_is_allowed_was_run_and_no_other() -> None:
    first, end = re.findall(r'requires-python = ">=(3\.\d+),<(3\.\d+)"', PYPROJECT)[0]
    allowed = list(range(_minor(first), _minor(end)))
    assert [_minor(row["Python"]) for row in _rows() if row["libraries"] == "newest"] == allowed
    assert [_minor(version) for version in re.findall(r"Python :: (3\.\d+)", PYPROJECT)] == allowed
    assert f"Python 3.{allowed[0]} to 3.{allowed[-1]} " in (ROOT / "README.md").read_text()
    assert all(row["failed"] == "0" for row in _rows())


def test_the_lowest_libraries_that_are_allowed_were_run() -> None:
    (row,) = (row for row in _rows() if row["libraries"] == "lowest")
    asked = dict(pin.split("==") for pin in lowest())
    for name in LIBRARIES:
        assert f"{row[name]}.0.0".startswith(f"{asked[name]}."), name


def test_a_row_takes_the_place_of_the_one_before(tmp_path: Path, monkeypatch) -> None:
    page = tmp_path / "versions.md"
    page.write_text("text\n\n<!-- table -->\n<!-- end of table -->\nmore\n")
    monkeypatch.setattr(tools.versions, "PAGE", page)
    for python, libraries, failed in [("3.11.7", "newest", "1"), ("3.9.1", "newest", "0"), ("3.11.8", "newest", "0"),
                                      ("3.9.1", "lowest", "0")]:  # fmt: skip
        write(dict.fromkeys(COLUMNS, "-") | {"Python": python, "libraries": libraries, "failed": failed})
    lines = page.read_text().splitlines()
    assert lines[:3] == ["text", "", "<!-- table -->"] and lines[-2:] == ["<!-- end of table -->", "more"]
    rows = [re.findall(r"[^| ]+", line) for line in lines if line.startswith("| 3.")]
    assert [(row[0], row[1], row[COLUMNS.index("failed")]) for row in rows] == [
        ("3.9.1", "lowest", "0"), ("3.9.1", "newest", "0"), ("3.11.8", "newest", "0"),
    ]  # fmt: skip
