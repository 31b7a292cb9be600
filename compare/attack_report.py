"""The tables of python -m compare attacks, as text."""

from __future__ import annotations

from compare.attack_lines import (
    DEFENDED,
    MOST_ERRORS,
    MOST_POINTS,
    NOISE,
    PLAIN,
    TOP,
    Line,
    accuracy_error,
    difference,
)
from compare.attack_results import Results
from compare.speed import table

REPORTED_CLASSES = 100  # of MiniPlaces


def report(results: Results) -> str:
    """What was measured on what, each line in all tracks, and whether these agree."""
    settings, tracks, images = results.settings, results.tracks, results.images
    pair = DEFENDED in settings["weights"]
    original = settings["model"] == "simplenet" and settings["classes"] == REPORTED_CLASSES
    original = original and all(line.preset != NOISE for line in results.lines)
    top1 = results.accuracy(results.lines[0], tracks[0])[0]
    lines = [
        "",
        f"{settings['model']} on {settings['data']}: {images} validation images of {settings['image_size']}x"
        f"{settings['image_size']}, {settings['device']}; top-1 and top-5 in percent",
        f"an accuracy of {top1:.1f} % of {images} images has a standard error of {accuracy_error(top1, images):.2f} points",
        "attacks: steps/epsilon/alpha, max norm, normalised units, from the image, not clipped",
    ]
    if original:
        epochs = "10-epoch networks" if pair else "60-epoch network"
        lines.append(
            f"reported: the original's {epochs} on 10,000 images of MiniPlaces; its attack is the preset report"
        )
    for checkpoint in settings["weights"]:
        own = [line for line in results.lines if line.checkpoint == checkpoint]
        lines += ["", _table(results, own, original, pair)]
    if pair:
        lines += ["", _defence(results)]
    return "\n".join([*lines, "", _agreement(results)])


def _table(results: Results, lines: list[Line], original: bool, pair: bool) -> str:
    """The lines of a checkpoint."""
    head = [lines[0].checkpoint if pair else "", *(["reported"] if original else []), *results.tracks]
    both = len(results.tracks) == 2
    rows = [head + [f"difference in {top}" for top in ("top-1", "top-5")] * both]
    for line in lines:
        row = [str(line)]
        if original:
            reported = line.reported(pair)
            row.append("{:.2f} {:.2f}".format(*reported) if reported else "")
        row += ["{:.2f} {:5.2f}".format(*results.accuracy(line, track)) for track in results.tracks]
        rows.append(row + [_marked(results.difference(line, top)) for top in TOP] * both)
    return table(rows)


def _marked(found: object) -> str:
    return f"{found}{'' if getattr(found, 'alike', True) else ' !'}"


def _defence(results: Results) -> str:
    """Defended less plain, image by image."""
    rows = [["defended less plain", *(f"{track}, {top}" for track in results.tracks for top in ("top-1", "top-5"))]]
    for line in results.lines:
        if line.checkpoint == PLAIN:
            other = Line(DEFENDED, line.preset, *line.row)
            pairs = [(results.hits[other][track], results.hits[line][track]) for track in results.tracks]
            rows.append([str(line), *(str(difference(*both, top)) for both in pairs for top in TOP)])
    return table(rows)


def _agreement(results: Results) -> str:
    if len(results.tracks) == 1:
        return "one track: nothing to compare"
    limit = f"{MOST_POINTS:g} points + {MOST_ERRORS:g} standard errors, by the images that only one track gets right"
    if results.agree:
        return f"the tracks agree: no difference is above {limit}"
    return f"THE TRACKS DIFFER: those marked ! are above {limit}"
