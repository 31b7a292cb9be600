"""python -m compare speed: time and peak memory of one training step, in minigrad and in PyTorch.

What is measured: forward, cross-entropy, backward and update, on one random batch, from the same weights. The update is
that of the model's recipe, at a low learning rate: SGD with momentum; for the vision transformer AdamW, its gradients
clipped to a norm of 1 before. Masks (drop path) are the same in all tracks. The batch is on the device already: loading is
no part of the step. --custom-conv adds the roads of the textbook: minigrad's definition of the convolution; the convolution
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

Data. --loading times the loader, which all tracks share, once, alone and in a process of its own: images of --data read,
augmented and normalised into a batch, with as many workers as training has. In training it runs beside the step.

Attack. --attack times --attack-steps steps of an attack on the batch (evaluation mode, gradients of the images alone) after
each turn; "passes" is its time over the forward and backward of the same turn's training steps, which one more than the
attack's steps should be enough for. Before, the tracks attack from the same weights: in the 2-norm the perturbations are
within 10 % of torch's after one step and 25 % after the last. (They differ where a gradient's sign is a matter of rounding,
and then more with every step: torch's own two memory formats by 6 %.)

Agreement. Each track is held against torch's default one; else the exit code is 1. From the same start, the losses of the
first two steps agree within 1e-4 (relative), and in each array of the model, within 10 % in the 2-norm, the gradients of the
first step and what the two steps changed, weighted by those gradients (why: compare/agreement.py).
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import models
from compare.kit.arguments import Parser, count, read_settings
from compare.kit.frameworks import Job
from compare.kit.machine import numerical_variables
from compare.kit.pictures import check_picture, write_picture
from compare.kit.result import check_target, origin, write_result
from compare.kit.tables import as_text
from compare.speed.agreement import agree
from compare.speed.measure import Attack, Result, attacks_agree, measure_loading, measure_memory, measure_time, prepare
from compare.speed.show import CUSTOM_CONV, pictures, tables, verdict
from minigrad.attacks import PRESETS
from minigrad.data import open_dataset
from minigrad.device import get_device
from minigrad.errors import OptionError
from minigrad.training.recipes import model_settings, recipe

FORMAT = "compare speed 2"
LEARNING_RATES = {"sgd": 0.01, "adamw": 1e-4}  # low, see Job


def run(arguments: Sequence[str]) -> int:
    """Measure, print a table, write --json if asked. Returns 0, or 1 if the frameworks did not compute the same."""
    options = parse(arguments)
    device = str(get_device(options.device))
    job = make_job(options, device)
    names = track_names(options, device)
    environment = clean(os.environ) if options.clean_env else dict(os.environ)
    result: Result = {"format": FORMAT} | origin("speed", arguments)
    result["machine"]["variables"] = numerical_variables(environment)
    result |= {"job": job.as_dict(), "rounds": options.rounds, "steps": options.steps}
    attack = Attack(options.attack, options.attack_steps) if options.attack else None
    if options.loading:
        open_dataset(options.data, "train", job.image_size)  # what is wrong with it is said before anything is measured
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        start_file, start = prepare(job, Path(folder))
        if options.loading:
            workers = recipe(options.data, job.model, None)["workers"]
            result["loading"] = measure_loading(job, environment, options.data, workers)
        result |= measure_time(job, names, environment, start_file, start, options.rounds, options.steps, attack)
        if options.memory:
            result["memory"] = measure_memory(job, names, environment, start_file)
    result["agree"] = agree(result["agreement"]) and (attack is None or attacks_agree(result["attack"]))
    print("\n\n".join([*map(as_text, tables(result)), verdict(result)]))
    write_result(options.json, result)
    if options.picture is not None:
        write_picture(options.picture, pictures(result))
    return 0 if result["agree"] else 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a command line. OptionError for what is unknown, out of range, or cannot be written."""
    parser = Parser("speed", __doc__)
    add, flag = parser.add_argument, argparse.BooleanOptionalAction
    add_job(parser)
    add("--steps", type=count(1, 1000), default=3, help="timed steps in a turn (3)")
    add("--rounds", type=count(1, 1000), default=12, help="turns of each framework (12)")
    add("--json", type=Path, metavar="FILE", help="write everything that was measured to this file")
    add("--clean-env", action="store_true", help="run the frameworks without any OPENBLAS_*, OMP_*, MKL_* variables")
    add("--channels-last", action=flag, default=True, help="also torch with channels-last images (yes)")
    add("--compile", action=flag, help="also torch.compile, which on the CPU wants a compiler (on a GPU only)")
    add("--custom-conv", action="store_true", help="also the convolution written by hand, in both frameworks")
    add("--memory", action=flag, default=True, help="also peak memory (yes)")
    add("--loading", action="store_true", help="also the loader: a batch read, augmented, normalised")
    add("--data", help="what --loading loads: a folder, or a data set's name (the embedded images)")
    add("--attack", choices=list(PRESETS), nargs="?", const="handout", help="also an attack on the batch (handout)")
    add("--attack-steps", type=count(1, 1000), default=10, help="of --attack (10)")
    add("--picture", type=Path, metavar="FILE.png", help="draw the times and the memory")
    options = parser.parse_args(arguments)
    check_target(options.json, FORMAT)
    check_picture(options.picture)
    if options.data is not None and not options.loading:
        raise OptionError(f"--data {options.data} belongs to --loading")
    return options


def add_job(parser: argparse.ArgumentParser) -> None:
    """The options from which `make_job` makes a job."""
    add = parser.add_argument
    add("--model", choices=list(models.MODELS), default="simplenet", help="the network (simplenet)")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the model: depth=6, shift=true")
    add("--batch", type=count(1, 65536), default=32, help="images a step (%(default)s)")
    add("--image-size", type=count(8, 4096), default=128, help="pixels a side (%(default)s)")
    add("--device", default="cpu", help="cpu, gpu, gpu:1, or auto: a GPU if there is one (cpu)")
    add("--threads", type=count(1, 1024), help="threads of each framework (its own default)")
    add("--seed", type=count(0, 2**31 - 1), default=2024, help="decides weights and batch (2024)")


def make_job(options: argparse.Namespace, device: str) -> Job:
    """What is to be trained: the optimizer of the model's recipe, its settings with their defaults filled in."""
    recipe = models.MODELS[options.model].folder
    return Job(
        options.model,
        options.batch,
        options.image_size,
        device,
        options.threads,
        options.seed,
        settings=model_settings(options.model, options.image_size, read_settings(options.model, options.set)),
        optimizer=recipe.optimizer,
        lr=LEARNING_RATES[recipe.optimizer],
        weight_decay=recipe.weight_decay,
        clip_grad=recipe.clip_grad,
    )


def track_names(options: argparse.Namespace, device: str) -> list[str]:
    """The tracks asked for, in the order in which they are called; minigrad is the first."""
    compiled = options.compile if options.compile is not None else device != "cpu"
    names = ["minigrad", "torch"]
    names += ["torch channels-last"] * options.channels_last + ["torch compiled"] * compiled
    return names + CUSTOM_CONV * options.custom_conv


def clean(environment: Any) -> dict[str, str]:
    """An environment without what numerical libraries look for in it."""
    return {name: value for name, value in environment.items() if name not in numerical_variables(environment)}
