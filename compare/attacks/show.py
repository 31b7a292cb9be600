"""What python -m compare attacks has to say: its tables, and the sentence that sums them up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from compare.attacks import curve
from compare.attacks.examples import draw_examples
from compare.attacks.lines import CLEAN, DEFENDED, NOISE, PLAIN, Line
from compare.attacks.results import Results
from compare.kit.letters import MOST_ERRORS, MOST_POINTS, TOP, accuracy, accuracy_error, difference
from compare.kit.result import Result
from compare.kit.tables import Table

REPORTED_CLASSES = 100  # of MiniPlaces
SHOWN = (10, 0.1, 0.01)  # the row of the verdict, where it was measured


def tables(result: Result) -> list[Table]:
    """A table a checkpoint, each line in all frameworks; and defended less plain. Lines that are not finished are left out."""
    results = Results.of(result)
    checkpoints = results.settings["weights"]
    found = [_table(results, checkpoint) for checkpoint in checkpoints]
    return [table for table in [*found, *([_defence(results)] if DEFENDED in checkpoints else [])] if table.rows]


def pictures(result: Result) -> dict[str, bytes]:
    """A sweep's curves, once it is measured; images under attack, where they were kept."""
    results = Results.of(result)
    found = {"sweep": curve.draw(results)} if results.swept and results.complete else {}
    return found | ({"examples": draw_examples(results, results.examples)} if results.examples else {})


def _table(results: Results, checkpoint: str) -> Table:
    """The lines of a checkpoint."""
    settings, pair = results.settings, DEFENDED in results.settings["weights"]
    original = settings["model"] == "simplenet" and settings["classes"] == REPORTED_CLASSES and not results.swept
    lines = [line for line in results.finished if line.checkpoint == checkpoint]
    reported = {line: line.reported(pair) for line in lines} if original else None
    title = f"{settings['model']} on {results.images:,} validation images of {settings['data']}"
    title += f"{f', {checkpoint} network' if pair else ''}: top-1 / top-5 in percent"
    table = line_table({line: results.hits[line] for line in lines}, results.frameworks, reported)
    return Table(title, *table, _notes(results, lines, original, pair))


def line_table(
    hits: Mapping[Line, dict[str, str]], frameworks: Sequence[str], reported: Mapping[Line, Any] | None
) -> tuple[list[str], list[list[str]]]:
    """(head, rows): a row a line, with what was reported of it, each framework's accuracy, and how far the two are apart."""
    both = len(frameworks) == 2
    head = ["steps/epsilon/alpha", *(["reported"] if reported is not None else []), *frameworks]
    head += [f"difference in {top}" for top in ("top-1", "top-5")] * both
    rows = []
    for line, letters in hits.items():
        found: list[Any] = [] if reported is None else [reported[line]]
        found += [tuple(accuracy(letters[framework], top) for top in TOP) for framework in frameworks]
        apart = [difference(letters[frameworks[0]], letters[frameworks[1]], top) for top in TOP] if both else []
        cells = ["" if pair is None else f"{pair[0]:.2f} / {pair[1]:.2f}" for pair in found]
        rows.append([str(line), *cells, *(f"{d}{'' if d.alike else ' !'}" for d in apart)])
    return head, rows


def _notes(results: Results, lines: list[Line], original: bool, pair: bool) -> list[str]:
    """What a reader has to know of a table."""
    settings, images = results.settings, results.images
    size = settings["image_size"]
    notes = [
        f"Images of {size}x{size}, on {settings['device']}. Attacks: max norm, normalised units, from the image, not clipped."
    ]
    if lines:
        top1 = results.accuracy(lines[0], results.frameworks[0])[0]
        notes.append(
            f"{top1:.1f} % of {images:,} images has a standard error of {accuracy_error(top1, images):.2f} points."
        )
    if original:
        epochs = "10-epoch networks" if pair else "60-epoch network"
        notes.append(
            f"Reported: the original's {epochs} on 10,000 images of MiniPlaces; its attack is the preset report."
        )
    if len(results.frameworks) == 2:
        notes.append(
            f"Differences: {' less '.join(results.frameworks)}, in points, and the standard error by the images that only one "
            f"framework gets right; above {MOST_POINTS:g} points and {MOST_ERRORS:g} of those errors they are marked !."
        )
    return notes


def _defence(results: Results) -> Table:
    """Defended less plain, image by image."""
    head = [
        "defended less plain, points",
        *(f"{framework}, {top}" for framework in results.frameworks for top in ("top-1", "top-5")),
    ]
    rows = []
    for line in results.finished:
        other = _defended(line)
        if line.checkpoint == PLAIN and other in results.finished:
            rows.append(
                [
                    str(line),
                    *(str(_gain(results, line, framework, top)) for framework in results.frameworks for top in TOP),
                ]
            )
    return Table("What adversarial training brings", head, rows)


def _defended(line: Line) -> Line:
    return Line(DEFENDED, line.preset, *line.row)


def _gain(results: Results, line: Line, framework: str, top: str) -> object:
    return difference(results.hits[_defended(line)][framework], results.hits[line][framework], top)


def verdict(result: Result) -> str:
    """What the attacks leave of top-1 in the first framework, and whether the frameworks agree."""
    results = Results.of(result)
    if not results.complete:
        done, all_lines = len(results.finished), len(results.lines)
        return f"Not finished: {done} of {all_lines} lines are measured; the same command goes on."
    first, plain = results.frameworks[0], [line for line in results.lines if line.checkpoint == PLAIN]
    rows = [line.row for line in plain if line.preset not in (CLEAN, NOISE)]
    row = SHOWN if SHOWN in rows else max(rows, key=lambda row: row[1]) if results.swept else rows[0]
    shown = [line for line in plain if line.row == row or line.preset == CLEAN]
    shown += [line for line in plain if line.preset == NOISE and line.epsilon == row[1]]

    if DEFENDED in results.settings["weights"]:
        gains = [f"{_gain(results, line, first, 'top1')} points ({line})" for line in shown]
        sentence = f"Adversarial training changes top-1 by {_listed(gains)}"
    else:
        found = [f"{results.accuracy(line, first)[0]:.1f} % ({line})" for line in shown]
        sentence = f"Top-1 of {results.settings['model']} on {results.images:,} images: {_listed(found)}"
    return f"{sentence}; {_agreement(results)}."


def _listed(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _agreement(results: Results) -> str:
    if len(results.frameworks) == 1:
        return "one framework: nothing to compare"
    differing = sum(not all(results.difference(line, top).alike for top in TOP) for line in results.lines)
    if differing:
        return f"THE FRAMEWORKS DIFFER in {differing} of {len(results.lines)} lines, those marked !"
    return f"the frameworks agree in all {len(results.lines)} lines"
