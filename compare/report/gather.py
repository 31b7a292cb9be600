"""What the report shows: each file of results with its tables, pictures and verdict, put into the outline's order."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from compare.kit.command import Command, find
from compare.kit.result import Result, read_result
from compare.kit.tables import Table
from compare.report.outline import SECTIONS, Section, Wanted
from minigrad.errors import OptionError

OTHERS = Section("others", "Further results", (), ())
UNREADABLE = (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError)


@dataclass(frozen=True)
class Entry:
    """One file of results, and what its command's module says of it."""

    name: str  # of the file, without .json
    command: str
    result: Result
    tables: Sequence[Table]
    pictures: dict[str, bytes]
    verdict: str

    @property
    def slug(self) -> str:
        """The name as it can stand in a link."""
        return re.sub(r"[^\w.-]", "-", self.name)

    @property
    def origins(self) -> list[Result]:
        """Where it comes from; of results that are made bit by bit, one origin for each time that the command went on."""
        return [self.result] if "command" in self.result else self.result.get("runs") or [self.result]

    @property
    def words(self) -> set[str]:
        """The words of the command lines that made it; --a=b is two."""
        lines = [shlex.split(origin.get("command", "")) for origin in self.origins]
        return {part for line in lines for word in line for part in word.split("=", 1)}


@dataclass(frozen=True)
class Shown:
    """An entry under its heading."""

    heading: str
    entry: Entry

    @property
    def anchor(self) -> str:
        """What a link to it points at."""
        return f"result-{self.entry.slug}"


@dataclass(frozen=True)
class Chapter:
    """A section with what there is to show in it, what its results show together, and what is not measured yet."""

    section: Section
    shown: Sequence[Shown]
    missing: Sequence[Wanted]
    overviews: Sequence[Table]
    pictures: Sequence[bytes]


def read_folder(folder: Path) -> list[Entry]:
    """All results of a folder, by name. OptionError, in one line, for a file that is none, or of another version."""
    if not folder.is_dir():
        raise OptionError(f"--results {folder}: there is no such folder")
    return [read_entry(path) for path in sorted(folder.glob("*.json"))]


def read_entry(path: Path) -> Entry:
    """A file of results, by the module of the command that its format names."""
    result = read_result(path, option="--results")
    name = re.fullmatch(r"compare (\w+) \d+", result["format"])
    command: Command | None = getattr(find(name[1]), "COMMAND", None) if name else None
    if command is None:
        raise OptionError(f"--results {path} is of format {result['format']!r}, which no command here knows")
    if result["format"] != command.format:
        raise OptionError(
            f"--results {path} is of format {result['format']!r}, and python -m compare {command.name} reads "
            f"{command.format!r}: measure it anew, or take it away"
        )
    try:
        shown = command.show.tables(result), command.show.pictures(result), command.show.verdict(result)
        return Entry(path.stem, command.name, result, *shown)
    except UNREADABLE as error:
        raise OptionError(f"--results {path} is damaged: {type(error).__name__} {error}") from error


def arrange(entries: Sequence[Entry]) -> list[Chapter]:
    """The entries in the outline's order: each under what it fits best, or at the end of its command's section."""
    places: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        section, title = place(entry)
        places.setdefault((section.name, title), []).append(entry)
    chapters = []
    for section in (*SECTIONS, OTHERS):
        shown, missing = [], []
        for wanted in section.wanted:
            found = places.get((section.name, wanted.title), [])
            shown += [Shown(heading(wanted.title, entry, found), entry) for entry in found]
            missing += [] if found else [wanted]
        shown += [Shown(entry.name, entry) for entry in places.get((section.name, ""), [])]
        if shown or missing:
            pictures = pictures_of_two([places.get((section.name, title), []) for title in section.two or ()])
            chapters.append(Chapter(section, shown, missing, overviews(shown), pictures))
    return chapters


def overviews(shown: Sequence[Shown]) -> list[Table]:
    """What the results of a command say together, for each command that has an `overview(results) -> Table`."""
    found = []
    for command in dict.fromkeys(one.entry.command for one in shown):
        show: Any = find(command).COMMAND.show
        if hasattr(show, "overview"):
            found.append(show.overview([one.entry.result for one in shown if one.entry.command == command]))
    return [table for table in found if table.rows]


def pictures_of_two(places: Sequence[Sequence[Entry]]) -> list[bytes]:
    """One figure for each scale in which there are results of both kinds."""
    if not all(places) or not places:
        return []
    draw = find(places[0][0].command).COMMAND.show.picture_of_two
    pairs = [(a.result, b.result) for a, b in product(*places) if a.result.get("scale") == b.result.get("scale")]
    return [draw(*pair) for pair in pairs]


def place(entry: Entry) -> tuple[Section, str]:
    """(section, title of what it fits there): with the most of the words that its command line has; "" if none fits."""
    fits = [
        (len(wanted.words), section, wanted.title)
        for section in SECTIONS
        for wanted in section.wanted
        if wanted.command == entry.command and entry.words.issuperset(wanted.words)
    ]
    if fits:
        return max(fits, key=lambda fit: fit[0])[1:]
    most = max(SECTIONS, key=lambda section: [wanted.command for wanted in section.wanted].count(entry.command))
    return (most if entry.command in most.commands else OTHERS), ""


def heading(title: str, entry: Entry, alike: Sequence[Entry]) -> str:
    """The title; where several files have it, with the file's name."""
    return f"{title} ({entry.name})" if len(alike) > 1 else title


def describe_origin(origin: Result) -> tuple[str, str]:
    """(command, when, on which commit, machine and versions it ran); what a file does not say is said to be unknown."""
    machine = origin.get("machine") or {}
    facts = [
        (origin.get("started") or "at a time that was not recorded").replace("T", " ").removesuffix("+00:00"),
        f"commit {shorten(origin.get('commit'))}",
    ]
    if machine:
        facts.append(f"{machine.get('processor')}, {machine.get('usable_cores')} of {machine.get('cores')} cores")
        facts.append(f"{machine.get('system')}, Python {machine.get('python')}")
    facts += [f"{name} {version}" for name, version in (origin.get("versions") or {}).items()]
    return origin.get("command") or "command not recorded", "; ".join(facts)


def shorten(commit: str | None) -> str:
    """The first twelve digits of a commit, and whether there were changes beside it."""
    if not commit:
        return "not recorded"
    digits, plus, changes = commit.partition("+")
    return digits[:12] + plus + changes
