"""Lines within a terminal's width: where a person looks on, what is printed is folded at its words.

Piped into a file or another program, a line stays one line.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

WIDTH = 80  # where a terminal does not say
NARROWEST, SHORT = 20, 8


class Folded:
    """Takes the place of a stream that is a terminal. Bars, which are written over, pass as they are."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.column = 0  # at which the next text begins

    def write(self, text: str) -> int:
        """Print a text, in lines that fit."""
        if self.stream is None or "\r" in text or "\x1b" in text:
            self.column = 0
            return int(self.stream.write(text))
        *whole, rest = text.split("\n")
        width = width_of(self.stream)
        for line in whole:
            self.stream.write("\n".join(fold(line, width, self.column)) + "\n")
            self.column = 0
        if rest:
            *above, last = fold(rest, width, self.column)
            self.stream.write("\n".join([*above, last]))
            self.column = columns(last) + (0 if above else self.column)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Print several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def folded() -> Iterator[None]:
    """Within it stdout and stderr, as far as they are terminals, are Folded."""
    before = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    for name, stream in before.items():
        if is_terminal(stream) and not isinstance(stream, Folded):
            setattr(sys, name, Folded(stream))
    try:
        yield
    finally:
        for name, stream in before.items():
            setattr(sys, name, stream)


def as_it_is(text: str) -> None:
    """Print to stdout what is for programs, such as JSON: no line is folded."""
    stream = sys.stdout
    (stream.stream if isinstance(stream, Folded) else stream).write(text + "\n")


def is_terminal(stream: Any) -> bool:
    """Whether a person looks on."""
    with suppress(AttributeError, ValueError, OSError):
        return bool(stream.isatty())
    return False


def width_of(stream: Any) -> int:
    """Columns of the terminal that a stream is; COLUMNS, where it is set, goes before what that says."""
    found = 0
    if "COLUMNS" not in os.environ:
        with suppress(AttributeError, ValueError, OSError):
            found = os.get_terminal_size(stream.fileno()).columns
    return max(found or shutil.get_terminal_size((WIDTH, 24)).columns, NARROWEST)


def columns(text: str) -> int:
    """The columns that a text takes: two for a wide letter, none for a mark on the letter before it."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def fold(line: str, width: int, column: int = 0) -> list[str]:
    """A line as lines of at most `width` columns, `column` of the first one being taken: broken between words, and inside a
    word only where that alone is longer. What goes on stands below the line's last column of a table, else two spaces in."""
    if columns(line) + column <= width:
        return [line]
    gaps = [gap.end() for gap in re.finditer(r"(^| ) +(?=\S)", line) if gap.end() < width * 3 // 4]
    indent = " " * (gaps[-1] if gaps else 2)
    lines: list[str] = []
    now = ""
    for word in re.findall(r"\s*\S+|\s+$", line):
        taken = column if not lines else 0
        longer = columns(indent + word.lstrip()) > width  # than a line: it begins in this one
        alone = not lines and columns(now) < SHORT  # as "error:" would stand
        if columns(now + word) + taken <= width or longer or alone:
            now += word
        else:
            lines.append(now)
            now = indent + word.lstrip()
        while columns(now) + (column if not lines else 0) > width:
            cut = _cut(now, width - (column if not lines else 0))
            lines.append(now[:cut])
            now = indent + now[cut:]
    return [*lines, now]


def _cut(text: str, width: int) -> int:
    """Where to break a text without spaces: after its last mark within the width, else at the width."""
    most = max(1, next((i for i in range(len(text), 0, -1) if columns(text[:i]) <= width), 1))
    marks = [found.end() for found in re.finditer(r"[,/=;:&?-]", text[:most])]
    start = len(text) - len(text.lstrip())
    return marks[-1] if marks and marks[-1] > max(start + 1, most // 2) else most


def filled(text: str, width: int) -> list[str]:
    """The lines of a text whose paragraphs are filled to a width. Empty and indented lines stay, or are folded."""
    found: list[str] = []
    paragraph: list[str] = []
    for line in [*text.strip("\n").split("\n"), ""]:
        if re.match(r" |$|.*\S {3}", line):
            found += textwrap.wrap(" ".join(paragraph), width, break_on_hyphens=False, break_long_words=False)
            found += fold(line, width)
            paragraph = []
        else:
            paragraph.append(line)
    return found[:-1]
