"""python -m compare transfer NETWORK NETWORK...: attacks made on one network, measured on the others, a row a source.

A network is a run folder (its best checkpoint), a checkpoint or file of weights, `embedded` (the trained SimpleNet-BN that comes
with minigrad), or FILE.py:NAME, a class or function written for PyTorch, with weights FILE.py:NAME@WEIGHTS. torch: before
FILE.py:NAME leaves it a PyTorch network in both frameworks. LABEL= before a network is what the table calls it.

Each attack of --attacks makes every image wrong on the network of a row, by epsilon up the loss of the label; in the columns stands
how many of the images each network still gets right. The diagonal is the attack on the network itself. All networks see the same
validation images, of the first network's data unless --data says others, and have to know the same classes.

Both frameworks attack with their own gradients, from the same random numbers. The exit code is 1 if a figure of the two differs by
more than 0.3 points and three standard errors, by the images that only one of them gets right.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from compare.kit.arguments import Parser, count, some_of
from compare.kit.attacks import KINDS, STEPS, add_threat
from compare.kit.command import Command
from compare.kit.frameworks import FRAMEWORKS
from compare.transfer import measure, show
from minigrad.errors import OptionError

ATTACKS = ["mifgsm", "difgsm", "vmifgsm"]
IMAGES = 200


def options(parser: Parser) -> None:
    """Which networks, which attacks, on which images."""
    add, both = parser.add, list(FRAMEWORKS)
    parser.add_argument(
        "networks", nargs="+", metavar="NETWORK", help="a run folder, embedded, FILE.py:NAME, see above"
    )
    add("--attacks", type=some_of("attacks", list(KINDS)), default=ATTACKS, help=f"({','.join(ATTACKS)})")
    add_threat(parser, 0.05)
    add("--steps", type=STEPS, default=10, help="of each attack, a quarter of epsilon long; queries of square (10)")
    add("--data", help="as in training: a folder, or a data set's name (the first network's)")
    add("--image-size", help="pixels a side (the first network's, or the data's own)")
    add("--limit", type=count(1, 10**9), default=IMAGES, help=f"at most so many validation images ({IMAGES})")
    add(
        "--tracks",
        type=some_of("frameworks", both),
        default=both,
        help=f"the frameworks that attack ({','.join(both)})",
    )
    add("--device")
    add("--seed", help="decides the attacks' random numbers (2024)")


def check(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """OptionError for a single network."""
    if len(options.networks) < 2:
        raise OptionError(f"{options.networks[0]} alone: an attack is carried from one network to another, name two")


COMMAND = Command(
    "transfer",
    "compare transfer 1",
    __doc__,
    options,
    measure.measure,
    show,
    check=check,
    torch=False,
    picture="draw the tables, an attack a panel",
)
run = COMMAND.run
