"""python -m compare attacks: how right a trained network stays under attack, in both frameworks side by side.

The table: the images as they are, and the six attacks (steps, epsilon, alpha) of the original report under three presets:
`handout` goes down the loss of the least likely class, `report` up that loss (what the original did; its figures stand
beside), `untargeted` up the label's loss. All in normalised units, in the max norm, from the image, without clipping.
--rows may give epsilon and alpha for each channel: 10/0.1:0.2:0.3/0.01.

--defended FILE compares a second checkpoint, one that was trained on attacked images, with the first.

--sweep draws top-1 and top-5 against epsilon instead: 10 steps of epsilon / 4 under each preset, and noise of that size.

Each framework attacks with its own gradients. A difference between the two is given in points, with its standard error from
the m images that only one of them gets right: 100 sqrt(m) / N. The exit code is 1 if a difference is above 0.3 points and
three of those errors: the fewer the images, the more has to be allowed.

--examples N keeps N images under the first preset with the results, for the report: rows 2, 4 and 7 of the original's table.
The file then holds the images themselves: publish it only if they may be passed on (the embedded ones may).

--json keeps results as they come. The same command goes on where it stopped; other settings or weights are refused.

A checkpoint of a run brings model, settings, data and image size along; beside a file of weights alone they have to be given.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compare.attacks import measure, show
from compare.attacks.lines import EPSILONS, PRESETS, ROWS
from compare.attacks.results import FORMAT
from compare.kit.arguments import Parser, add_trained, count, some_of
from compare.kit.command import Command
from compare.kit.frameworks import FRAMEWORKS
from minigrad.errors import OptionError

MOST_STEPS = 10_000


def options(parser: Parser) -> None:
    """Which network, which attacks, on which images."""
    add_trained(parser)
    add, both = parser.add, list(FRAMEWORKS)
    rows = ",".join("/".join(f"{value:g}" for value in row) for row in ROWS)
    epsilons = ",".join(f"{epsilon:g}" for epsilon in EPSILONS)
    add("--defended", metavar="FILE", help="the same of a network that was trained on attacked images")
    add("--limit", type=count(1, 10**9), help="at most so many validation images, of all classes alike (all)")
    add("--presets", type=some_of("presets", PRESETS), default=list(PRESETS), help=f"({','.join(PRESETS)})")
    add("--rows", type=row_list, help=f"steps/epsilon/alpha ({rows}; with --defended the first)")
    add(
        "--tracks",
        type=some_of("frameworks", both),
        default=both,
        help=f"the frameworks that attack ({','.join(both)})",
    )
    add("--sweep", type=epsilon_list, nargs="?", const=list(EPSILONS), metavar="EPSILONS", help=f"({epsilons})")
    add("--examples", type=count(1, 8), metavar="N", help="keep N images under attack in --json too, for the report")
    add("--device")
    add("--seed", help="decides the noise of --sweep (2024)")


def check(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """The default rows and picture. OptionError for options that do not go together."""
    if options.sweep:
        if foreign := [name for name in ("rows", "defended", "examples") if getattr(options, name)]:
            raise OptionError(f"--{foreign[0]} belongs to the tables, not to --sweep")
        options.picture = options.picture or Path("attacks-sweep.png")
    elif options.picture:
        raise OptionError(f"--picture {options.picture}: only --sweep draws one")
    if options.examples and options.json is None:
        raise OptionError("--examples are kept in a file of results: name one with --json")
    options.rows = options.rows or list(ROWS[:1] if options.defended else ROWS)


def row_list(text: str) -> list[tuple[int, Any, Any]]:
    """An argparse type: attacks such as 10/.1/.01,20/1/.01, or with a number for each channel 10/.1:.2:.3/.01."""

    def amount(text: str) -> float | tuple[float, ...]:
        numbers = tuple(float(number) for number in text.split(":"))
        if not all(0 <= number < math.inf for number in numbers):
            raise ValueError
        return numbers if len(numbers) > 1 else numbers[0]

    try:
        parts = [part.split("/") for part in text.split(",")]
        rows = [(int(steps), amount(epsilon), amount(alpha)) for steps, epsilon, alpha in parts]
    except ValueError:
        rows = []
    sound = all(1 <= row[0] <= MOST_STEPS for row in rows)
    if not rows or not sound or len(set(rows)) < len(rows):
        raise argparse.ArgumentTypeError(
            f"rows are steps/epsilon/alpha such as 10/.1/.01,20/1/.01, each once, 1 to {MOST_STEPS} steps, not {text!r}"
        )
    return rows


def epsilon_list(text: str) -> list[float]:
    """An argparse type: epsilons such as .01,.05,.1; 0 is drawn anyway."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not any(found) or not all(0 <= value < math.inf for value in found) or len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(
            f"finite epsilons from 0 on such as 0,.01,.1 are wanted, each once, not {text!r}"
        )
    return found


COMMAND = Command(
    "attacks",
    FORMAT,
    __doc__,
    options,
    measure.measure,
    show,
    check=check,
    torch=False,
    json="results: kept as they come, gone on with by the same command",
    picture="the picture of --sweep (attacks-sweep.png)",
    kept=True,
)
run = COMMAND.run
