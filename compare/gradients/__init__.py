"""python -m compare gradients: every number that minigrad computes, against torch: one table, one exit code.

A row for every public function and method that has a gradient, every fused op (against its definition), every module, loss,
optimizer (the weights over fifty steps) and model: the largest error of values, gradients and gradients of gradients, under
random cotangents, relative to the largest element of each array.

float64: within 1e-10 of torch. float32: both are compared with torch's float64, and ours may be off by twice as much as torch's
own, plus two units in the last place, in the root of the mean square over several draws. Models in float32: the arrays of a part
together, in the 2-norm, on one batch of three, since on some batches a ReLU or a pool is decided by rounding.
What torch has not, or has otherwise, is compared with torch's primitives; the table notes where.

Exit code 1 if a row does not agree. About two minutes on two cores; names, as in --only gelu or --only 'conv*' --only vit, take
seconds.
"""

from __future__ import annotations

from compare.gradients import measure, show
from compare.kit.arguments import Parser, count
from compare.kit.command import Command


def options(parser: Parser) -> None:
    """Which rows, and which draws."""
    again = "may be given again"
    parser.add("--group", action="append", choices=list(show.GROUPS), help=f"rows of this group alone; {again}")
    parser.add("--only", action="append", metavar="PATTERN", help=f"rows whose names match this alone; {again}")
    parser.add("--seed", type=count(0, 10**6), default=0, help="decides what is drawn (0)")
    parser.flag("--list", help="name what would be measured, and stop")


COMMAND = Command("gradients", "compare gradients 1", __doc__, options, measure.measure, show)
run = COMMAND.run
