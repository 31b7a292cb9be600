"""python -m compare overhead: what one small op costs, and whether a long chain of ops costs in proportion to its length.

Small op: forward and backward of an op on 100 floats, gradients set back to None, in microseconds a call: the least of
several batches of calls. minigrad and torch run in processes of their own, in turn, each with one thread; the ratio is the
median over the rounds. Chain: y = y + 1 a thousand, ten thousand and a hundred thousand times, forward and backward, in
microseconds an op: the figure should not grow with the length (minigrad only; a recursive engine would fail here).
"""

from __future__ import annotations

from compare.kit.arguments import Parser, count
from compare.kit.command import Command
from compare.overhead import measure, show


def options(parser: Parser) -> None:
    """How often is measured."""
    calls = measure.CALLS
    parser.add("--rounds", type=count(1, 100), default=5, help="turns of each framework (5)")
    parser.add("--batches", type=count(1, 1000), default=20, help=f"batches of {calls} calls in a turn (20)")


COMMAND = Command("overhead", "compare overhead 1", __doc__, options, measure.measure, show)
run = COMMAND.run
