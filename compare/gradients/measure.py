"""The rows of the table: which there are, which are asked for, and their measurement. The tables of cases import torch."""

from __future__ import annotations

import argparse
import difflib
import sys
import time
import warnings
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from compare.gradients.show import GROUPS
from compare.kit.result import Result
from minigrad.errors import OptionError

DRAWS = {"optimizer": 3, "model": 3}
"""Of each case, four but for these."""


class Plan(NamedTuple):
    """A row to be measured: its cases."""

    group: str
    name: str
    subjects: Sequence[Any]


PATIENCE = 10.0  # seconds between two lines of progress


def measure(options: argparse.Namespace, begun: Result) -> Result | None:
    """The result: the rules, and the rows that are asked for, with progress on the error stream. None: they are listed."""
    chosen = choose(plans(), options.group, options.only)
    if options.list:
        print("\n".join(f"{plan.group:10} {plan.name}" for plan in chosen))
        return None
    from compare.gradients.derivatives import FLOOR_32, TOLERANCE_64
    from compare.gradients.row import measure_row

    started = said = time.perf_counter()
    rows: list[Result] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is deprecated, in either framework
        for i, plan in enumerate(chosen):
            if not i or plan.group != chosen[i - 1].group or time.perf_counter() - said > PATIENCE:
                said = time.perf_counter()
                print(f"{i} of {len(chosen)} rows: {plan.group} {plan.name} ...", file=sys.stderr, flush=True)
            seeds = range(1000 * options.seed, 1000 * options.seed + DRAWS.get(plan.group, 4))
            against = "definition" if plan.group == "fused" else "torch"
            rows.append(measure_row(plan.group, plan.name, plan.subjects, seeds, against, whole=plan.group == "model"))
    seconds, agree = round(time.perf_counter() - started, 1), all(row["agree"] for row in rows)
    return begun | {"tolerance": TOLERANCE_64, "floor": FLOOR_32, "rows": rows, "seconds": seconds, "agree": agree}


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
