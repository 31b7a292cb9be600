"""python -m compare robustness NETWORK...: all that is known of how a network stands changed images, on one page.

A network is a run folder (its best checkpoint), a checkpoint or file of weights, `embedded` (the trained SimpleNet-BN that comes
with minigrad), or FILE.py:NAME, a class or function written for PyTorch, with weights FILE.py:NAME@WEIGHTS. torch: before
FILE.py:NAME leaves it a PyTorch network in both frameworks. LABEL= before a network is what the tables call it.

  clean        the images as they are
  attacks      FGSM, PGD, MI-FGSM, APGD with two losses, Square, each by --epsilon
  autoattack   the worst of AutoAttack's four, stage by stage
  curve        PGD at several epsilons, and noise of the same size as the control
  nearest      how far the decision boundary is: medians of the distances that DeepFool, DDN and FAB find
  corruptions  the 15 common corruptions
  certified    randomised smoothing: the share of images that are right for certain within a radius, in the 2-norm
  audit        what must be true of a sound attack: see docs/attacks.md

It is quick unless --full is given: few images, AutoAttack of 20 steps and 300 queries (of 100 and 5,000: the field's figure),
corruptions of strength 3 (of all five), 200 votes of a smoothed network (1,000). The tables say which.

Both frameworks measure with their own gradients, from the same random numbers. --json keeps results as they come, the same command
goes on where it stopped, and another network or part is added. `python -m compare report --results FOLDER` makes a page for a
browser of the folder that it is in. The exit code is 1 if the frameworks differ by more than 0.3 points and three standard errors.
"""

from __future__ import annotations

from compare.kit.arguments import Parser, count, some_of
from compare.kit.attacks import add_threat, positive
from compare.kit.command import Command
from compare.kit.frameworks import FRAMEWORKS
from compare.robustness import measure, show
from compare.robustness.parts import PARTS

IMAGES = 50


def options(parser: Parser) -> None:
    """Which networks, what of them, on which images."""
    add, both = parser.add, list(FRAMEWORKS)
    parser.add_argument(
        "networks", nargs="+", metavar="NETWORK", help="a run folder, embedded, FILE.py:NAME, see above"
    )
    add("--parts", type=some_of("parts", list(PARTS)), default=list(PARTS), help=f"({','.join(PARTS)})")
    add_threat(parser, 0.05)
    add("--sigma", type=positive, default=0.25, help="of the noise of certified, in pixels from 0 to 1 (0.25)")
    add("--images", type=count(1, 10**9), default=IMAGES, help=f"at most so many validation images ({IMAGES})")
    parser.flag("--full", help="the field's figures, for hours: see above")
    add("--data", help="as in training: a folder, or a data set's name (the first network's)")
    add("--image-size", help="pixels a side (the first network's, or the data's own)")
    add(
        "--tracks",
        type=some_of("frameworks", both),
        default=both,
        help=f"the frameworks that measure ({','.join(both)})",
    )
    add("--device")
    add("--seed", help="decides all random numbers (2024)")


COMMAND = Command(
    "robustness",
    "compare robustness 1",
    __doc__,
    options,
    measure.measure,
    show,
    torch=False,
    json="results: kept as they come, gone on with by the same command",
    picture="draw accuracies, curves, stages",
    kept=True,
)
run = COMMAND.run
