"""What README.md, docs/training.md and docs/compare.md show runs as it stands there, and their lists of options are whole."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from compare.__main__ import COMMANDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
TRAINING = (ROOT / "docs" / "training.md").read_text()
COMPARE = (ROOT / "docs" / "compare.md").read_text()
PAGES = {"README.md": README, "docs/training.md": TRAINING, "docs/compare.md": COMPARE}
OPTION = r"--[a-z][a-z0-9-]*"


def options(*arguments: str) -> list[str]:
    """Every way to write an option, as --help lists them."""
    command = [sys.executable, *arguments, "--help"]
    text = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    listed = re.findall(r"^  (-\S.*?)(?:  .*)?$", text, re.M)
    return [option for line in listed for option in re.findall(OPTION, line) if option != "--help"]


def in_tables(text: str) -> list[str]:
    """The options in the first columns of tables."""
    cells = re.findall(r"^\| `([^`]*)` \|", text, re.M)
    return [option for cell in cells for option in re.findall(rf"(?<![\w-]){OPTION}", cell)]


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README, re.S))
def test_python_runs(code: str) -> None:
    """And prints what its comments say."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    said = re.findall(r"^print\(.*\)  # (tensor\(.*?\))", code, re.M)
    assert said and all(line in done.stdout for line in said)


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page: str) -> None:
    """Each script and make target that a page names is there."""
    for script in set(re.findall(r"python (\w+\.py|tools/\w+\.py)", PAGES[page])):
        assert (ROOT / script).exists(), script
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"make ([a-z]\w*)(?=  |`| ARGS)", PAGES[page])):
        assert re.search(rf"^{target}:", makefile, re.M), target


@pytest.mark.parametrize("script", ["train_minigrad.py", "train_torch.py"])
def test_options_of_training(script: str) -> None:
    """The tables have every option, each once, and no other; so do the examples, of this page and of README."""
    known = options(script)
    assert sorted(in_tables(TRAINING)) == sorted(known)
    for line in re.findall(rf"{script} ([^#`\n]*)", TRAINING + README):
        assert set(re.findall(OPTION, line)) <= set(known), line


def test_commands_of_compare_are_shown() -> None:
    """In the order of `python -m compare`, each with options that it takes."""
    shown = re.findall(r"^python -m compare (\w+) ?([^#\n]*)", COMPARE, re.M)
    assert list(dict.fromkeys(name for name, _ in shown)) == list(COMMANDS)
    assert re.findall(r"^### (\w+)$", COMPARE, re.M) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_options_of_compare(name: str) -> None:
    """The section's table has every option, each once, and no other; so do the examples."""
    known = options("-m", "compare", name)
    section = COMPARE.partition(f"### {name}\n")[2].partition("\n### ")[0]
    assert sorted(in_tables(section)) == sorted(known)
    for line in re.findall(rf"^python -m compare {name} ?([^#\n]*)", COMPARE, re.M):
        assert set(re.findall(OPTION, line)) <= set(known), line


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_are_there(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)", PAGES[page]):
        assert (ROOT / page).parent.joinpath(target).exists(), target


def test_the_front_page_stays_short() -> None:
    assert len(README.splitlines()) <= 120
