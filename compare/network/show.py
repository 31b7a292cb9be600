"""What python -m compare network has found: the rows that are furthest apart, and in one sentence."""

from __future__ import annotations

from compare.kit.result import Result
from compare.kit.tables import Table

MOST = 12
"""Rows that are shown: those furthest apart."""


def tables(result: Result) -> list[Table]:
    """The outputs, gradients, buffers and weights that differ most."""
    rows = sorted(result["rows"], key=lambda row: -row[2])
    shown = [[name, " x ".join(map(str, shape)) or "one number", f"{apart:.1e}"] for name, shape, apart in rows[:MOST]]
    notes = [*result["problems"], *([f"and {len(rows) - MOST} rows that are nearer"] if len(rows) > MOST else [])]
    title = f"{result['network']} in float64: largest error over largest element"
    return [Table(title, ["what", "shape", "apart"], shown, notes)]


def pictures(result: Result) -> dict[str, bytes]:
    """None."""
    return {}


def verdict(result: Result) -> str:
    """Whether the two agree."""
    if result["agree"]:
        return f"{result['network']} computes the same in minigrad and in torch: {len(result['rows'])} arrays compared."
    return f"{result['network']} does not agree: " + (result["problems"] or ["see the rows above"])[0]
