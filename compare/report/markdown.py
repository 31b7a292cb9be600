"""The report as docs/results.md, with its pictures in files beside it; and README's front page, between two marks."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from compare.kit.tables import LONG, Table, as_markdown, markdown_text
from compare.report.front import Front
from compare.report.gather import Chapter, Shown, describe_origin
from compare.report.page import INTRODUCTION, MADE, NOTHING, TITLE, TYPED
from minigrad.errors import OptionError

FOLDER = "pictures/results"  # of the pictures, beside the file
FRONT = "front.png"  # among them: the picture of README's front page
BEGIN, END = "<!-- front: made by python -m compare report -->", "<!-- end of front -->"


def render_markdown(front: Front, chapters: Sequence[Chapter]) -> str:
    """The whole file."""
    contents = ["- [At a glance](#at-a-glance)"]
    for chapter in chapters:
        contents.append(f"- [{chapter.section.title}](#{_slug(chapter.section.title)})")
        contents += [f"  - [{markdown_text(shown.heading)}](#{shown.anchor})" for shown in chapter.shown]
    contents.append("- [How to reproduce](#how-to-reproduce)")
    picture = [f"![{markdown_text(front.caption)}]({FOLDER}/{FRONT})"] if front.picture else []
    parts = [
        f"<!-- {MADE} -->",
        f"# {TITLE}",
        INTRODUCTION,
        TYPED,
        "\n".join(contents),
        "## At a glance",
        *picture,
        as_markdown(front.table) if front.table.rows else NOTHING,
        *(part for chapter in chapters for part in _chapter(chapter)),
        *_reproduce(chapters),
    ]
    return "\n\n".join(parts) + "\n"


def picture_files(front: Front, chapters: Sequence[Chapter]) -> dict[str, bytes]:
    """{file name: PNG} of the front page's picture and of the results', for FOLDER."""
    found = {FRONT: front.picture} if front.picture else {}
    found |= {_together(chapter, i): picture for chapter in chapters for i, picture in enumerate(chapter.pictures)}
    return found | {
        _file(shown, name): picture
        for chapter in chapters
        for shown in chapter.shown
        for name, picture in shown.entry.pictures.items()
    }


def _file(shown: Shown, name: str) -> str:
    """A picture's file: called like the result, and where that has several, like the picture too."""
    kept = "".join(letter if letter.isalnum() else "-" for letter in name.lower())
    return f"{shown.entry.slug}{f'-{kept}' if len(shown.entry.pictures) > 1 else ''}.png"


def _together(chapter: Chapter, number: int) -> str:
    """The file of a picture of two results."""
    return f"{chapter.section.name}-{number}.png"


def _chapter(chapter: Chapter) -> list[str]:
    section = chapter.section
    parts = [f"## {section.title}", *map(markdown_text, section.text)]
    parts += map(_table, chapter.overviews)
    for i in range(len(chapter.pictures)):
        parts.append(f"![{markdown_text(' and '.join(section.two or ()))}]({FOLDER}/{_together(chapter, i)})")
    for shown in chapter.shown:
        entry = shown.entry
        parts += [f'<a id="{shown.anchor}"></a>\n\n### {markdown_text(shown.heading)}', markdown_text(entry.verdict)]
        for name in entry.pictures:
            parts.append(f"![{markdown_text(f'{shown.heading}: {name}')}]({FOLDER}/{_file(shown, name)})")
        parts += [_table(table) for table in entry.tables]
        parts.append(f"From [compare/results/{markdown_text(entry.name)}.json](#origin-{entry.slug})")
    if chapter.missing:
        items = [
            f"- {markdown_text(wanted.title)}: run `python -m compare {wanted.measure}`" for wanted in chapter.missing
        ]
        parts.append("\n".join(["Not measured yet:", "", *items]))
    return parts


def _slug(title: str) -> str:
    """What GitHub calls a heading in links."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def _table(table: Table) -> str:
    """A table; a long one folded."""
    shown = as_markdown(table)
    if len(table.rows) <= LONG:
        return shown
    return f"<details><summary>{len(table.rows)} rows</summary>\n\n{shown}\n\n</details>"


def _reproduce(chapters: Sequence[Chapter]) -> list[str]:
    parts = ["## How to reproduce"]
    for entry in (shown.entry for chapter in chapters for shown in chapter.shown):
        parts.append(f'<a id="origin-{entry.slug}"></a>**compare/results/{markdown_text(entry.name)}.json**')
        for origin in entry.origins:
            command, facts = describe_origin(origin)
            parts.append(f"```sh\n{command}\n```\n\n{markdown_text(facts)}")
    return parts


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
