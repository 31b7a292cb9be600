"""What a command of compare/ is, and the one way in which all of them run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from compare.kit.arguments import Parser, need_torch
from compare.kit.plots import check_picture, write_picture
from compare.kit.result import Result, check_target, origin, write_result
from compare.kit.tables import Table, as_text
from minigrad.terminal import width_of

ALIASES = {"bisect": "layerwise"}
"""{a command's former name, which its recorded results and command lines still have: its name}."""


class Show(Protocol):
    """Pure functions of a result: a command's module `show`."""

    def tables(self, result: Result, /) -> list[Table]: ...

    def pictures(self, result: Result, /) -> dict[str, bytes]:
        """{name: PNG}."""

    def verdict(self, result: Result, /) -> str:
        """What a reader should take away, in a sentence."""


@dataclass(frozen=True)
class Command:
    """A command whose result is a dictionary that JSON can hold: its package has one as COMMAND.

    format: "compare NAME VERSION", of the files of results. about: the package's docstring, which --help shows.
    options: adds the command's own options to a parser. check: refuses options that do not go together with OptionError,
    and fills in defaults; given the command line too.
    measure(options, begun) returns the result: `begun`, its format and origin, and what was found. None: nothing is to be shown.
    show: what a result looks like, which the report asks too.
    torch: whether nothing can be measured without PyTorch. json, picture: what --help says of --json and --picture; without
    `picture` there is no such option. kept: whether `measure` writes --json itself, as results come.
    agree: whether a result is what it ought to be, else the exit code is 1.
    """

    name: str
    format: str
    about: str | None
    options: Callable[[Parser], None]
    measure: Callable[[argparse.Namespace, Result], Result | None]
    show: Show
    check: Callable[[argparse.Namespace, Sequence[str]], None] = lambda options, arguments: None
    torch: bool = True
    json: str = "write everything that was measured to this file"
    picture: str | None = None
    kept: bool = False
    agree: Callable[[Result], bool] = lambda result: result.get("agree", True)

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The options of a command line. OptionError for what is unknown, out of range, or cannot be written."""
        parser = Parser(self.name, self.about)
        self.options(parser)
        parser.add("--json", type=Path, metavar="FILE", help=self.json)
        if self.picture:
            parser.add("--picture", type=Path, metavar="FILE.png", help=self.picture)
        options = parser.parse_args(arguments)
        self.check(options, arguments)
        check_target(options.json, self.format)
        check_picture(getattr(options, "picture", None))
        return options

    def run(self, arguments: Sequence[str]) -> int:
        """Measure, write, print tables and verdict, draw. Returns 0, or 1 if the frameworks differ."""
        options = self.parse(arguments)
        if self.torch:
            need_torch()
        result = self.measure(options, {"format": self.format} | origin(self.name, arguments))
        if result is None:
            return 0
        if not self.kept:
            write_result(options.json, result)
        verdict = self.show.verdict(result)
        print("\n\n".join(["", *map(as_text, self.show.tables(result)), verdict]))
        if getattr(options, "picture", None):
            write_picture(options.picture, self.show.pictures(result))
        return 0 if self.agree(result) else 1


def find(name: str) -> Any:
    """The package of a command, by its name or a former one; None if there is none."""
    place = f"compare.{ALIASES.get(name, name)}"
    return import_module(place) if find_spec(place) else None


def say(text: str) -> None:
    """Progress: on a terminal one line that is written over, elsewhere a line each."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text[: width_of(sys.stderr) - 1]}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, flush=True)
