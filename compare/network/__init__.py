"""python -m compare network path/to/file.py:Name: anybody's network, written for PyTorch, in both frameworks.

The file is loaded twice, once with torch and once with minigrad in its place; Name() makes the network, from the same weights
in both. In float64 keys, shapes, outputs, every gradient, the buffers and the weights after a step of SGD have to be equal to
1e-9 of the largest element. --set depth=2 gives Name an argument; --shape says what the batch looks like, else a few usual
shapes are tried. From Python: minigrad.testing.against_torch.
"""

from __future__ import annotations

from compare.kit.arguments import Parser
from compare.kit.command import Command
from compare.network import measure, show


def options(parser: Parser) -> None:
    """What is compared."""
    parser.add_argument("network", metavar="FILE.py:NAME", help="a class or function that makes the network")
    parser.add(
        "--set", action="append", default=[], metavar="ARGUMENT=VALUE", help="an argument of NAME; may be repeated"
    )
    parser.add("--shape", metavar="N,C,H,W", help="the shape of the batch")
    parser.flag("--train", help="in training mode (nothing in it may be random)")


COMMAND = Command("network", "compare network 1", __doc__, options, measure.measure, show)
run = COMMAND.run
