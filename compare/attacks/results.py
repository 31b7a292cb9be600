"""The results of python -m compare attacks: kept in a file as they come, so that the same command goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from compare.attacks.lines import NOISE, Line
from compare.kit.letters import MISS, TOP, accuracy, difference
from compare.kit.result import read_result, write_result
from minigrad.errors import OptionError

FORMAT = "compare attacks 1"


CALLED = {"tracks": "frameworks"}
"""What messages call a setting that files have under a former name."""


class Results:
    """Of each line and framework, a letter for each image that was attacked so far (lines.hits).

    settings: what has to be the same for results to belong together, among it the number of images and the frameworks.
    runs: who measured: command, commit, machine, versions; one entry each time that the command went on.
    std: what images were divided by, for grey levels; older files have none. examples: examples.make_examples'.
    """

    def __init__(
        self, path: Path | None, settings: dict[str, Any], lines: Sequence[Line], std: Sequence[float] | None = None
    ) -> None:
        """What is at `path` already, or nothing yet. OptionError, and nothing overwritten, for what is not of these settings."""
        self.path = path
        self.settings: dict[str, Any] = json.loads(json.dumps(settings))  # as a file gives them back
        self.lines = list(lines)
        self.std = None if std is None else [float(value) for value in std]
        self.images: int = settings["images"]
        self.frameworks: list[str] = settings["tracks"]
        self.runs: list[dict[str, Any]] = []
        self.examples: dict[str, Any] | None = None
        self.hits: dict[Line, dict[str, str]] = {line: dict.fromkeys(self.frameworks, "") for line in lines}
        if path is not None and path.exists():
            self._read(path)

    @classmethod
    def of(cls, result: dict[str, Any]) -> Results:
        """What a file holds. OptionError if it is damaged."""
        parts = _parts(result)
        if parts is None:
            raise OptionError("a result of compare attacks is damaged")
        settings, runs, hits = parts
        results = cls(None, settings, list(hits), result.get("std"))
        results.runs, results.hits, results.examples = runs, hits, result.get("examples")
        return results

    @property
    def finished(self) -> list[Line]:
        """The lines that have all images in all frameworks."""
        return [line for line in self.lines if all(len(self.hits[line][t]) == self.images for t in self.frameworks)]

    @property
    def complete(self) -> bool:
        """Whether all lines of all frameworks have all images."""
        return len(self.finished) == len(self.lines)

    @property
    def swept(self) -> bool:
        """Whether this is accuracy against epsilon, not a table."""
        return any(line.preset == NOISE for line in self.lines)

    @property
    def agree(self) -> bool:
        """Whether the frameworks of complete results agree in every line; one agrees with itself."""
        return all(self.difference(line, top).alike for line in self.lines for top in TOP)

    def difference(self, line: Line, top: str) -> Any:
        """The first framework less the last, in a complete line."""
        return difference(self.hits[line][self.frameworks[0]], self.hits[line][self.frameworks[-1]], top)

    def accuracy(self, line: Line, framework: str) -> tuple[float, float]:
        """Top-1 and top-5 of a complete line, in percent."""
        return accuracy(self.hits[line][framework], "top1"), accuracy(self.hits[line][framework], "top5")

    def order(self, line: Line) -> tuple[int, int]:
        """What lines are sorted by to be measured: the paths as they come, and on a path the steps."""
        return [other.path for other in self.lines].index(line.path), line.steps

    def add(self, framework: str, found: dict[Line, str]) -> None:
        """The letters of one more batch, in all the lines of a path; the file, if there is one, has them from now on."""
        for line, letters in found.items():
            self.hits[line][framework] += letters
        self.write()

    def content(self) -> dict[str, Any]:
        """What a file of results holds."""
        complete = self.complete
        return {
            "format": FORMAT,
            "settings": self.settings,
            "std": self.std,
            "runs": self.runs,
            "complete": complete,
            "agree": self.agree if complete else None,
            "lines": [self._entry(line) for line in self.lines],
            **({"examples": self.examples} if self.examples else {}),
        }

    def write(self) -> None:
        """Write the file, if there is one, whole. OptionError where it cannot be written."""
        write_result(self.path, self.content())

    def _entry(self, line: Line) -> dict[str, Any]:
        done = [framework for framework, letters in self.hits[line].items() if len(letters) == self.images]
        figures = {framework: dict(zip(TOP, self.accuracy(line, framework), strict=True)) for framework in done}
        return {**asdict(line), "accuracy": figures, "hits": self.hits[line]}

    def _read(self, path: Path) -> None:
        """Go on with a file."""
        stays = "nothing was overwritten"
        result = read_result(path, FORMAT)
        parts = _parts(result)
        if parts is None:
            raise OptionError(f"--json {path} is damaged: {stays}")
        settings, runs, hits = parts
        for name, wanted in self.settings.items():
            if settings.get(name) != wanted:
                raise OptionError(
                    f"--json {path} has {CALLED.get(name, name)} {settings.get(name)}, not {wanted}: {stays}"
                )
        if hits.keys() != self.hits.keys():
            raise OptionError(f"--json {path} is of other presets, rows or epsilons: {stays}")
        self.hits, self.runs, self.examples = hits, runs, result.get("examples")


def _parts(result: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]], dict[Line, dict[str, str]]] | None:
    """(settings, runs, letters) of what a file holds; None if they do not belong together."""
    try:
        settings, runs = dict(result["settings"]), list(result["runs"])
        hits = {_line(entry): dict(entry["hits"]) for entry in result["lines"]}
        return (settings, runs, hits) if _sound(hits, settings["tracks"], settings["images"]) else None
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _sound(hits: dict[Line, dict[str, str]], frameworks: list[str], images: int) -> bool:
    """Whether all lines have these frameworks, the lines of a path are equally far, and the letters are ours."""
    known = set(TOP["top5"] + MISS)
    lengths: dict[Any, int] = {}
    return all(
        found.keys() == set(frameworks)
        and all(
            lengths.setdefault((line.path, framework), len(letters)) == len(letters) <= images
            and known.issuperset(letters)
            for framework, letters in found.items()
        )
        for line, found in hits.items()
    )


def _line(entry: dict[str, Any]) -> Line:
    values: dict[str, Any] = {field.name: entry[field.name] for field in fields(Line)}
    for name in ("epsilon", "alpha"):
        if isinstance(values[name], list):  # a number for each channel
            values[name] = tuple(values[name])
    return Line(**values)
