"""A table of results, and how it looks in a terminal, in Markdown, in HTML.

Each command makes its tables once, `tables(result) -> list[Table]`: it prints them, and the report shows them.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

LONG = 20  # rows: more are shown folded, or in a box of their own that scrolls


@dataclass(frozen=True)
class Table:
    """Rows of cells under a head; the first column names the rows. notes: sentences that stand below."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def as_text(table: Table) -> str:
    """Title, aligned columns, notes."""
    return "\n".join([*([table.title, ""] if table.title else []), aligned([table.head, *table.rows]), *table.notes])


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest entry, the first to the left, the others to the right; rows may be short."""
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(max(map(len, rows)))]
    lines = []
    for first, *rest in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=False)]
        lines.append("  ".join([f"{first:<{widths[0]}}", *cells]).rstrip())
    return "\n".join(lines)


def as_markdown(table: Table) -> str:
    """A table as GitHub shows it, its title in bold above."""

    def line(cells: Sequence[str]) -> str:
        padded = [*cells, *[""] * (len(table.head) - len(cells))]
        return "| " + " | ".join(map(markdown_text, padded)) + " |"

    rule = "| --- |" + " ---: |" * (len(table.head) - 1)
    parts = [line(table.head), rule, *map(line, table.rows)]
    title = [f"**{markdown_text(table.title)}**"] if table.title else []
    return "\n\n".join([*title, "\n".join(parts), *map(markdown_text, table.notes)])


def markdown_text(text: str) -> str:
    """A text as Markdown that shows it as it is, in one line: nothing in it is a mark, a tag or the end of a cell."""
    marked = re.sub(r"[\\`*|<\[\]]|(?<!\w)_|_(?!\w)|__", lambda found: re.sub(".", r"\\\g<0>", found[0]), text)
    return " ".join(marked.split())


def as_html(table: Table) -> str:
    """A <figure> with the table, which may scroll sideways; everything in it is escaped. class long: more than LONG rows."""

    def line(cells: Sequence[str], tag: str) -> str:
        padded = [*cells, *[""] * (len(table.head) - len(cells))]
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in padded) + "</tr>"

    caption = f"<caption>{html.escape(table.title)}</caption>" if table.title else ""
    body = "\n".join(line(row, "td") for row in table.rows)
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in table.notes)
    long = ' class="long"' if len(table.rows) > LONG else ""
    return (
        f'<figure{long}><div class="wide" tabindex="0"><table>{caption}<thead>{line(table.head, "th")}</thead>\n'
        f"<tbody>{body}</tbody></table></div>{notes}</figure>"
    )
