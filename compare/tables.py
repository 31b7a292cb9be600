"""A table of results, and how it looks in a terminal, in Markdown, in HTML.

Each command makes its tables once, `tables(result) -> list[Table]`: it prints them, and the report shows them.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass


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
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in padded) + " |"

    rule = "| --- |" + " ---: |" * (len(table.head) - 1)
    parts = [line(table.head), rule, *map(line, table.rows)]
    body = "\n".join(parts)
    return "\n\n".join([*([f"**{table.title}**"] if table.title else []), body, *table.notes])


def as_html(table: Table) -> str:
    """A <figure> with the table; everything in it is escaped."""

    def line(cells: Sequence[str], tag: str) -> str:
        padded = [*cells, *[""] * (len(table.head) - len(cells))]
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in padded) + "</tr>"

    caption = f"<caption>{html.escape(table.title)}</caption>" if table.title else ""
    body = "\n".join(line(row, "td") for row in table.rows)
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in table.notes)
    head = line(table.head, "th")
    return f"<figure><table>{caption}<thead>{head}</thead>\n<tbody>{body}</tbody></table>{notes}</figure>"
