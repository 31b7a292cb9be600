"""What the commands of `minigrad` have in common: how options are declared, checked and written."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from minigrad.errors import OptionError
from minigrad.files import check_target
from minigrad.option import Parser as Plain
from minigrad.option import Type, number
from minigrad.terminal import as_it_is

Arguments = argparse.Namespace


class Parser(Plain):
    """The options of `minigrad COMMAND`. about: the docstring of the command's file, which --help shows."""

    def __init__(self, command: str, about: str | None) -> None:
        super().__init__(prog=f"minigrad {command}", description=about)

    def option(self, *names: str, **settings: Any) -> None:
        """An option; None where it is neither given nor has a default."""
        self.add_argument(*names, **{"default": None} | settings)

    def flag(self, name: str, help: str) -> None:
        """An option without a value."""
        self.add_argument(name, action="store_true", default=False, help=help)

    def read(self, arguments: Sequence[str]) -> Arguments:
        """The options of a command line. OptionError for what is unknown or out of range."""
        return self.parse_args(arguments)

    @staticmethod
    def number(least: float, most: float, kind: Any = int) -> Type:
        """A type: a number within a range."""
        return number(kind, least, most)


def add_outputs(parser: Parser, picture: str | None, default: str | None = None) -> None:
    """--json, and --picture with its default name."""
    parser.flag("--json", help="print JSON and nothing else")
    if picture:
        parser.option(
            "--picture", metavar="FILE.png", default=default, help=f"{picture} ({default or 'none is drawn'})"
        )


def check_picture(name: str | None) -> Path | None:
    """The path of a picture to be written. OptionError, before anything is computed, where that will not be possible."""
    if name is None:
        return None
    if find_spec("matplotlib") is None:
        raise OptionError("--picture needs matplotlib: pip install matplotlib")
    path = Path(name)
    if path.suffix.lower() != ".png":
        raise OptionError(f"--picture {name!r}: a name that ends in .png is wanted")
    check_target(path, "--picture")
    return path


def print_json(content: Any) -> None:
    """A result for programs."""
    as_it_is(json.dumps(content, indent=1, ensure_ascii=False))


def table(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    """Columns two spaces apart; those of `left` are aligned to the left, the others, of numbers, to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [f"{c:<{w}}" if i in left else f"{c:>{w}}" for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
