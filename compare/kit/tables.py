"""A table of results, and how it looks in a terminal, in Markdown, in HTML, as CSV.

Each command makes its tables once, `tables(result) -> list[Table]`: it prints them, and the report shows them.
"""

from __future__ import annotations

import csv
import html
import io
import re
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from minigrad.terminal import is_terminal, width_of

LONG = 20  # rows: more are shown folded


@dataclass(frozen=True)
class Table:
    """Rows of cells under a head; the first column names the rows. notes: sentences that stand below."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def as_text(table: Table, width: int | None = None) -> str:
    """Title, aligned columns, notes, at a terminal within its width: what is too wide goes on below,
    the first column once more before it."""
    if width is None:
        width = width_of(sys.stdout) if is_terminal(sys.stdout) else 10_000
    blocks = [aligned(rows) for rows in narrowed([table.head, *table.rows], width)]
    notes = [line for note in table.notes for line in textwrap.wrap(note, width)]
    return "\n".join([*([table.title, ""] if table.title else []), "\n\n".join(blocks), *notes])


def narrowed(rows: Sequence[Sequence[str]], width: int) -> list[list[list[str]]]:
    """A table's rows, the head first, as tables of fewer columns that are no wider; a head that is wider than its column's
    cells is folded into lines of its words."""
    columns = [[row[i] if i < len(row) else "" for row in rows] for i in range(max(map(len, rows)))]
    if sum(max(map(len, column)) + 2 for column in columns) - 2 <= width:
        return [[list(row) for row in rows]]
    heads = [_folded(column[0], max(map(len, column[1:]), default=1)) for column in columns]
    deep = max(map(len, heads))
    columns = [[""] * (deep - len(head)) + head + column[1:] for head, column in zip(heads, columns, strict=True)]
    widths = [max(map(len, column)) for column in columns]
    parts: list[list[int]] = [[]]
    for i in range(1, len(columns)):
        if parts[-1] and widths[0] + sum(widths[j] + 2 for j in [*parts[-1], i]) > width:
            parts.append([])
        parts[-1].append(i)
    return [[[columns[j][k] for j in (0, *part)] for k in range(len(columns[0]))] for part in parts]


def _folded(head: str, width: int) -> list[str]:
    """The words of a head in lines of a width, or of its longest word."""
    longest = max(map(len, head.split()), default=1)
    return textwrap.wrap(head, max(width, longest), break_long_words=False) or [""]


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
    """A <figure> with the table, which may scroll sideways; everything in it is escaped. One of more than LONG rows is folded."""

    def line(cells: Sequence[str], tag: str) -> str:
        padded = [*cells, *[""] * (len(table.head) - len(cells))]
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in padded) + "</tr>"

    title, long = html.escape(table.title), len(table.rows) > LONG
    caption = f"<caption>{title}</caption>" if title and not long else ""
    body = "\n".join(line(row, "td") for row in table.rows)
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in table.notes)
    shown = (
        f'<div class="wide" tabindex="0"><table>{caption}<thead>{line(table.head, "th")}</thead>\n'
        f"<tbody>{body}</tbody></table></div>{notes}"
    )
    if long:
        summary = f"{title + ': ' if title else ''}{len(table.rows)} rows"
        shown = f'<details class="long"><summary>{summary}</summary>{shown}</details>'
    return f"<figure>{shown}</figure>"


def as_csv(table: Table) -> str:
    """Head and rows, a line each; without title and notes."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([table.head, *table.rows])
    return text.getvalue()
