"""What the figures of `python -m compare gradients` look like: tables, a picture, a sentence. Out of the result alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from compare.kit.plots import COLOURS, GRID, INK, QUIET, as_png, new_figure, quiet
from compare.kit.tables import Table

PARTS = ("value", "first", "second")
FLOOR = 2 * 2.0**-23
GROUPS = {
    "op": "functions and methods",
    "fused": "fused ops, against their definitions",
    "module": "modules",
    "loss": "losses",
    "optimizer": "optimizers, the weights over fifty steps",
    "model": "models",
}
LEAST = 1e-9
"""In the picture: what is nearer than that, as near as 0, is drawn here."""

Result = dict[str, Any]


def share(pair: Sequence[float]) -> float:
    """A float32 error, of what is allowed."""
    return pair[0] / (2 * pair[1] + FLOOR)


def tables(result: Result) -> list[Table]:
    """What is wrong, if anything is; a line a group; the rows of each group."""
    wrong = [row for row in result["rows"] if not row["agree"]]
    found = (
        [Table("what does not agree", ("name", "why"), [[row["name"], row["why"]] for row in wrong])] if wrong else []
    )
    found.append(_summary(result))
    for group, rows in _by_group(result).items():
        found.append(Table(GROUPS[group], _head(), [_line(row) for row in rows], _notes(rows)))
    return found


def _by_group(result: Result) -> dict[str, list[Result]]:
    return {g: rows for g in GROUPS if (rows := [row for row in result["rows"] if row["group"] == g])}


def _summary(result: Result) -> Table:
    lines = []
    for group, rows in _by_group(result).items():
        double, where = max((_double(row), row["name"]) for row in rows)
        nearest = max(rows, key=lambda row: _nearest(row)[0])
        _, part, pair = _nearest(nearest)
        single = [f"{pair[0]:.1e} ({pair[1]:.1e})", f"{nearest['name']}, {part}"] if pair else ["", ""]
        cases, wrong = sum(row["cases"] for row in rows), sum(not row["agree"] for row in rows)
        lines.append([GROUPS[group], str(len(rows)), str(cases), f"{double:.1e}", where, *single, str(wrong)])
    head = ("", "names", "cases", "float64", "of", "float32 (torch's)", "of", "wrong")
    return Table("the largest errors, of the largest element", head, lines, _rules(result))


def _rules(result: Result) -> list[str]:
    return [
        "float64: against torch, fused ops against their definitions: the largest error of any array; at most "
        f"{result['tolerance']:g}.",
        "float32: the error nearest to what it may be, and torch's own, both against torch's float64, in the root of the mean "
        f"square over several draws: at most twice torch's, plus {result['floor']:.1e}.",
        "Models in float32: all arrays of a part together, in the 2-norm, on one batch of three: on a batch where rounding "
        "decides a ReLU or the winner of a pool, both tracks are a matter of luck.",
    ]


def _head() -> tuple[str, ...]:
    return (
        "name",
        "cases",
        *(f"float64 {part}" for part in PARTS),
        *(f"float32 {part} (torch's)" for part in PARTS),
        "",
    )


def _line(row: Result) -> list[str]:
    double = [_figure(row["float64"][part]) for part in PARTS]
    single = [f"{pair[0]:.1e} ({pair[1]:.1e})" if (pair := row["float32"][part]) else "" for part in PARTS]
    return [row["name"], str(row["cases"]), *double, *single, "" if row["agree"] else "WRONG"]


def _figure(error: float | None) -> str:
    return "" if error is None else f"{error:.1e}" if error else "0"


def _notes(rows: Sequence[Result]) -> list[str]:
    """What the rows say of themselves, each thing once."""
    noted: dict[str, list[str]] = {}
    for row in rows:
        if row["note"]:
            noted.setdefault(row["note"], []).append(row["name"])
    return [f"{', '.join(names)}: {note}." for note, names in noted.items()]


def _double(row: Result) -> float:
    return max((error for error in row["float64"].values() if error is not None), default=0.0)


def _nearest(row: Result) -> tuple[float, str, Sequence[float] | None]:
    """(share, part, [ours, torch's]) of a row's float32 error that is nearest to what is allowed."""
    found = [(share(pair), part, pair) for part, pair in row["float32"].items() if pair]
    return max(found, default=(0.0, "", None))


def verdict(result: Result) -> str:
    """One sentence: whether all is as torch has it, and how near."""
    rows = result["rows"]
    wrong = [row["name"] for row in rows if not row["agree"]]
    if wrong:
        some = ", ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        return f"{len(wrong)} of {len(rows)} rows do not compute what torch does: {some}."
    error, where = max((_double(row), row["name"]) for row in rows)
    cases = sum(row["cases"] for row in rows)
    return (
        f"All {len(rows)} rows ({cases} cases) compute what torch does, values and gradients of both orders: in float64 within "
        f"{error:.0e} of the largest element (the farthest is {where}), in float32 within twice torch's own error."
    )


def pictures(result: Result) -> dict[str, bytes]:
    """{"gradients": our float32 error against torch's own, a point a name}."""
    rows = [row for row in result["rows"] if any(row["float32"].values())]
    if not rows:
        return {}
    subtitle = (
        f"{len(rows)} names, of each the array nearest to what is allowed; relative to the largest element, against torch's "
        f"float64; {LEAST:g} stands for nothing at all"
    )
    figure, panels = new_figure(
        1, 3, "How far float32 is off: minigrad's error beside torch's own", subtitle, (3.6, 3.6)
    )
    errors = [error for row in rows for pair in row["float32"].values() if pair for error in pair]
    ends = LEAST / 2, max(1e-5, *errors) * 2
    line = [ends[0] * (ends[1] / ends[0]) ** (i / 99) for i in range(100)]
    allowed = [2 * error + FLOOR for error in line]
    titles = ("values", "gradients", "second gradients")
    for axes, part, title in zip(panels[0], PARTS, titles, strict=True):
        pairs = [row["float32"][part] for row in rows if row["float32"][part]]
        ours, theirs = ([max(pair[i], LEAST) for pair in pairs] for i in (0, 1))
        axes.fill_between(line, allowed, ends[1], color=GRID, lw=0, zorder=0)
        axes.plot(line, allowed, color=QUIET, lw=1, ls="--")
        axes.plot(line, line, color=COLOURS["torch"], lw=1)
        axes.scatter(theirs, ours, s=9, color=COLOURS["minigrad"], alpha=0.55, lw=0, zorder=3)
        axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
        axes.minorticks_off()
        quiet(axes, title, "torch's error", "minigrad's error")
        axes.text(ends[0] * 1.5, ends[1] / 1.5, "more than is allowed", fontsize=7.5, color=INK, va="top")
        axes.text(LEAST * 12, LEAST * 6, "as far as torch", fontsize=7.5, color=COLOURS["torch"])
    return {"gradients": as_png(figure)}
