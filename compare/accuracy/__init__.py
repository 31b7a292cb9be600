"""python -m compare accuracy EXPERIMENT: does minigrad learn what torch learns, by the recipes of the original report.

    python -m compare accuracy                                 the experiments, their recipes, what was reported of them
    python -m compare accuracy simplenet-60 --scale small      on the embedded images: minutes on two cores
    python -m compare accuracy simplenet-60 --scale medium --data miniplaces  all images at 64 pixels, a sixth of the epochs
    python -m compare accuracy simplenet-60 --data miniplaces  the full recipe

Each experiment trains in both frameworks, with several seeds, by train_minigrad.py and train_torch.py themselves. With one seed
both start from the same weights (--start own: each from its own) and see the same batches, attacked and masked alike. Of
the last epoch's top-1, top-5 and loss on the validation images stand means and standard errors, the difference with its
99 % interval, and whether a paired t test calls it one: different where p < .01, else equal, and the interval says how
large a difference could still be hidden. One in a hundred such tests says different of what is the same: more seeds tell
(the same command with a larger --seeds adds them). The exit code is 1 if top-1 or loss differ.

Scales: full is the recipe; medium is the recipe on all images of MiniPlaces at 64 pixels, with a sixth of its epochs and of
its warm-up; default is what the scripts do without options, on all 10,000 embedded images; small has fewer and smaller images,
fewer epochs, and the rates that go with them; smoke shows within seconds that all of it works. The result says all of it. On
two cores a small experiment takes 3 to 9 minutes, SimpleNet at the default scale 5 minutes a seed, a medium one hours.

ResNet-18 starts from torchvision's ImageNet weights at the scales of MiniPlaces: those of torchvision's cache, or --weights FILE.
--arms trains some of an experiment's networks alone: the same command with others, or without it, adds them.

Whatever is done stays done: runs in folders under --runs (interrupted ones go on where they stopped), the result in --json.
The same command goes on; a file or folder of other settings is refused, and stays as it is. attack-table attacks the
networks of simplenet-60, and trains them if they are not there.
"""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compare.accuracy import measure, show
from compare.accuracy.attacked import attack
from compare.accuracy.experiments import EXPERIMENTS, ON_MINIPLACES, SCALES, Arm, Experiment, find, listed, seeds_of
from compare.accuracy.state import FORMAT, State, differing
from compare.kit.arguments import Parser, count, need_torch, some_of
from compare.kit.command import Command
from compare.kit.frameworks import FRAMEWORKS
from compare.kit.result import Result, write_result
from minigrad.device import get_device
from minigrad.errors import OptionError
from minigrad.files import check_folder


def options(parser: Parser) -> None:
    """Which experiment, how large, in which frameworks."""
    add, both = parser.add, list(FRAMEWORKS)
    add("experiment", nargs="?", help=f"one of {', '.join(EXPERIMENTS)}")
    parser.flag("--list", help="the experiments, their recipes at each scale, what was reported")
    add("--scale", choices=SCALES, default="full", help="how large (full)")
    add("--seeds", type=count(1, 1000), help="how many, from 2024 on (the experiment's own number, see --list)")
    add("--data", help="as in training: a folder, or a data set's name (below full: the embedded images)")
    add("--tracks", type=some_of("tracks", both), default=both, help=f"the frameworks that train ({','.join(both)})")
    add("--arms", metavar="NAMES", help="the networks of it that are trained (all of those frameworks)")
    add("--weights", type=Path, metavar="FILE", help="torchvision's ImageNet weights of ResNet-18 (its cache's)")
    add("--start", choices=["shared", "own"], default="shared", help="the weights that a seed starts from (shared)")
    add("--device", default="auto")
    parser.flag("--data-on-device", help="minigrad keeps all images in a GPU's memory, and augments them there")
    add("--runs", type=Path, metavar="FOLDER", help="where runs are kept, in folders EXPERIMENT-SCALE (runs/compare)")


def train_all(options: argparse.Namespace, begun: Result) -> Result | None:
    """The result: the runs that are there, and those that are not done yet. None: the experiments are listed."""
    if options.list or options.experiment is None:
        print(listed())
        return None
    experiment = find(options.experiment)
    if options.scale in ON_MINIPLACES and options.data is None:
        raise OptionError(
            f"--scale {options.scale} is for MiniPlaces: --data FOLDER, or --scale small (the embedded images)"
        )
    if "torch" in options.tracks:
        need_torch("--tracks torch (the default has it)")
    data = str(Path(options.data).resolve()) if options.data and Path(options.data).exists() else options.data
    folder = options.runs or Path("runs", "compare")
    folder /= f"{experiment.folder or options.experiment}-{options.scale}"
    check_folder(folder, "--runs")
    plan = measure.Plan(
        experiment,
        options.scale,
        data,
        options.device,
        options.start,
        folder,
        weights_of(options, experiment),
        options.data_on_device,
    )
    state = State(options.json, options.experiment, plan, begun)

    both = experiment.attack is not None and experiment.attack.both  # then one framework trains, and both attack
    arms = arms_of(options, [arm for arm in experiment.arms if arm.framework in options.tracks or both])
    check_on_device(options, arms)
    seeds = seeds_of(experiment, options.scale, options.seeds)
    state.wants([arm.name for arm in arms], seeds)
    write_result(options.json, state.result)
    with stoppable():
        for seed in seeds:
            for arm in arms:
                if not state.has(arm.name, seed):
                    print(f"{options.experiment} ({plan.scale}): {arm.name}, seed {seed}", flush=True)
                    run = measure.train(plan, state.result["dataset"], arm, seed)
                    if experiment.attack is not None:
                        run["attacks"] = attack(plan, arm, seed, options.tracks)
                    state.add(run)
    return state.result


def arms_of(options: argparse.Namespace, arms: list[Arm]) -> list[Arm]:
    """Those that --arms names, or all. OptionError, which lists them, for a name that none has."""
    if options.arms is None:
        return arms
    names = [name.strip() for name in options.arms.split(",")]
    known = [arm.name for arm in arms]
    if set(names) - set(known) or len(set(names)) < len(names):
        raise OptionError(f"--arms are some of {','.join(known)}, each once, not {options.arms!r}")
    return [arm for arm in arms if arm.name in names]


def check_on_device(options: argparse.Namespace, arms: list[Arm]) -> None:
    """OptionError where --data-on-device has no effect, or no GPU to have it on."""
    if not options.data_on_device:
        return
    if all(arm.framework != "minigrad" for arm in arms):
        raise OptionError("--data-on-device is minigrad's, and minigrad trains nothing here")
    if str(get_device(options.device)) == "cpu":
        raise OptionError("--data-on-device keeps the images in a GPU's memory, and the device is the CPU")


def weights_of(options: argparse.Namespace, experiment: Experiment) -> Path | None:
    """The file of --weights. OptionError where it is none, or where the networks start from random numbers."""
    if options.weights is None:
        return None
    if experiment.initial == "random" or options.scale not in ON_MINIPLACES:
        raise OptionError(f"--weights: {options.experiment} starts from random weights at --scale {options.scale}")
    if not options.weights.is_file():
        raise OptionError(f"--weights {options.weights}: there is no such file")
    return options.weights


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM does what Ctrl-C does: the script that trains is asked to save."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


COMMAND = Command(
    "accuracy",
    FORMAT,
    __doc__,
    options,
    train_all,
    show,
    torch=False,
    json="the result: kept as runs are finished, gone on with by the same command",
    kept=True,
    agree=lambda result: not differing(result),
)
run = COMMAND.run
