"""python -m compare speed: time and peak memory of one training step, in minigrad and in PyTorch.

What is measured: forward, cross-entropy, backward and update, on one random batch, from the same weights. The update is
that of the model's recipe, at a low learning rate: SGD with momentum; for the vision transformer AdamW, its gradients
clipped to a norm of 1 before. Masks (drop path) are the same in all tracks. The batch is on the device already; loading is
not part of it. --custom-conv adds the roads of the textbook: minigrad's definition of the convolution; the convolution
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

Agreement. Each track is held against torch's default one; else the exit code is 1. From the same start, the losses of the
first two steps agree within 1e-4 (relative), and in each array of the model, within 10 % in the 2-norm, the gradients of the
first step and what the two steps changed, weighted by those gradients (why: compare/agreement.py).
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

import models
from compare.agreement import TOLERANCES, agree, compare_runs
from compare.arguments import Parser, count, read_settings
from compare.machine import commit, describe_machine, numerical_variables
from compare.summary import paired_ratios, summarize
from compare.tracks import Arrays, Job, make_start
from compare.worker import PHASES, ROOT, Worker, load_arrays, save_arrays
from minigrad.device import get_device
from minigrad.errors import OptionError
from minigrad.training.recipes import FOLDER, RECIPES, model_settings

FORMAT = "compare speed 2"
CHECKED_STEPS = 2
REFERENCE = "torch"
CUSTOM_CONV = ["minigrad definition", "torch custom-conv", "torch custom-conv, columns kept"]
WARM_UP_TURNS = 2
MEMORY_STEPS = 5
PAUSE = 0.1  # seconds: OpenBLAS's threads spin for about 0.02, libgomp's for less
BUSY = 0.25  # of the cores: with a load above that before the start, times are not those of the machine alone
LEARNING_RATES = {"sgd": 0.01, "adamw": 1e-4}  # low, see Job

Result = dict[str, Any]


def run(arguments: Sequence[str]) -> int:
    """Measure, print a table, write --json if asked. Returns 0, or 1 if the frameworks did not compute the same."""
    options = parse(arguments)
    device = str(get_device(options.device))
    job = make_job(options, device)
    names = track_names(options, device)
    environment = clean(os.environ) if options.clean_env else dict(os.environ)
    result: Result = {
        "format": FORMAT,
        "command": shlex.join(["python", "-m", "compare", "speed", *arguments]),
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": commit(ROOT),
        "machine": describe_machine() | {"variables": numerical_variables(environment)},
        "job": job.as_dict(),
        "rounds": options.rounds,
        "steps": options.steps,
    }
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        start_file = Path(folder, "start.npz")
        start = make_start(job)
        save_arrays(start_file, start)
        result |= measure_time(job, names, environment, start_file, start, options.rounds, options.steps)
        if options.memory:
            result["memory"] = measure_memory(job, names, environment, start_file)
    result["agree"] = agree(result["agreement"])
    print(report(result))
    if options.json is not None:
        write_json(options.json, result)
    return 0 if result["agree"] else 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a command line. OptionError for what is unknown, out of range, or cannot be written."""
    parser = Parser(
        prog="python -m compare speed",
        description=__doc__.partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add, flag = parser.add_argument, argparse.BooleanOptionalAction
    add("--model", choices=list(models.MODELS), default="simplenet", help="the network (simplenet)")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the model: depth=6, shift=true")
    add("--batch", type=count(1, 65536), default=32, help="images a step (32)")
    add("--image-size", type=count(8, 4096), default=128, help="pixels a side (128)")
    add("--device", default="cpu", help="cpu, gpu, gpu:1, or auto: a GPU if there is one (cpu)")
    add("--steps", type=count(1, 1000), default=3, help="timed steps in a turn (3)")
    add("--rounds", type=count(1, 1000), default=12, help="turns of each framework (12)")
    add("--threads", type=count(1, 1024), help="threads of each framework (its own default)")
    add("--seed", type=count(0, 2**31 - 1), default=2024, help="decides weights and batch (2024)")
    add("--json", type=Path, metavar="FILE", help="write everything that was measured to this file")
    add("--clean-env", action="store_true", help="run the frameworks without any OPENBLAS_*, OMP_*, MKL_* variables")
    add("--channels-last", action=flag, default=True, help="also torch with channels-last images (yes)")
    add("--compile", action=flag, help="also torch.compile, which on the CPU wants a compiler (on a GPU only)")
    add("--custom-conv", action="store_true", help="also the convolution written by hand, in both frameworks")
    add("--memory", action=flag, default=True, help="also peak memory (yes)")
    options = parser.parse_args(arguments)
    if options.json is not None and (options.json.is_dir() or not os.access(options.json.absolute().parent, os.W_OK)):
        raise OptionError(f"--json {options.json}: no file can be written there")
    return options


def make_job(options: argparse.Namespace, device: str) -> Job:
    """What is to be trained: the optimizer of the model's recipe, its settings with their defaults filled in."""
    recipe = RECIPES[FOLDER][options.model]
    return Job(
        options.model,
        options.batch,
        options.image_size,
        device,
        options.threads,
        options.seed,
        settings=model_settings(options.model, options.image_size, read_settings(options.model, options.set)),
        optimizer=recipe["optimizer"],
        lr=LEARNING_RATES[recipe["optimizer"]],
        weight_decay=recipe["weight_decay"],
        clip_grad=recipe["clip_grad"],
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


# measuring


def measure_time(
    job: Job, names: list[str], environment: dict[str, str], start_file: Path, start: Arrays, rounds: int, steps: int
) -> Result:
    """{"tracks": {name: facts and raw times}, "ratios": {name: ...}, "agreement": {name: ...}}."""
    tracks: dict[str, Result] = {}
    agreement: dict[str, Result] = {}
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(name, job, environment)) for name in names]
        after: dict[str, Arrays] = {}
        for worker in workers:
            say(f"{worker.name}: first steps")
            saved = start_file.with_name("after.npz")
            facts = worker.ask("build", start=str(start_file))
            losses = worker.ask("first_steps", steps=CHECKED_STEPS, save=str(saved))
            tracks[worker.name] = {"facts": facts, "losses": losses, "turns": []}
            after[worker.name] = load_arrays(saved)
        for name in names:
            if name != REFERENCE:
                both = tracks[name]["losses"], tracks[REFERENCE]["losses"]
                agreement[name] = compare_runs(*both, start, after[name], after[REFERENCE])
        for turn in range(-WARM_UP_TURNS, rounds):
            say(f"round {turn + 1} of {rounds}" if turn >= 0 else "warming up")
            for worker in workers:
                time.sleep(PAUSE)
                answer = take_turn(worker, job, steps)
                if turn >= 0:
                    tracks[worker.name]["turns"].append(answer)
    say("")
    for track in tracks.values():
        track["summary"] = summarize_track(track["turns"])
    seconds = {name: [turn["seconds"] for turn in track["turns"]] for name, track in tracks.items()}
    ratios: dict[str, Result] = {}
    for name in names[1:]:
        values = paired_ratios(seconds[names[0]], seconds[name])
        ratios[name] = {"rounds": values, "summary": summarize(values)}
    return {"tracks": tracks, "ratios": ratios, "agreement": agreement}


def take_turn(worker: Worker, job: Job, steps: int) -> Result:
    """One turn: seconds and processor seconds of each step, seconds of each step's phases.

    On the CPU phases and whole are one measurement. On a GPU, waiting between the phases costs time, so they are
    measured in steps of their own.
    """
    if job.device == "cpu":
        answer = worker.ask("turn", steps=steps, by_phase=True)
        answer["phases"] = answer["seconds"]
    else:
        answer = worker.ask("turn", steps=steps, by_phase=False)
        answer["phases"] = worker.ask("turn", steps=steps, by_phase=True)["seconds"]
    answer["seconds"] = [sum(step) for step in answer["seconds"]]
    return answer


def summarize_track(turns: list[Result]) -> Result:
    """Summaries over all the steps of all the turns; `idle`, the most processor seconds outside of a turn."""
    phases = np.concatenate([turn["phases"] for turn in turns])
    return {
        "seconds": summarize([s for turn in turns for s in turn["seconds"]]),
        "processor": summarize([s for turn in turns for s in turn["processor"]]),
        "phases": {phase: summarize(phases[:, i].tolist()) for i, phase in enumerate(PHASES)},
        "idle": max(turn["idle"] for turn in turns),
        "last_loss": turns[-1]["loss"],
    }


def measure_memory(job: Job, names: list[str], environment: dict[str, str], start_file: Path) -> Result:
    """{name: bytes imported, ready, peak}, and the peak above each. Each track in a new process, alone."""
    result = {}
    for name in names:
        if name == "torch compiled" and job.device == "cpu":
            continue  # its process holds the compiler's memory too
        say(f"{name}: memory")
        with Worker(name, job, environment) as worker:
            found = worker.ask("memory", start=str(start_file), steps=MEMORY_STEPS)
        above = {f"above_{moment}": found["peak"] - found[moment] for moment in ("imported", "ready")}
        result[name] = found | above
    say("")
    return result


# reporting


def report(result: Result) -> str:
    """The machine, the agreement and the table, as text."""
    machine, job, tracks = result["machine"], result["job"], result["tracks"]
    lines = [
        f"{job['model']}, batch {job['batch']}, {job['image_size']}x{job['image_size']}, one training step ({job['optimizer']}) on "
        f"{job['device']}: {result['rounds']} rounds of {result['steps']} steps",
        f"machine: {machine['processor']}, {machine['usable_cores']} of {machine['cores']} cores, load "
        + (f"{machine['load'][0]:.1f}" if machine["load"] else "unknown")
        + f", Python {machine['python']}, commit {result['commit'] or 'unknown'}",
        "environment: " + (shlex.join(f"{k}={v}" for k, v in machine["variables"].items()) or "no OPENBLAS_* or such"),
    ]
    lines += [f"{name}: " + ", ".join(f"{k} {v}" for k, v in t["facts"].items()) for name, t in tracks.items()]
    if machine["load"] and machine["load"][0] > BUSY * machine["usable_cores"]:
        lines.append(
            "note: other programs were busy on this machine. Threads that wait for one another lose more than single ones: "
            "compare the minima, or the processor time with --threads 1"
        )
    lines += ["", time_table(result), ""]
    if "memory" in result:
        lines += [memory_table(result["memory"]), "", *custom_conv(result["memory"])]
    limits = ", ".join(f"{what} {most:g}" for what, most in TOLERANCES.items())
    lines.append(f"distance from {REFERENCE} in the first {CHECKED_STEPS} steps (at most: {limits})")
    for name, found in result["agreement"].items():
        where = ", ".join(f"{what} {found[what]:.1e} ({found['where'][what]})" for what in ("gradient", "change"))
        lines.append(f"  {name}: loss {found['loss']:.1e}, {where}")
    lines.append("all computed the same" if result["agree"] else "NOT THE SAME COMPUTATION: the times mean nothing")
    return "\n".join(lines)


def time_table(result: Result) -> str:
    """Milliseconds of a step, and the ratio of ours to each other track's."""
    head = [
        "ms a step",
        "median",
        "quartiles",
        "min",
        *PHASES,
        "processor",
        "idle",
        "ours / this",
        "quartiles",
        "of min",
    ]
    ours = result["tracks"]["minigrad"]["summary"]["seconds"]
    rows = []
    for name, track in result["tracks"].items():
        s = track["summary"]
        row = [name, ms(s["seconds"]["median"]), span(s["seconds"], 1000, 1), ms(s["seconds"]["min"])]
        row += [ms(s["phases"][phase]["median"]) for phase in PHASES]
        row += [ms(s["processor"]["median"]), ms(s["idle"])]
        if name in result["ratios"]:
            ratio = result["ratios"][name]["summary"]
            row += [f"{ratio['median']:.3f}", span(ratio, 1, 3), f"{ours['min'] / s['seconds']['min']:.3f}"]
        rows.append(row)
    return table([head, *rows])


def memory_table(memory: Result) -> str:
    """Megabytes (10^6 bytes), and the ratio of ours to each other track's."""
    head = ["MB", "imported", "ready", "peak", "peak above ready", "above imported", "ours / this", "by imported"]
    ours = memory["minigrad"]
    rows = []
    for name, m in memory.items():
        row = [name, *(f"{m[k] / 1e6:.1f}" for k in ("imported", "ready", "peak", "above_ready", "above_imported"))]
        if m is not ours:
            row += [f"{ours[k] / m[k]:.3f}" if m[k] else "-" for k in ("above_ready", "above_imported")]
        rows.append(row)
    return table([head, *rows])


def custom_conv(memory: Result) -> list[str]:
    """What the textbook's convolutions need beside torch's own, where they were measured."""
    torchs = memory[REFERENCE]["above_ready"]
    found = [f"{name} {memory[name]['above_ready'] / torchs:.2f}" for name in CUSTOM_CONV if name in memory]
    return [f"peak above ready / {REFERENCE}'s: {', '.join(found)}", ""] if found else []


def ms(seconds: float) -> str:
    """Seconds as milliseconds."""
    return f"{1000 * seconds:.1f}"


def span(summary: Any, factor: float, digits: int) -> str:
    """The quartiles."""
    return f"{factor * summary['lower']:.{digits}f}-{factor * summary['upper']:.{digits}f}"


def table(rows: list[list[str]]) -> str:
    """Columns as wide as their widest entry; the first is aligned to the left."""
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(len(rows[0]))]
    lines = []
    for first, *rest in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=False)]
        lines.append("  ".join([f"{first:<{widths[0]}}", *cells]))
    return "\n".join(lines)


def say(text: str) -> None:
    """Progress, on a terminal: one line that is written over."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def write_json(path: Path, result: Result) -> None:
    """Write the result, whole or not at all."""
    unfinished = path.with_name(f".{path.name}.tmp")
    try:
        unfinished.write_text(json.dumps(result, indent=1) + "\n")
        unfinished.replace(path)
    except OSError as error:
        raise OptionError(f"--json {path}: {error.strerror}") from error
