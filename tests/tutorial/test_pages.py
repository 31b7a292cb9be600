"""The tutorial's pages: their code runs and prints what they say, in torch too; the lines of source that they name are right."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))

from tools import tutorial  # noqa: E402

PAGES = tutorial.pages()


@pytest.mark.parametrize("page", [*PAGES, *tutorial.derivations()], ids=lambda page: page.stem)
def test_the_code_prints_and_draws_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    results = tutorial.run(page, tmp_path)
    assert results
    assert tutorial.disagreements(page, results, tmp_path) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_torch_gives_the_digits_that_minigrad_gave(page: Path) -> None:
    """What the blocks below "The same in torch" print stands further up, where minigrad printed it."""
    before, after = page.read_text().split("## The same in torch")
    ours = {line for block in tutorial.blocks(before) for line in block.text.splitlines()}
    theirs = [line for block in tutorial.blocks(after) for line in block.text.splitlines()]
    assert theirs and "import torch" in after
    assert [line for line in theirs if line not in ours] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_chapter_has_its_parts(page: Path) -> None:
    text, number = page.read_text(), int(page.stem[:2])
    assert re.match(rf"# {number}\. ", text)
    assert "**The question: " in text
    assert "## Read now" in text and tutorial.LINK.search(text.split("## Read now")[1])
    assert f"python -m minigrad.exercises {number}\n" in text
    assert tutorial.SHOWN.search(text)


def test_pages_that_show_something_else_are_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1.25)\n```\n\n```text\n1.26\n```\n\n![x](../pictures/tutorial/none.png)\n")
    found = tutorial.disagreements(page, tutorial.run(page, tmp_path), tmp_path)
    assert len(found) == 2 and "line 2" in found[0] and "none.png" in found[1]


def test_numbers_of_one_machine_may_differ_and_words_may_not(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = f"```python\nprint('took 1.25 s')\n```\n\n```text {tutorial.VARIES}\ntook 17 s\n```\n"
    page.write_text(text)
    assert tutorial.disagreements(page, tutorial.run(page, tmp_path), tmp_path) == []
    page.write_text(text.replace("took 17", "lasted 17"))
    assert tutorial.disagreements(page, tutorial.run(page, tmp_path), tmp_path)


@pytest.mark.parametrize("page", tutorial.with_symbols(), ids=lambda page: page.stem)
def test_lines_of_source_are_current(page: Path) -> None:
    assert page.read_text() == tutorial.with_lines(page), "python tools/tutorial.py --lines finds them"


def test_lines_are_those_that_define_the_symbol() -> None:
    found = tutorial.place("minigrad.autograd.backward")
    assert found is not None
    file, first, last = found
    lines = file.read_text().splitlines()
    assert lines[first - 1].startswith("def backward(") and lines[last].strip() == ""
    assert tutorial.place("minigrad.autograd.no_such_thing") is None
    assert tutorial.moved("minigrad.no_such_file.Conv2d.definition") is None  # an op and a module are called Conv2d
    assert tutorial.moved("minigrad.no_such_file.Arriving.add") == "minigrad.engine.Arriving.add"


READING = (ROOT / "docs" / "reading.md").read_text()


def test_the_afternoon_is_about_as_long_as_it_says() -> None:
    files, lines = re.search(r"(\w+) files, about ([\d,]+) lines", READING).groups()  # type: ignore[union-attr]
    found = [int(n) for n in re.findall(r"^\[`[\w/.]+`, (\d+) lines\]", READING, re.M)]
    assert files == "Eight" and len(found) == 8
    assert abs(sum(found) / int(lines.replace(",", "")) - 1) < 0.15


@pytest.mark.parametrize("section", re.split(r"^## ", READING, flags=re.M)[1:9], ids=lambda section: section[:1])
def test_what_the_afternoon_points_at_is_there(section: str) -> None:
    """Each name in the paragraph about a file stands in one of the files that the paragraph links to."""
    linked = re.findall(r"\]\((?:\.\./)+([\w/.]+\.py)", section)
    text = "".join((ROOT / name).read_text() for name in linked)
    assert linked and [name for name in re.findall(r"`([A-Za-z_]\w*)`", section) if name not in text] == []


def test_code_of_derivations_finds_its_formulas_right() -> None:
    for page in tutorial.derivations():
        printed = "".join(block.text for block in tutorial.blocks(page.read_text()))
        assert "True" in printed and "False" not in printed, page.name
