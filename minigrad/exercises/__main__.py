"""python -m minigrad.exercises CHAPTER [FILE]: gives out a chapter's exercises, and judges the answers.

The first call writes the tasks into FILE (by default exercises_CHAPTER.py, here). Fill them in, and call it again.
Without a chapter: lists all of them. The exit code is 0 once everything is right.
"""

from __future__ import annotations

import argparse
import importlib
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from minigrad.exercises.judge import Exercise

HEADER = '''"""{title}

Answer here, then run:  python -m minigrad.exercises {chapter} {file}
"""

import numpy as np

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F
'''


def chapters() -> list[int]:
    """The numbers of the chapters that have exercises."""
    return sorted(int(path.stem[-2:]) for path in Path(__file__).parent.glob("chapter[0-9][0-9].py"))


def load(chapter: int) -> ModuleType:
    """The module with a chapter's exercises."""
    return importlib.import_module(f"minigrad.exercises.chapter{chapter:02}")


def exercises(chapter: int) -> list[Exercise]:
    """A chapter's exercises, in order."""
    return [value for value in vars(load(chapter)).values() if isinstance(value, Exercise)]


def starter(chapter: int, file: str) -> str:
    """The text of the file that a student begins with."""
    title = (load(chapter).__doc__ or "").strip().splitlines()[0]
    tasks = [exercise.source for exercise in exercises(chapter)]
    return "\n\n".join([HEADER.format(title=title, chapter=chapter, file=file), *[t + "\n" for t in tasks]])


def judge(chapter: int, file: Path) -> Iterator[tuple[str, str]]:
    """(name of an exercise, verdict on the answer in `file`), one by one."""
    source = file.read_text()
    answers = runpy.run_path(str(file))
    for exercise in exercises(chapter):
        yield exercise.name, exercise.verdict(answers, source)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m minigrad.exercises", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chapter", type=int, nargs="?", choices=chapters(), metavar="CHAPTER")
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE")
    given = parser.parse_args(arguments)
    if given.chapter is None:
        for chapter in chapters():
            print(f"{chapter:2}  {', '.join(exercise.name for exercise in exercises(chapter))}")
        return 0
    file = given.file or Path(f"exercises_{given.chapter}.py")
    if not file.exists():
        file.write_text(starter(given.chapter, str(file)))
        print(f"The exercises of chapter {given.chapter} are in {file}: answer them there, then run this again.")
        return 1
    return report(given.chapter, file)


def report(chapter: int, file: Path) -> int:
    """Prints the verdict on each answer; 0 if all are right, 1 if not, 2 if the file does not run."""
    try:
        verdicts = []
        for name, verdict in judge(chapter, file):
            print(f"{name}: {verdict}")
            verdicts.append(verdict)
    except Exception as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        print(f"{file} does not run: {type(error).__name__}: {error}{line}")
        return 2
    right = verdicts.count("right")
    print(f"{right} of {len(verdicts)} right{'' if right < len(verdicts) else ': well done'}")
    return 0 if right == len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
