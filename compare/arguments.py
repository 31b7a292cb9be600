"""Options of the commands: argparse, with a user's mistakes as OptionError."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NoReturn

from minigrad.errors import OptionError


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises OptionError, in one line, for what it does not understand."""

    def error(self, message: str) -> NoReturn:
        raise OptionError(message)


def count(least: int, most: int) -> Callable[[str], int]:
    """An argparse type: a whole number from `least` to `most`."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"a whole number from {least} to {most} is wanted, not {text!r}")
        return value

    return convert
