"""README's front page: the block between two marks, with the one table and the one picture."""

from __future__ import annotations

import os
from pathlib import Path

from compare.kit.tables import as_markdown, markdown_text
from compare.report.front import Front
from compare.report.markdown import FRONT
from compare.report.page import NOTHING
from minigrad.errors import OptionError

BEGIN, END = "<!-- front: made by python -m compare report -->", "<!-- end of front -->"


def front_block(front: Front, pictures: str) -> str:
    """The block with its marks. pictures: the folder of the picture, as README sees it."""
    picture = [f"![{markdown_text(front.caption)}]({pictures}/{FRONT})"] if front.picture else []
    return "\n\n".join([BEGIN, *picture, as_markdown(front.table) if front.table.rows else NOTHING, END])


def put_into_readme(path: Path, front: Front, pictures: Path) -> str:
    """The text of README with its block made anew. OptionError if there is no README, or if it has not the two marks."""
    try:
        before, begin, rest = path.read_text().partition(BEGIN)
        _, end, after = rest.partition(END)
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"--readme {path} cannot be read: {error}") from error
    if not begin or not end:
        raise OptionError(f"--readme {path} has not the marks {BEGIN!r} and {END!r}: nothing was overwritten")
    folder = Path(os.path.relpath(pictures, path.parent)).as_posix()
    return before + front_block(front, folder) + after
