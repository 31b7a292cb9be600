"""python -m compare scaling: time and peak memory of a training step along an axis, in minigrad and in PyTorch.

The axis is --axis batch (images a step), image-size (pixels a side), depth (blocks; the vision transformer has them) or ranks
(processes that share a step; see the end). For each of --values the step is that of python -m compare speed, with the same
check that all implementations compute the same.

Each value and implementation has a process of its own. All are alive at once and called in turn, a round being all of them:
what slows the machine for a while slows all. A turn is one step that is not timed and as many as take about --turn
milliseconds, at least one. The cost is a step's time divided by its images; along image-size also by their pixels, along depth
by the blocks. It should not grow. Two figures show it, for each implementation: the exponent of the axis that fits the costs
best (a straight line through the logarithms of a round's medians; median and quartiles over the rounds), and the cost at the
largest value over the least among the others, each by its cheapest round. Rounds scatter by some ten percent, so "grows" means
that the last is above the least by more than that.

Peak memory is measured as python -m compare speed does, each implementation in a new process, alone. How much each image, pixel
or block adds to it is the slope of a straight line.

Along depth every second block looks at windows, so that all blocks together cost the same at any even depth; along image-size
the network (its patches) stays the same. With the defaults a run takes two to three minutes on two quiet cores.

Along ranks (1, 2, 4) the global batch stays the same, and mpiexec starts the processes, with the cores divided among them. A
row says what a step takes in both frameworks, and what share of minigrad's communication hides behind its backward pass.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from compare.kit.arguments import Parser, count
from compare.kit.command import Command
from compare.scaling import measure, show
from compare.scaling.show import AXES
from compare.speed import add_implementations, add_job
from minigrad.errors import OptionError

VALUES = {"batch": [4, 8, 16, 32], "image-size": [64, 128, 192, 256], "depth": [2, 4, 6, 8], "ranks": [1, 2, 4]}
BATCH = 8  # where it is not the axis


def options(parser: Parser) -> None:
    """What grows, how far, and what is measured there."""
    parser.add("--axis", choices=[*AXES, "ranks"], required=True, help="what grows")
    defaults = "; ".join(f"{axis} {','.join(map(str, values))}" for axis, values in VALUES.items())
    parser.add("--values", type=value_list, help=f"how large it gets, ascending ({defaults})")
    add_job(parser)
    parser.set_defaults(model=None, batch=BATCH)
    parser.add("--rounds", type=count(1, 1000), default=5, help="turns of each process (5)")
    parser.add("--turn", type=count(1, 60_000), default=200, metavar="MS", help="timed milliseconds of a turn (200)")
    parser.flag("--compile", help="also torch.compile, which on the CPU wants a compiler")
    add_implementations(parser)


def check(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Defaults that depend on the axis. OptionError for a value that is given twice."""
    if f"--{options.axis}" in {argument.partition("=")[0] for argument in arguments}:
        raise OptionError(f"--{options.axis} is the axis: --values says how large it gets")
    options.model = options.model or ("vit" if options.axis == "depth" else "simplenet")
    options.values = options.values or VALUES[options.axis]


def value_list(text: str) -> list[int]:
    """An argparse type: at least two whole numbers such as 4,8,16, ascending."""
    values = [int(part) if part.isdecimal() else 0 for part in text.split(",")]
    if len(values) < 2 or values != sorted(set(values)) or not 1 <= values[0] <= values[-1] <= 65536:
        wanted = "two or more whole numbers such as 4,8,16 are wanted, ascending"
        raise argparse.ArgumentTypeError(f"{wanted}, not {text!r}")
    return values


COMMAND = Command(
    "scaling", "compare scaling 1", __doc__, options, measure.measure, show, check=check, picture="draw the curves"
)
run = COMMAND.run
