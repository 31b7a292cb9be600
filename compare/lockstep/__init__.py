"""python -m compare lockstep: both tracks trained side by side, and after every step how far apart they are.

Four tracks start from the same weights and take the same steps: minigrad and PyTorch, each in float32 and in float64. Batches
come from the project's own loader, augmented as in training, and the same numbers go to all; so do the learning rate and the
masks of drop path. The steps are the first ones of the model's own recipe: its optimizer, its clipping, its schedule, which
begins to warm up (--lr scales the schedule).

Drift. torch's float64 is what the others are held against. The drift of a track after a step is |a - exact| / |exact| in
2-norms, over all weights, over all gradients (as the update took them), over all running statistics; and of each layer after
some of the steps. That torch's own float32 drifts away from its float64 is nobody's error but rounding's: that is the
yardstick. Where a network has kinks (a ReLU at 0, two pixels that tie in a max pool) a last digit decides which way a gradient
goes, and batch norm multiplies what comes of it: the distance then grows exponentially, in torch as here, until the
trajectories have nothing to do with each other. WHEN the first last digit tips over is luck. So the ratio in one step says
little (it is 290 in one step of one seed of simplenet-bn, and 1/200 in another); it is reported, and not asserted.

What is asserted, else the exit code is 1. Of weights, gradients and statistics, each by itself, in float32:

  mean   over the steps, of ours / torch's: the geometric mean is at most 2. No step counts for more than ten times or less
         than a tenth. Noise that we had and torch has not would show here, in all the steps before the trajectories part.
  rms    the root of the mean square of ours over all the steps is at most twice torch's. Here the large drifts count.
  exact  in float64 the two tracks' losses, weights, gradients and statistics are within 1e-9 in each of the first 50 steps.

For both, drifts below 2^-24 (what rounding does to a number once) count as 2^-24, and those above 1 as 1: trajectories that
far apart have nothing in common any more, and how far apart they are says nothing of rounding.

Both ratios are geometric means over the seeds (--seeds): in a single short run of a network with kinks luck may double them.

Time. 200 steps of a seed take about 50 processor seconds for simplenet, 60 for simplenet-bn, 220 for vit, 280 for resnet18; as
many seeds as are taken by default, less than four minutes on two quiet cores.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import models
from compare.kit.arguments import Parser, count, need_torch, read_settings
from compare.kit.frameworks import Job
from compare.kit.pictures import check_picture, write_picture
from compare.kit.result import check_target, origin, write_result
from compare.kit.statistics import relative_distance
from compare.kit.tables import Table, as_text
from compare.lockstep.measure import EXACT, NAMES, OURS, OURS_EXACT, TORCH, Figures, train
from minigrad.data import open_dataset
from minigrad.errors import OptionError
from minigrad.training.recipes import model_settings, recipe

FORMAT = "compare lockstep 1"
LIMIT = 2.0
FLOOR, CEILING = 2.0**-24, 1.0
CLIP = 10.0
EXACT_LIMIT, EXACT_STEPS = 1e-9, 50
MOST_LR = 1e6
REPORTED_STEPS = 10  # between two lines of progress

Result = dict[str, Any]


def run(arguments: Sequence[str]) -> int:
    """Train, print tables, write --json and --picture. Returns 0, or 1 if the tracks differ."""
    options = parse(arguments)
    # torch's threads spin while they wait, and take the cores from ours. Read when torch is imported: only below.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    need_torch()
    plan = recipe(options.data, options.model, None)
    data = open_dataset(options.data, "train", image_size=options.image_size or plan["image_size"])
    result: Result = {
        "format": FORMAT,
        **origin("lockstep", arguments),
        "model": options.model,
        "data": data.name,
        "steps": options.steps,
        "epochs": plan["epochs"],
        "warmup": plan["warmup"],
        "job": {},
        "runs": [],
    }
    for seed in range(options.seed, options.seed + options.seeds):
        job = Job(
            options.model,
            options.batch or models.MODELS[options.model].lockstep[0],
            data.image_size,
            "cpu",
            options.threads,
            seed,
            len(data.classes),
            data.channels,
            model_settings(options.model, data.image_size, read_settings(options.model, options.set)),
            plan["optimizer"],
            options.lr or plan["lr"],
            weight_decay=plan["weight_decay"],
            clip_grad=plan["clip_grad"],
        )
        result["job"] = result["job"] or job.as_dict()
        result["runs"].append(train(job, data, options.steps, plan["epochs"], plan["warmup"], Progress(seed)))
    result |= judge(result["runs"])
    write_result(options.json, result)
    print("\n\n".join(["", *map(as_text, tables(result)), verdict(result)]))
    if options.picture is not None:
        write_picture(options.picture, pictures(result))
    return 0 if result["agree"] else 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a command line. OptionError for what is unknown, out of range, or cannot be written."""
    parser = Parser("lockstep", __doc__)
    add = parser.add_argument
    add("--model", choices=list(models.MODELS), default="simplenet", help="the network (simplenet)")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the model: depth=6, shift=true")
    add("--steps", type=count(1, 100_000), default=200, help="training steps (200)")
    add("--batch", type=count(1, 65536), help="images a step (32; vit and resnet18 16)")
    add("--image-size", type=count(8, 4096), help="pixels a side (the data's own: 28 of the embedded images)")
    add("--data", help="as in training: a folder, or a data set's name (the embedded Fashion-MNIST)")
    add("--seed", type=count(0, 2**31 - 1), default=2024, help="decides weights, batches and masks (2024)")
    add("--seeds", type=count(1, 100), help="how many seeds, counted up from --seed (3; vit and resnet18 1)")
    add("--lr", type=float, help="the peak of the schedule (the recipe's)")
    add("--threads", type=count(1, 1024), help="threads of each framework (its own default)")
    add("--json", type=Path, metavar="FILE", help="write everything that was measured to this file")
    add("--picture", type=Path, metavar="FILE.png", help="draw the drift over the steps")
    options = parser.parse_args(arguments)
    options.seeds = options.seeds or models.MODELS[options.model].lockstep[1]
    if options.lr is not None and not 0 < options.lr <= MOST_LR:
        raise OptionError(f"--lr: a number above 0 and at most {MOST_LR:g} is wanted, not {options.lr:g}")
    check_target(options.json, FORMAT)
    check_picture(options.picture)
    return options


class Progress:
    """A line every few steps."""

    def __init__(self, seed: int) -> None:
        self.seed, self.began = seed, time.perf_counter()

    def __call__(self, step: int, figures: Figures) -> None:
        """After a step, with what there is so far."""
        steps = figures["layers"]["steps"][-1]
        if step % REPORTED_STEPS and step != steps:
            return
        weights = figures["drift"]["weights"]
        drifts = ", ".join(f"{name} {weights[name][-1]:.1e}" for name in NAMES[:-1])
        seconds = time.perf_counter() - self.began
        print(
            f"seed {self.seed} step {step}/{steps}: loss {figures['losses'][EXACT][-1]:.3f}; "
            f"drift of the weights: {drifts}; {seconds:.0f} s",
            flush=True,
        )


# judging


def judge(runs: Sequence[Figures]) -> Result:
    """{"ratios": {kind: {"mean", "rms", "worst", "worst_step", "worst_seed", "best"}}, "exact": {what: ...}, "agree"}.

    worst, best: the largest and the least plain ratio (ours over torch's) of any step in which either is over the floor.
    exact: the largest distance of the two float64 tracks in the first EXACT_STEPS steps: of losses, and of each kind.
    """
    ratios = {kind: compare_drifts(runs, kind) for kind in runs[0]["drift"]}
    exact = {
        kind: float(np.max([run["drift"][kind][OURS_EXACT][:EXACT_STEPS] for run in runs])) for kind in runs[0]["drift"]
    }
    losses = [(run["losses"][OURS_EXACT][:EXACT_STEPS], run["losses"][EXACT][:EXACT_STEPS]) for run in runs]
    by_loss = [
        relative_distance(np.array(a), np.array(b)) for ours, right in losses for a, b in zip(ours, right, strict=True)
    ]
    exact["losses"] = float(np.max(by_loss))  # NaN if one is
    agree = all(found[what] <= LIMIT for found in ratios.values() for what in ("mean", "rms"))
    return {"ratios": ratios, "exact": exact, "agree": agree and all(value <= EXACT_LIMIT for value in exact.values())}


def compare_drifts(runs: Sequence[Figures], kind: str) -> Result:
    """How much further our float32 drifts than torch's: what `judge` says of one kind of arrays."""
    ours, torchs = (np.array([run["drift"][kind][name] for run in runs]) for name in (OURS, TORCH))  # (seed, step)
    counted = [drifts.clip(FLOOR, CEILING) for drifts in (ours, torchs)]
    rms = [np.sqrt((drifts**2).mean(1)) for drifts in counted]
    with np.errstate(divide="ignore", invalid="ignore"):
        plain = np.where(np.maximum(ours, torchs) > FLOOR, ours / torchs, 0)
    worst = np.unravel_index(np.argmax(plain), plain.shape)
    return {
        "mean": geometric_mean((counted[0] / counted[1]).clip(1 / CLIP, CLIP)),
        "rms": geometric_mean(rms[0] / rms[1]),
        "worst": float(plain[worst]),
        "worst_step": int(worst[1]) + 1,
        "worst_seed": runs[int(worst[0])]["seed"],
        "best": float(np.min(plain, initial=np.inf, where=plain > 0)),
    }


def geometric_mean(values: np.ndarray) -> float:
    """The number whose logarithm is the mean of the logarithms."""
    return float(np.exp(np.log(values).mean()))


# showing


def tables(result: Result) -> list[Table]:
    """The ratios; losses and drifts after some of the steps; the drift of each layer at the end."""
    return [ratio_table(result), step_table(result), layer_table(result)]


def told(result: Result) -> str:
    """What was trained, in a line."""
    job, runs = result["job"], result["runs"]
    seeds = f", {len(runs)} seeds" if len(runs) > 1 else ""
    return (
        f"{result['model']} on {result['data']}, batch {job['batch']}, {job['image_size']}x{job['image_size']}, "
        f"{job['optimizer']} lr {job['lr']:g}, {result['steps']} steps{seeds}"
    )


def ratio_table(result: Result) -> Table:
    """One row for weights, gradients, statistics."""
    rows = []
    for kind, found in result["ratios"].items():
        where = f"{found['worst']:.2f} (step {found['worst_step']}, seed {found['worst_seed']})"
        rows.append(
            [
                kind,
                f"{found['mean']:.2f}",
                f"{found['rms']:.2f}",
                where,
                f"{found['best']:.2f}",
                f"{result['exact'][kind]:.1e}",
            ]
        )
    rows.append(["losses", "", "", "", "", f"{result['exact']['losses']:.1e}"])
    steps = min(EXACT_STEPS, result["steps"])
    head = ["drift, ours / torch's", "mean", "rms", "worst step", "best", f"float64, {steps} steps"]
    notes = [
        f"Drift: the relative distance from torch's float64. Over all steps, at most {LIMIT:g} is allowed of the mean of the "
        f"ratios and of the ratio of the root mean squares, and {EXACT_LIMIT:g} of the distance in float64. A single step's "
        "ratio is luck: the worst and the best are there to be seen."
    ]
    return Table(told(result), head, rows, notes)


def step_table(result: Result) -> Table:
    """Losses and drifts of the first seed after some of the steps."""
    run = result["runs"][0]
    drift = run["drift"]
    head = ["step", "loss"]
    head += [f"{kind} {short}" for kind in ("weights", "gradients") for short in ("ours 32", "torch 32", "ours 64")]
    rows = []
    for step in run["layers"]["steps"]:
        row = [str(step), f"{run['losses'][EXACT][step - 1]:.4f}"]
        row += [f"{drift[kind][name][step - 1]:.1e}" for kind in ("weights", "gradients") for name in NAMES[:-1]]
        rows.append(row)
    return Table(f"{result['model']}: drift from torch's float64, seed {run['seed']}", head, rows)


def layer_table(result: Result) -> Table:
    """The drift of each layer after the last step of the first seed."""
    run = result["runs"][0]
    by_layer = run["layers"]["drift"]
    head = ["layer"]
    head += [f"{kind} {short}" for kind in ("weights", "gradients") for short in ("ours 32", "torch 32", "ours 64")]
    rows = [
        [layer, *(f"{by_layer[kind][layer][name][-1]:.1e}" for kind in ("weights", "gradients") for name in NAMES[:-1])]
        for layer in by_layer["weights"]
    ]
    return Table(f"{result['model']}: the same by layer, after step {result['steps']}", head, rows)


def verdict(result: Result) -> str:
    """Whether the two are the same computation, in a sentence with the figures."""
    ratios, exact = result["ratios"], result["exact"]
    means = ", ".join(f"{found['mean']:.2f} ({kind})" for kind, found in ratios.items())
    steps = min(EXACT_STEPS, result["steps"])
    sentence = (
        f"{result['model']}, {result['steps']} steps: from float64, minigrad's float32 drifts {means} times as far as torch's "
        f"own float32; in float64 the two are within {max(exact.values()):.0e} of each other for {steps} steps"
    )
    if result["agree"]:
        return f"{sentence}: the same computation."
    return f"{sentence}: NOT THE SAME, {LIMIT:g} times and {EXACT_LIMIT:g} are allowed."


def pictures(result: Result) -> dict[str, bytes]:
    """{"lockstep-MODEL": drift of weights and gradients over the steps, losses, drift by layer}."""
    from compare.lockstep.picture import draw

    return {f"lockstep-{result['model']}": draw(result, told(result), LIMIT)}
