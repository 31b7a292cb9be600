"""python -m compare lockstep: minigrad and PyTorch trained side by side: how far apart they are after every step.

Both frameworks take the same steps from the same weights, each in float32 and in float64: four trainings. Batches come from the
project's own loader, augmented as in training, and the same numbers go to all; so do the learning rate and the masks of drop
path. The steps are the first ones of the model's own recipe: its optimizer, its clipping, its schedule, which begins to warm up
(--lr scales the schedule). --weights starts from a network that has learnt already: a SimpleNet's first steps lead nowhere.

Drift. torch's float64 is what the others are compared with. The drift of a training after a step is |a - exact| / |exact| in
2-norms, over all weights, over all gradients (as the update took them), over all running statistics; and of each layer after
some of the steps. That torch's own float32 drifts away from its float64 is nobody's error but rounding's: that is the
yardstick. Where a network has kinks (a ReLU at 0, two pixels that tie in a max pool) a last digit decides which way a gradient
goes, and batch norm multiplies what comes of it: the distance then grows exponentially, in torch as here, until the
trajectories have nothing to do with each other. WHEN the first last digit tips over is luck. So the ratio in one step says
little (it is 290 in one step of one seed of simplenet-bn, and 1/200 in another); it is reported, and not asserted.

What is asserted, else the exit code is 1. Of weights, gradients and statistics, each by itself, in float32:

  mean   over the steps, of ours / torch's: the geometric mean is at most 2. A step's ratio is clipped to ten, and to a
         tenth. Noise that we had and torch has not would show here, in all the steps before the trajectories part.
  rms    the root of the mean square of ours over all the steps is at most twice torch's. Here the large drifts decide.
  exact  in float64 the two frameworks' losses, weights, gradients and statistics are within 1e-9 in each of the first 50 steps.

For both, drifts below 2^-24 (what rounding does to a number once) count as 2^-24, and those above 1 as 1: trajectories that
far apart have nothing in common any more, and how far apart they are says nothing of rounding.

Both ratios are geometric means over the seeds (--seeds): in a single short run of a network with kinks luck may double them.

Time. 200 steps of a seed take about 50 processor seconds for simplenet, 60 for simplenet-bn, 220 for vit, 280 for resnet18; as
many seeds as are taken by default, less than four minutes on two quiet cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import models
from compare.kit.arguments import Parser, count
from compare.kit.command import Command
from compare.lockstep import measure, show
from minigrad.errors import OptionError

MOST_LR = 1e6


def options(parser: Parser) -> None:
    """What is trained, and how long."""
    parser.add("--model")
    parser.add("--set")
    parser.add("--steps", type=count(1, 100_000), default=200, help="training steps (200)")
    parser.add("--batch", help="images a step (32; vit and resnet18 16)")
    parser.add("--image-size", help="pixels a side (the data's own: 28 of the embedded images)")
    parser.add("--data")
    parser.add("--seed", help="decides weights, batches and masks (2024)")
    parser.add("--seeds", type=count(1, 100), help="how many seeds, counted up from --seed (3; vit and resnet18 1)")
    parser.add("--weights", help="what it starts from: a run folder, a checkpoint, a file of weights (new weights)")
    parser.add("--lr", type=float, help="the peak of the schedule (the recipe's)")
    parser.add("--threads")


def check(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """The number of seeds. OptionError for a rate that is none."""
    options.seeds = options.seeds or models.MODELS[options.model].lockstep[1]
    if options.lr is not None and not 0 < options.lr <= MOST_LR:
        raise OptionError(f"--lr: a number above 0 and at most {MOST_LR:g} is wanted, not {options.lr:g}")


COMMAND = Command(
    "lockstep", "compare lockstep 1", __doc__, options, measure.measure, show, check=check, picture="draw the drift"
)
run = COMMAND.run
