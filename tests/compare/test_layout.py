"""The shape of compare/: a folder a command over kit/, few arrows between the folders, and one line of design a file."""

from __future__ import annotations

import ast
from pathlib import Path

COMPARE = Path(__file__).parents[2] / "compare"
MOST_ARROWS, MOST_LINES = 20, 60


def arrows() -> set[tuple[str, str]]:
    """(a folder, another one that a file of it imports from), lazy imports too."""
    found = set()
    for path in COMPARE.glob("*/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {(path.parent.name, name.split(".")[1]) for name in modules if name.startswith("compare.")}
    return {(a, b) for a, b in found if a != b}


def test_few_arrows_and_none_out_of_the_kit() -> None:
    found = arrows()
    assert len(found) <= MOST_ARROWS and all(a != "kit" for a, _ in found)
    assert {(a, b) for a, b in found if b != "kit"} == {
        ("accuracy", "attacks"), ("profile", "speed"), ("scaling", "speed"),
    }  # fmt: skip


def test_nothing_lies_beside_the_folders() -> None:
    assert sorted(path.name for path in COMPARE.glob("*.py")) == ["__init__.py", "__main__.py"]


def test_a_command_has_its_options_its_measurement_and_its_looks() -> None:
    for folder in COMPARE.iterdir():
        if (folder / "__init__.py").is_file() and folder.name not in ("kit", "report"):
            assert {"measure.py", "show.py"} <= {path.name for path in folder.glob("*.py")}, folder.name


def test_functions_are_short() -> None:
    for path in COMPARE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < MOST_LINES, f"{path.name}: {node.name}"  # type: ignore[operator]
