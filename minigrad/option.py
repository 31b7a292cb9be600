"""One option of a command line, declared once: its type, its default, its help; and the types that take ranges of numbers."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from minigrad.errors import OptionError, did_you_mean
from minigrad.terminal import filled

Type = Callable[[str], Any]


@dataclass(frozen=True)
class Option:
    """What --help says of an option, and what its text is taken for.

    type: of the text; None for text as it is. A default of False makes a switch `--name`, one of True `--no-name`.
    """

    help: str
    type: Type | None = None
    default: Any = None
    choices: Sequence[str] | None = None
    metavar: str | None = None
    alone: Any = None  # the value of the option without one
    also: Sequence[str] = ()  # other ways to write it: -b

    def flag(self, name: str) -> str:
        """How the option is written."""
        return f"--{'no-' if self.default is True else ''}{name.replace('_', '-')}"

    def add_to(self, parser: Any, name: str) -> None:
        """Declares the option to argparse; what is not given stays out of what it returns."""
        if isinstance(self.default, bool):
            action = "store_false" if self.default else "store_true"
            parser.add_argument(*self.also, self.flag(name), dest=name, action=action, help=self.help)
            return
        extra = {} if self.alone is None else {"nargs": "?", "const": self.alone}
        parser.add_argument(
            *self.also,
            self.flag(name),
            dest=name,
            type=self.type,
            choices=self.choices,
            metavar=self.metavar,
            help=self.help,
            **extra,
        )


def number(
    kind: Callable[[str], Any], least: float, most: float = float("inf"), *, above: bool = False, below: bool = False
) -> Type:
    """An argparse type: a number of a kind, from `least` (or above it) to `most` (or below it)."""
    wanted = "an integer" if kind is int else "a number"
    wanted += f" above {least:g}" if above else f" of at least {least:g}"
    if most != float("inf"):
        wanted += f" and below {most:g}" if below else f" and at most {most:g}"

    def convert(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = float("nan")
        fine = (value > least if above else value >= least) and (value < most if below else value <= most)
        if not fine or value == float("inf"):
            raise argparse.ArgumentTypeError(f"{wanted} is wanted, not {text!r}")
        return value

    return convert


count = number(int, 1)


def fraction(text: str) -> float:
    """0.1, or 8/255."""
    numerator, slash, divisor = text.partition("/")
    return float(numerator) / float(divisor) if slash and float(divisor) else float(text)


def as_written(name: str, value: Any) -> str:
    """An option as it is written on the command line: --depth 4, --no-qkv-bias, --window-blocks 0,2."""
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{option}" if value else f"--no-{option}"
    if isinstance(value, list):
        value = ",".join(map(str, value)) or "none"
    return f"--{option} {value}"


class Help(argparse.HelpFormatter):
    """--help within the terminal's width: paragraphs are filled; indented lines (examples, tables) stay, or are folded."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(filled(text, width))

    def _format_usage(self, *given: Any) -> str:
        return re.sub(r"\n +(?=\S)", "\n      ", super()._format_usage(*given))


class Parser(argparse.ArgumentParser):
    """A parser that raises OptionError instead of ending the program, and leaves out what is not given."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            formatter_class=Help,
            argument_default=argparse.SUPPRESS,
            allow_abbrev=False,
            **settings,
        )

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        found = super().parse_args(args, namespace)
        refuse_empty(args or ())
        return found

    def error(self, message: str) -> Any:
        raise OptionError(helpful(self, message))


def refuse_empty(arguments: Sequence[str]) -> None:
    """OptionError for an empty text, such as a variable of a shell that is not set leaves: --out ""."""
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if not argument.strip() or re.fullmatch(r"--[\w-]+=\s*", argument):
            raise OptionError(
                f"{before if before.startswith('-') else argument or 'an argument'} is given an empty text"
            )


def helpful(parser: argparse.ArgumentParser, message: str) -> str:
    """argparse's message with the option, or the choice, that was probably meant."""
    if found := re.match(r"unrecognized arguments: (-[^ =]+)", message):
        return message + did_you_mean(found[1], parser._option_string_actions)
    if found := re.match(r"argument (\S+?)(?:/\S+)?: invalid choice: '(.*?)'", message):
        action = parser._option_string_actions.get(found[1])
        return message + did_you_mean(found[2], map(str, action.choices or ()) if action else ())
    return message
