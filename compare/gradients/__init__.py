"""python -m compare gradients: every number that minigrad computes, against torch: one table, one exit code.

A row for every public function and method that has a gradient, every fused op (against its definition), every module, loss,
optimizer (the weights over fifty steps) and model: the largest error of values, gradients and gradients of gradients, under
random cotangents, relative to the largest element of each array.

float64: within 1e-10 of torch. float32: both are held against torch's float64, and ours may be off by twice as much as torch's
own, plus two units in the last place, in the root of the mean square over several draws. Models in float32: the arrays of a part
together, in the 2-norm, on one batch of three, since on some batches a ReLU or a pool is decided by rounding.
What torch has not, or has otherwise, is held against torch's primitives; the table notes where.

Exit code 1 if a row does not agree. About two minutes on two cores; names, as in --only gelu or --only 'conv*' --only vit, take
seconds.
"""

from __future__ import annotations

import argparse
import difflib
import sys
import time
import warnings
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from compare.gradients.show import GROUPS, pictures, tables, verdict
from compare.kit.arguments import Parser, count, need_torch
from compare.kit.result import Result, check_target, origin, write_result
from compare.kit.tables import as_text
from minigrad.errors import OptionError

__all__ = ["pictures", "run", "tables", "verdict"]

FORMAT = "compare gradients 1"
DRAWS = {"optimizer": 3, "model": 3}
"""Of each case, four but for these."""


class Plan(NamedTuple):
    """A row to be measured: its cases."""

    group: str
    name: str
    subjects: Sequence[Any]


def run(arguments: Sequence[str]) -> int:
    """Measure, print the tables, write --json if asked. 0 if all agrees, else 1."""
    options = parse(arguments)
    check_target(options.json, FORMAT)
    need_torch()
    chosen = choose(plans(), options.group, options.only)
    if options.list:
        print("\n".join(f"{plan.group:10} {plan.name}" for plan in chosen))
        return 0
    started = time.perf_counter()
    rows = measure_all(chosen, options.seed)
    result: Result = {"format": FORMAT} | origin("gradients", arguments) | rules() | {"rows": rows}
    result["seconds"] = round(time.perf_counter() - started, 1)
    print("\n\n".join(map(as_text, tables(result))))
    print(f"\n{verdict(result)}")
    write_result(options.json, result)
    return 0 if all(row["agree"] for row in rows) else 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options. OptionError for what is not understood."""
    parser = Parser("gradients", __doc__)
    add = parser.add_argument
    add("--group", action="append", choices=list(GROUPS), help="rows of this group alone; may be given again")
    add(
        "--only",
        action="append",
        metavar="PATTERN",
        help="rows of this name alone, or of the names that match; again for more",
    )
    add("--seed", type=count(0, 10**6), default=0, help="decides what is drawn (0)")
    add("--list", action="store_true", help="say what would be measured, and stop")
    add("--json", type=Path, metavar="FILE", help="write everything that was measured to this file")
    return parser.parse_args(arguments)


def plans() -> list[Plan]:
    """All rows, in order."""
    from compare.gradients import layers, names, networks, trajectories

    return [
        *(Plan("op", name, names.op_cases(name)) for name in names.differentiable()),
        *(Plan("fused", name, names.fused_cases(name)) for name in names.fused_names()),
        *(Plan("module", name, cases) for name, cases in layers.LAYERS.items()),
        *(Plan("loss", name, cases) for name, cases in layers.LOSSES.items()),
        *(Plan("optimizer", name, cases) for name, cases in trajectories.OPTIMIZERS.items()),
        *(Plan("model", name, cases) for name, cases in networks.MODELS.items()),
    ]


def choose(all_plans: Sequence[Plan], groups: Sequence[str] | None, patterns: Sequence[str] | None) -> list[Plan]:
    """The rows of these groups whose names match: whole, or from the last dot on; letters of either case.

    OptionError for a pattern that nothing matches.
    """
    found = [plan for plan in all_plans if not groups or plan.group in groups]
    if not patterns:
        return found
    for pattern in patterns:
        if not any(_matches(plan.name, pattern) for plan in found):
            near = difflib.get_close_matches(
                pattern.lower(), sorted({plan.name.split(".")[-1] for plan in found}), 5, 0.5
            )
            hint = f"near it are {', '.join(near)}" if near else f"the groups are {', '.join(GROUPS)}"
            raise OptionError(f"--only {pattern}: no row is called so; {hint}; --list names them all")
    return [plan for plan in found if any(_matches(plan.name, pattern) for pattern in patterns)]


def _matches(name: str, pattern: str) -> bool:
    wanted = pattern.lower()
    return fnmatchcase(name.lower(), wanted) or fnmatchcase(name.lower().split(".")[-1], wanted)


def measure_all(chosen: Sequence[Plan], seed: int) -> list[Result]:
    """The rows, with progress on the error stream."""
    from compare.gradients.measure import measure

    rows: list[Result] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is deprecated, in either framework
        for i, plan in enumerate(chosen):
            if not i or plan.group != chosen[i - 1].group or i % 50 == 0:
                print(f"{i} of {len(chosen)} rows: {plan.group} {plan.name} ...", file=sys.stderr, flush=True)
            seeds = range(1000 * seed, 1000 * seed + DRAWS.get(plan.group, 4))
            against = "definition" if plan.group == "fused" else "torch"
            rows.append(measure(plan.group, plan.name, plan.subjects, seeds, against, whole=plan.group == "model"))
    return rows


def rules() -> Result:
    """What was allowed."""
    from compare.gradients.derivatives import FLOOR_32, TOLERANCE_64

    return {"tolerance": TOLERANCE_64, "floor": FLOOR_32}
