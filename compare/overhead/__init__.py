"""python -m compare overhead: what one small op costs, and whether a long chain of ops costs in proportion to its length.

Small op: forward and backward of an op on 100 floats, gradients set back to None, in microseconds a call: the least of
several batches of calls. minigrad and torch run in processes of their own, in turn, each with one thread; the ratio is the
median over the rounds. Chain: y = y + 1 a thousand, ten thousand and a hundred thousand times, forward and backward, in
microseconds an op: the figure should not grow with the length (minigrad only; a recursive engine would fail here).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from compare.kit.arguments import Parser, count, need_torch
from compare.kit.result import Result, check_target, origin, write_result
from compare.kit.tables import as_text
from compare.overhead.measure import CALLS, LENGTHS, OPS, child
from compare.overhead.show import pictures, tables, verdict

__all__ = ["LENGTHS", "OPS", "pictures", "run", "tables", "verdict"]

FORMAT = "compare overhead 1"


def run(arguments: Sequence[str]) -> int:
    """Measure and print a table; write --json if asked."""
    options = parse(arguments)
    need_torch()
    result: Result = {"format": FORMAT} | origin("overhead", arguments)
    times: dict[str, dict[str, list[float]]] = {"minigrad": {}, "torch": {}}
    for turn in range(options.rounds):
        print(f"round {turn + 1} of {options.rounds}", flush=True)
        for framework, found in times.items():
            for op, microseconds in child("small", framework, str(options.batches)).items():
                found.setdefault(op, []).append(microseconds)
    result |= {"microseconds": times, "chain": child("chain", "minigrad", "3")}
    print("\n\n".join([*map(as_text, tables(result)), verdict(result)]))
    write_result(options.json, result)
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options. OptionError for what is not understood."""
    parser = Parser("overhead", __doc__)
    parser.add_argument("--rounds", type=count(1, 100), default=5, help="turns of each framework (5)")
    parser.add_argument("--batches", type=count(1, 1000), default=20, help=f"batches of {CALLS} calls in a turn (20)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to this file")
    options = parser.parse_args(arguments)
    check_target(options.json, FORMAT)
    return options
