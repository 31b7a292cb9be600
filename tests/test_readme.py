"""What README.md shows runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from compare.__main__ import COMMANDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README, re.S))
def test_python_runs(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_commands_exist() -> None:
    """Each script and make target that the page names is there."""
    for script in set(re.findall(r"python (\w+\.py|tools/\w+\.py)", README)):
        assert (ROOT / script).exists(), script
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"make (\w+)  ", README)):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_options_exist() -> None:
    """Each --option that the page shows of the training scripts is one that they take."""
    shown = {o for line in re.findall(r"train_\w+\.py (.*)", README) for o in re.findall(r"--[a-z][a-z-]*", line)}
    assert len(shown) >= 5
    help_text = subprocess.run(
        [sys.executable, "train_minigrad.py", "--help"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for option in shown:
        assert option in help_text, option


def test_commands_of_compare_are_shown() -> None:
    """In the order of `python -m compare`, each with options that it takes."""
    shown = re.findall(r"^python -m compare (\w+) ?([^#\n]*)", README, re.M)
    assert list(dict.fromkeys(name for name, _ in shown)) == list(COMMANDS)
    for name, arguments in shown:
        help_text = subprocess.run(
            [sys.executable, "-m", "compare", name, "--help"], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout
        for option in re.findall(r"--[a-z][a-z-]*", arguments):
            assert option in help_text, f"compare {name} {option}"


def test_links_and_pictures_are_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)", README):
        assert (ROOT / target).exists(), target
