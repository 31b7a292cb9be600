"""python -m compare profile: where the time and the memory of one training step of minigrad go, an op a row.

The step is that of python -m compare speed: forward, cross-entropy, backward, update by the model's recipe, on one random
batch. A row is a kind of op: its calls, its time forward and backward (medians over --steps steps, after two that are not
counted), its share of the step, the bytes of the results that it made and of what it saved for gradients. What the ops do
not account for stands below them: the engine and Python between the ops, and the update, which is no op.

Fused ops, such as a convolution with its ReLU and pool, are one row; --definitions runs everything as the textbook has it, in
primitives. Watching costs time, so an unwatched step is timed beside each watched one.

--limit sets beside each op the least time that this machine could take for it (compare/kit/limit.py says what is counted);
--sort excess puts the op first that loses most time against that.

--trace writes the watched steps as a Chrome trace, with their phases: open it in ui.perfetto.dev or chrome://tracing.
--torch sets torch.profiler's table of the same step beside ours: for each of torch's ops calls, time of its own, bytes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from compare.kit.arguments import Parser, count, need_torch
from compare.kit.command import Command
from compare.profile import measure, show
from compare.speed import add_job, add_limit
from minigrad.errors import OptionError
from minigrad.files import check_target


def options(parser: Parser) -> None:
    """What is profiled, and what beside it."""
    add_job(parser)
    parser.add("--steps", type=count(1, 1000), default=5, help="watched steps (5)")
    parser.flag("--definitions", help="every fused op as the textbook writes it, in primitives")
    orders = ", ".join(measure.SORTS)
    parser.add("--sort", choices=measure.SORTS, default="share", help=f"the order of the rows: {orders} (share)")
    add_limit(parser)
    parser.flag("--torch", help="also torch.profiler's table of the same step")
    parser.add("--trace", type=Path, metavar="FILE.json", help="write a Chrome trace of the watched steps")


def check(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """OptionError if --trace could not be written, or names a file that is no trace; MinigradError for --torch without it."""
    path = options.trace
    if path is not None:
        check_target(path, "--trace")
    if path is not None and path.exists():
        try:
            known = "traceEvents" in json.loads(path.read_text())
        except (OSError, ValueError, TypeError):
            known = False
        if not known:
            raise OptionError(f"--trace {path} is no trace: nothing was overwritten")
    if options.sort == "excess" and not options.limit:
        raise OptionError("--sort excess belongs to --limit")
    if options.torch:
        need_torch("--torch")


COMMAND = Command(
    "profile",
    "compare profile 1",
    __doc__,
    options,
    measure.measure,
    show,
    check=check,
    torch=False,
    picture="draw the shares",
)
run = COMMAND.run
