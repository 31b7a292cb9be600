"""python -m compare speed: time and peak memory of one training step, in minigrad and in PyTorch.

What is measured: forward, cross-entropy, backward and update, on one random batch, from the same weights. The update is
that of the model's recipe, at a low learning rate: SGD with momentum; for the vision transformer AdamW, its gradients
clipped to a norm of 1 before. Masks (drop path) are the same in all implementations. The batch is on the device already: loading is
no part of the step. --custom-conv adds the textbook's convolutions: minigrad's definition of the convolution; the convolution
written by hand in PyTorch; and that one as the original had it, which kept the unfolded columns for the backward pass.

Time. Each framework lives in a process of its own. The processes are called in turn (A B C A B C ...), and after each
turn there is a pause in which the threads of the last one fall asleep; what a process computes outside of its turns is
reported as "idle". A turn is one step that is not counted and `--steps` that are, each timed by itself with
perf_counter, a GPU waited for before each reading. "processor" is the processor time of a step, all threads together.
The ratio of a round is our median over theirs in that round: printed are median and quartiles of those ratios, and the
ratio of the two minima, which an otherwise busy machine disturbs least.

Memory. In processes started anew, one after another: on the CPU, the highest resident memory (VmHWM) while model and
batch are made and the first steps done, less the resident memory before; on a GPU, the same of the pool's bytes in use.
Before, there are two moments: "imported", the framework is imported; "ready", it has trained a network of a few numbers
for one step, so that code and tables loaded on first use (torch: some 150 MB) are not counted. "ready" is the stricter
for us, and what the printed ratio means unless it says otherwise.

Data. --loading times the loader, which all share, once, alone and in a process of its own: images of --data read,
augmented and normalised into a batch, with as many workers as training has. In training it runs beside the step.

Attack. --attack times --attack-steps steps of an attack on the batch (evaluation mode, gradients of the images alone) after
each turn; "passes" is its time over the forward and backward of the same turn's training steps, which one more than the
attack's steps should be enough for. Before, all attack from the same weights: in the 2-norm the perturbations are
within 10 % of torch's after one step and 25 % after the last. (They differ where a gradient's sign is a matter of rounding,
and then more with every step: torch's own two memory formats by 6 %.)

Limit. --limit sets the floor beside the times: the multiply-adds of the step at the rate of a large matrix product, and its
bytes at that of a large copy, both measured here with as many threads (compare/kit/limit.py says what is counted).

Agreement. Each implementation is compared with torch's default one; the exit code is 1 if they differ. From the same start, the
losses of the first two steps agree within 1e-4 (relative), and in each array of the model, within 10 % in the 2-norm, the
gradients of the first step and what the two steps changed, weighted by those gradients (why: compare/speed/agreement.py).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from compare.kit.arguments import Parser, count
from compare.kit.command import Command
from compare.speed import measure, show
from minigrad.attacks import PRESETS
from minigrad.errors import OptionError


def options(parser: Parser) -> None:
    """What is timed, how often, and what beside it."""
    add_job(parser)
    parser.add("--steps", type=count(1, 1000), default=3, help="timed steps in a turn (3)")
    parser.add("--rounds", type=count(1, 1000), default=12, help="turns of each framework (12)")
    parser.flag("--clean-env", help="run the frameworks without any OPENBLAS_*, OMP_*, MKL_* variables")
    parser.flag("--compile", default=None, help="also torch.compile, which on the CPU wants a compiler (on a GPU only)")
    add_implementations(parser)
    add_limit(parser)
    parser.flag("--loading", help="also the loader: a batch read, augmented, normalised")
    parser.add("--data", help="what --loading loads: a folder, or a data set's name (the embedded images)")
    parser.add(
        "--attack", choices=list(PRESETS), nargs="?", const="handout", help="also an attack on the batch (handout)"
    )
    parser.add("--attack-steps", type=count(1, 1000), default=10, help="of --attack (10)")


def add_job(parser: Parser) -> None:
    """The options from which `measure.make_job` makes a job."""
    parser.add("--model")
    parser.add("--set")
    parser.add("--batch", default=32, help="images a step (%(default)s)")
    parser.add("--image-size", default=128, help="pixels a side (%(default)s)")
    for name in ("--device", "--threads", "--seed"):
        parser.add(name)


def add_implementations(parser: Parser) -> None:
    """What is measured beside minigrad and torch."""
    parser.flag("--channels-last", default=True, help="also torch with channels-last images (yes)")
    parser.flag("--custom-conv", help="also the convolution written by hand, in both frameworks")
    parser.flag("--memory", default=True, help="also peak memory (yes)")


def add_limit(parser: Parser) -> None:
    """The floor, in speed and in profile."""
    parser.flag("--limit", help="also the least time that this machine could take (CPU only)")


def check(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """OptionError for --data without --loading."""
    if options.data is not None and not options.loading:
        raise OptionError(f"--data {options.data} belongs to --loading")


COMMAND = Command(
    "speed", "compare speed 2", __doc__, options, measure.measure, show, check=check, picture="draw times and memory"
)
run = COMMAND.run
