"""The commands of compare/, each a package with `run(arguments) -> exit code`, imported when it is asked for.

Exit codes: 0, all is well; 1, the frameworks differ; 2, bad input, reported in one line.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence

from compare.kit.command import ALIASES, find
from minigrad import program
from minigrad.errors import OptionError, did_you_mean

COMMANDS = {  # in the order in which a reader meets them: the same numbers, the same training, attacks, costs
    "gradients": "every op, module, loss, optimizer and model: values and gradients of both orders, against torch",
    "lockstep": "both frameworks trained side by side: how far apart they drift, beside torch's own float32 error",
    "layerwise": "the first layer whose output is not torch's, and the first whose gradient is not",
    "network": "anybody's network, written for PyTorch: path.py:Name built and compared in both frameworks",
    "accuracy": "the experiments of the original report, trained in both frameworks with several seeds: equal or different",
    "attacks": "how right a trained network stays under attack: the tables, and a picture of accuracy against epsilon",
    "transfer": "attacks made on one network, measured on the others: a table of networks by networks",
    "robustness": "one page on how networks stand attacks: each attack, AutoAttack, curves, distances, certificates, the audit",
    "explain": "where a trained network looks, as a picture: saliency, SmoothGrad, Grad-CAM",
    "speed": "time and peak memory of one training step, in minigrad and in PyTorch",
    "scaling": "what a training step costs as batch, images or depth grow, in minigrad and in PyTorch",
    "profile": "where time and memory of a training step of minigrad go, an op a row; a Chrome trace of it",
    "overhead": "what one small op costs beside torch, and whether long chains cost in proportion",
    "report": "everything that was measured, on one page: report.html, docs/results.md, README's front page",
}


def main(arguments: Sequence[str]) -> int:
    """Run a command; a user's mistake becomes one line and exit code 2."""
    return program.run(lambda: dispatch(arguments))


def dispatch(arguments: Sequence[str]) -> int:
    """The exit code of the command that stands first. OptionError for one that does not exist."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    name = ALIASES.get(arguments[0], arguments[0])
    if name not in COMMANDS:
        near = did_you_mean(name, COMMANDS)
        raise OptionError(f"unknown command {name!r}{near}: there are {', '.join(COMMANDS)}")
    return find(name).run(arguments[1:])


def usage() -> str:
    """The list of commands."""
    lines = ["python -m compare COMMAND [options]; --help after a command lists its options", ""]
    for name, what in COMMANDS.items():
        lines += textwrap.wrap(what, 79, initial_indent=f"  {name:10} ", subsequent_indent=13 * " ")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
