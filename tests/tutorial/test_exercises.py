"""The tutorial's exercises: right answers pass, wrong ones are named in words, tasks that nobody has touched are to do."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from minigrad.exercises import __main__ as command
from tests.tutorial.answers import ANSWERS

CHAPTERS = command.chapters()
HEADER = command.HEADER.format(title="", chapter=0, file="")


def test_every_exercise_has_answers() -> None:
    assert {n: [e.name for e in command.exercises(n)] for n in CHAPTERS} == {n: list(a) for n, a in ANSWERS.items()}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_right_answers_are_right(chapter: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "answers.py"
    file.write_text(HEADER + "\n\n".join(right for right, _, _ in ANSWERS[chapter].values()))
    assert command.main([str(chapter), str(file)]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_wrong_answers_are_named(chapter: int, tmp_path: Path) -> None:
    file = tmp_path / "answers.py"
    file.write_text(HEADER + "\n\n".join(wrong for _, wrong, _ in ANSWERS[chapter].values()))
    for name, verdict in command.judge(chapter, file):
        words = ANSWERS[chapter][name][2]
        assert verdict.startswith("not yet: ") and words in verdict, (name, verdict)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_first_the_tasks_are_given_out(
    chapter: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main([str(chapter)]) == 1
    file = Path(f"exercises_{chapter}.py")
    runpy.run_path(str(file))
    capsys.readouterr()
    assert command.main([str(chapter)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{e.name}: to do" for e in command.exercises(chapter)] + [f"0 of {len(lines) - 1} right"]


def test_a_file_that_does_not_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "answers.py"
    file.write_text("def accuracy(:\n")
    assert command.main(["0", str(file)]) == 2
    assert "does not run: SyntaxError" in capsys.readouterr().out


def test_answers_that_raise_return_nothing_or_have_another_shape_are_named() -> None:
    (accuracy, *_) = command.exercises(0)
    assert "NameError" in accuracy.verdict({"accuracy": lambda *_: missing}, "")  # type: ignore[name-defined]  # noqa: F821
    assert "Is a return missing?" in accuracy.verdict({"accuracy": lambda *_: None}, "")
    assert "the shape (2,)" in accuracy.verdict({"accuracy": lambda *_: [1, 2]}, "")
    assert "there is no accuracy" in accuracy.verdict({}, "")
