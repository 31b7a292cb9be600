"""The report as docs/results.md and a page a chapter beside it, with pictures and long tables in files of their own; and
README's front page, between two marks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

from compare.kit.result import RESULTS
from compare.kit.tables import LONG, Table, as_csv, as_markdown, markdown_text
from compare.report.front import Front
from compare.report.gather import Chapter, Entry, Shown, describe_origin
from compare.report.page import INTRODUCTION, MADE, NOTHING, TITLE, TYPED
from minigrad.errors import OptionError

FOLDER = "pictures/results"  # of the pictures, beside the file
FRONT = "front.png"  # among them: the picture of what is seen at a glance
ENDLESS = 100  # rows: more than these stand in a CSV file, not on a page
BEGIN, END = "<!-- front: made by python -m compare report -->", "<!-- end of front -->"


def render_pages(path: Path, front: Front, chapters: Sequence[Chapter]) -> dict[Path, str]:
    """{file: text}: the first page, which is to stand at `path`; a page a chapter in the folder of that name; long tables."""
    folder = path.with_suffix("")
    files = {path: _first_page(folder.name, front, chapters)}
    for chapter in chapters:
        files[folder / f"{chapter.section.name}.md"] = _page(path, chapter)
        for entry in (shown.entry for shown in chapter.shown):
            files |= {folder / _csv(entry, table): as_csv(table) for table in entry.tables if _endless(table)}
    return files


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


def _first_page(folder: str, front: Front, chapters: Sequence[Chapter]) -> str:
    """What is seen at a glance, and of each chapter what its results come to."""
    parts = [f"<!-- {MADE} -->", f"# {TITLE}", INTRODUCTION, TYPED, "## At a glance"]
    parts += [f"![{markdown_text(front.caption)}]({FOLDER}/{FRONT})"] if front.picture else []
    parts.append(as_markdown(front.table) if front.table.rows else NOTHING)
    for chapter in chapters:
        page = f"{folder}/{chapter.section.name}.md"
        parts.append(f"## [{chapter.section.title}]({page})")
        items = [
            f"- [{markdown_text(shown.heading)}]({page}#{shown.anchor}): {markdown_text(shown.entry.verdict)}"
            for shown in chapter.shown
        ]
        parts += ["\n".join(items)] if items else []
        parts += _missing(chapter)
    return "\n\n".join(parts) + "\n"


def _page(path: Path, chapter: Chapter) -> str:
    """A chapter: its words, what its results show together, each result with its pictures and tables."""
    section = chapter.section
    parts = [f"<!-- {MADE} -->", f"# {section.title}", *map(markdown_text, section.text)]
    for i in range(len(chapter.pictures)):
        parts.append(f"![{markdown_text(' and '.join(section.two or ()))}](../{FOLDER}/{_together(chapter, i)})")
    parts += map(_table, chapter.overviews)
    for shown in chapter.shown:
        entry = shown.entry
        parts += [f'<a id="{shown.anchor}"></a>\n\n## {markdown_text(shown.heading)}', markdown_text(entry.verdict)]
        for name in entry.pictures:
            parts.append(f"![{markdown_text(f'{shown.heading}: {name}')}](../{FOLDER}/{_file(shown, name)})")
        parts += [_in_a_file(entry, table) if _endless(table) else _table(table) for table in entry.tables]
        parts.append(_origin(path, entry))
    return "\n\n".join([*parts, *_missing(chapter), f"[All results](../{path.name})"]) + "\n"


def _missing(chapter: Chapter) -> list[str]:
    """What is not measured yet, with the commands that do."""
    items = [f"- {markdown_text(wanted.title)}: run `python -m compare {wanted.measure}`" for wanted in chapter.missing]
    return ["\n".join(["Not measured yet:", "", *items])] if items else []


def _file(shown: Shown, name: str) -> str:
    """A picture's file: called like the result, and where that has several, like the picture too."""
    return f"{shown.entry.slug}{f'-{_words(name)}' if len(shown.entry.pictures) > 1 else ''}.png"


def _csv(entry: Entry, table: Table) -> str:
    """The file of a long table."""
    return f"{entry.slug}-{_words(table.title)}.csv"


def _words(name: str) -> str:
    """A name as part of a file's."""
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())


def _together(chapter: Chapter, number: int) -> str:
    """The file of a picture of two results."""
    return f"{chapter.section.name}-{number}.png"


def _endless(table: Table) -> bool:
    return len(table.rows) > ENDLESS


def _in_a_file(entry: Entry, table: Table) -> str:
    """Where a table is, and what stands below it."""
    file, title = _csv(entry, table), markdown_text(table.title)
    return "\n\n".join([f"**{title}**: {len(table.rows)} rows, in [{file}]({file})", *map(markdown_text, table.notes)])


def _table(table: Table) -> str:
    """A table; a long one folded."""
    if len(table.rows) <= LONG:
        return as_markdown(table)
    title = f"{table.title}: " if table.title else ""
    return _folded(f"{title}{len(table.rows)} rows", as_markdown(table))


def _folded(summary: str, text: str) -> str:
    """What is seen when one asks for it."""
    return f"<details markdown><summary>{escape(summary)}</summary>\n\n{text}\n\n</details>"


def _origin(path: Path, entry: Entry) -> str:
    """How a result was made: its command, when, where; and its file."""
    file = os.path.relpath(RESULTS / f"{entry.name}.json", path.with_suffix("").resolve())
    parts = []
    for origin in entry.origins:
        command, facts = describe_origin(origin)
        parts.append(f"```sh\n{command}\n```\n\n{markdown_text(facts)}")
    name = f"compare/results/{markdown_text(entry.name)}.json"
    return _folded("How it was measured", "\n\n".join([*parts, f"[{name}]({file})"]))


def front_block(front: Front) -> str:
    """The block with its marks: the table. Its picture stands in docs/results.md."""
    return "\n\n".join([BEGIN, as_markdown(front.table) if front.table.rows else NOTHING, END])


def put_into_readme(path: Path, front: Front) -> str:
    """The text of README with its block made anew. OptionError if there is no README, or if it has not the two marks."""
    try:
        before, begin, rest = path.read_text().partition(BEGIN)
        _, end, after = rest.partition(END)
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"--readme {path} cannot be read: {error}") from error
    if not begin or not end:
        raise OptionError(f"--readme {path} has not the marks {BEGIN!r} and {END!r}: nothing was overwritten")
    return before + front_block(front) + after
