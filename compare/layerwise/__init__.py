"""python -m compare layerwise MODEL: the first layer whose output is not torch's, and the first gradient that is not.

Both frameworks run the model once, forward, cross-entropy, backward, from the same weights on the same batch with the same
masks. Every layer's output is compared with torch's in the order in which it was computed, and every gradient in the order in
which it came back: at a layer's output, then of its parameters, then at the output of the layer below. The first that is too far
off names the layer at fault; what follows it is wrong for its sake. Last, the running statistics.

Too far: in float64 (--dtype), more than 1e-9 of the largest element. In float32 the yardstick is torch's own distance from its
float64: four times that, plus half a last digit (one array of one batch is a small sample; where batch norm divides by a small
deviation, luck alone makes it 2.6 times). A ReLU whose input is 0 but for rounding may open in one framework alone, too: what
float32 finds at one seed alone, and float64 at none, is that.

The weights are random numbers, in norms, biases and running statistics too, for a fresh bias of 0 or variance of 1 hides many
an error; or those of a file (--weights). The images are random numbers.

From Python compare.layerwise(my_model, torch_model, batch) does the same for anybody's pair of networks (docs/layerwise.md).

To see it find something, --plant KIND:LAYER makes minigrad's LAYER wrong by 1 %:

  output      what it returns
  input       the gradient that it passes back
  weight      its weight's gradient
  bias        its bias's gradient
  statistics  how fast its running mean and variance move

For example, and what is found:

  layerwise simplenet --plant output:features.5         output of features.5 (and every gradient, for its sake)
  layerwise simplenet --plant weight:features.5         gradient of features.5.weight
  layerwise simplenet --plant bias:features.12          gradient of features.12.bias
  layerwise simplenet --plant input:features.10         gradient at the output of features.9; right at that of features.10
  layerwise simplenet-bn --plant statistics:features.2  buffer of features.2.running_mean
  layerwise simplenet-bn --plant input:features.11      gradient at the output of features.10; right at that of features.11
  layerwise vit --plant input:blocks.1.norm2            gradient at the output of blocks.1.drop_path, that of attention's branch;
                                                        right at that of blocks.1.norm2
  layerwise vit --plant input:blocks.2.attn             gradient at the output of blocks.2.norm1; right at that of blocks.2.attn

The exit code is 1 if anything differs. It takes seconds.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import models
from compare.kit.arguments import Parser
from compare.kit.command import Command
from compare.layerwise import measure, show
from minigrad.errors import OptionError, did_you_mean


def options(parser: Parser) -> None:
    """What is run, and which error is planted."""
    parser.add("model", choices=list(models.MODELS), help="the network")
    parser.add("--set")
    parser.add("--batch", default=4, help="images (4)")
    parser.add("--image-size", help=f"pixels a side ({measure.IMAGE_SIZE}; that of --weights)")
    parser.flag("--eval", help="in evaluation mode: running statistics, no masks (training mode)")
    parser.add("--seed")
    parser.add("--dtype", choices=["float64", "float32"], default="float64", help="(float64)")
    parser.add(
        "--weights", help="a run folder (its best checkpoint), a checkpoint, or a file of weights (random numbers)"
    )
    parser.add("--plant", metavar="KIND:LAYER", help="make minigrad's LAYER wrong by 1 %%, see above")


def check(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """OptionError for an error that cannot be planted."""
    if options.plant is not None and options.plant.partition(":")[0] not in measure.PLANTS:
        kinds, near = ", ".join(measure.PLANTS), did_you_mean(options.plant.partition(":")[0], measure.PLANTS)
        raise OptionError(f"--plant {options.plant}: one of {kinds} is wanted, a colon, and a layer{near}")


COMMAND = Command("layerwise", "compare bisect 1", __doc__, options, measure.measure, show, check=check)
run = COMMAND.run
