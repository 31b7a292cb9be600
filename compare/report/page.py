"""The report as one HTML page that needs nothing beside it: the pictures are in it, and there is no script."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from html import escape

from compare.kit.tables import as_html
from compare.report.front import Front
from compare.report.gather import Chapter, Entry, Shown, describe_origin
from compare.report.style import STYLE

MADE = "made by python -m compare report: measure, and run it again; what is changed here by hand is lost"
TITLE = "minigrad, compared with PyTorch"
INTRODUCTION = (
    "minigrad is a tensor and autograd engine written from scratch on NumPy and CuPy. This page holds what it computes, what "
    "networks learn with it, how they stand attacks, and what it costs, against PyTorch, figure by figure."
)
NOTHING = "Nothing that could stand here is measured yet."
TYPED = "Figures, tables and pictures come from the files of compare/results/; only the words between them are typed."


def render_page(front: Front, chapters: Sequence[Chapter]) -> str:
    """The whole page."""
    main = [_glance(front), *map(_chapter, chapters)]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f"<!-- {MADE} -->",
            '<html lang="en">',
            '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
            '<link rel="icon" href="data:,">',
            f"<title>{TITLE}</title>",
            f"<style>{STYLE}</style></head>",
            '<body><div class="frame">',
            f"<header><h1>{TITLE}</h1><p>{escape(INTRODUCTION)}</p></header>",
            _contents(chapters),
            f"<main>{''.join(main)}</main>",
            f"<footer><p>{escape(TYPED)}</p></footer>",
            "</div></body></html>\n",
        ]
    )


def _contents(chapters: Sequence[Chapter]) -> str:
    """Links to the chapters; each begins with what there is in it."""
    links = [("glance", "At a glance"), *((chapter.section.name, chapter.section.title) for chapter in chapters)]
    items = "".join(f'<li><a href="#{name}">{escape(title)}</a></li>' for name, title in links)
    return f'<nav aria-label="Contents"><ol>{items}</ol></nav>'


def _glance(front: Front) -> str:
    picture = _picture(front.picture, front.caption) if front.picture else ""
    table = as_html(front.table) if front.table.rows else f"<p>{NOTHING}</p>"
    return f'<section id="glance"><h2>At a glance</h2>{picture}{table}</section>'


def _chapter(chapter: Chapter) -> str:
    section = chapter.section
    text = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in section.text)
    together = "".join(map(as_html, chapter.overviews))
    if chapter.section.two:
        together += "".join(_picture(picture, " and ".join(chapter.section.two)) for picture in chapter.pictures)
    results = together + "".join(map(_result, chapter.shown))
    missing = ""
    if chapter.missing:
        items = "".join(
            f"<li>{escape(wanted.title)}: run <code>python -m compare {escape(wanted.measure)}</code></li>"
            for wanted in chapter.missing
        )
        missing = f'<div class="missing"><p>Not measured yet:</p><ul>{items}</ul></div>'
    return f'<section id="{section.name}"><h2>{escape(section.title)}</h2>{text}{results}{missing}</section>'


def _result(shown: Shown) -> str:
    """What a result comes to; folded, its pictures, its tables, and how it was measured."""
    entry = shown.entry
    pictures = "".join(_picture(picture, f"{shown.heading}: {name}") for name, picture in entry.pictures.items())
    tables = "".join(map(as_html, entry.tables))
    return (
        f'<article id="{shown.anchor}"><h3>{escape(shown.heading)}</h3><p class="verdict">{escape(entry.verdict)}</p>'
        f"<details><summary>{_inside(entry)}</summary>{pictures}{tables}{_origins(entry)}</details></article>"
    )


def _inside(entry: Entry) -> str:
    """What a fold holds: "2 pictures, 1 table, how it was measured"."""
    counts = [(len(entry.pictures), "picture"), (len(entry.tables), "table")]
    parts = [f"{count} {word}{'s' * (count > 1)}" for count, word in counts if count]
    return ", ".join([*parts, "how it was measured"])


def _picture(png: bytes, alt: str) -> str:
    """A PNG within the page; with its size, so that nothing moves while the page loads."""
    width, height = struct.unpack(">II", png[16:24])
    data = base64.b64encode(png).decode()
    image = f'<img src="data:image/png;base64,{data}" width="{width}" height="{height}" alt="{escape(alt)}">'
    return f'<figure class="picture" tabindex="0">{image}</figure>'


def _origins(entry: Entry) -> str:
    """How a result was made: its file; by which command, when, on which commit, machine and versions."""
    parts = []
    for origin in entry.origins:
        command, facts = describe_origin(origin)
        parts.append(f'<code class="command">{escape(command)}</code><span>{escape(facts)}</span>')
    return f'<div class="origin"><strong>compare/results/{escape(entry.name)}.json</strong>{"".join(parts)}</div>'
