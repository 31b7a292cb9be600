"""python -m compare profile: where the time and the memory of one training step of minigrad go, an op a row.

The step is that of python -m compare speed: forward, cross-entropy, backward, update by the model's recipe, on one random
batch. A row is a kind of op: its calls, its time forward and backward (medians over --steps steps, after two that are not
counted), its share of the step, the bytes of the results that it made and of what it saved for gradients. What the ops do
not account for stands below them: the engine and Python between the ops, and the update, which is no op.

Fused ops, such as a convolution with its ReLU and pool, are one row; --definitions runs everything as the textbook has it, in
primitives. Watching costs time, so an unwatched step is timed beside each watched one.

--trace writes the watched steps as a Chrome trace, with their phases: open it in ui.perfetto.dev or chrome://tracing.
--torch sets torch.profiler's table of the same step beside ours: for each of torch's ops calls, time of its own, bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from compare.kit.arguments import Parser, count
from compare.kit.frameworks import MinigradTrack
from compare.kit.machine import numerical_variables
from compare.kit.pictures import check_picture, write_picture
from compare.kit.result import Result, check_target, check_writable, origin, write_result
from compare.kit.statistics import summarize
from compare.kit.tables import as_text
from compare.kit.worker import PHASES, WARM_UP_STEPS, Worker
from compare.profile.show import pictures, tables, verdict
from compare.speed import add_job, make_job
from compare.speed.measure import prepare, say
from minigrad.autograd import profile
from minigrad.device import get_device
from minigrad.errors import OptionError
from minigrad.grad_mode import definitions

FORMAT = "compare profile 1"
SILENT = {"KINETO_LOG_LEVEL": "99", "TORCH_CPP_LOG_LEVEL": "ERROR"}  # torch.profiler tells of its own doings
SORTS = ("share", "op", "calls", "forward", "backward", "made", "saved")
FIGURES = ("calls", "backward_calls", "forward", "backward", "made", "saved")


def run(arguments: Sequence[str]) -> int:
    """Profile, print the tables, write what is asked for."""
    options = parse(arguments)
    job = make_job(options, str(get_device(options.device)))
    result: Result = {"format": FORMAT} | origin("profile", arguments)
    result["machine"]["variables"] = numerical_variables(os.environ)
    result |= {"job": job.as_dict(), "steps": options.steps, "definitions": options.definitions}
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        start_file, start = prepare(job, Path(folder))
        track = MinigradTrack(job)
        track.build(start)
        with definitions() if options.definitions else nullcontext():
            plain, watched = measure(track, options.steps)
        result |= {"facts": track.facts(), **summarize_steps(plain, watched, options.sort)}
        if options.torch:
            say("torch")
            with Worker("torch", job, os.environ | SILENT) as worker:
                facts = worker.ask("build", start=str(start_file))
                result["torch"] = {"facts": facts, "rows": worker.ask("op_rows", steps=options.steps)}
            say("")
    print("\n\n".join([*map(as_text, tables(result)), verdict(result)]))
    write_result(options.json, result)
    if options.trace is not None:
        write_trace(options.trace, watched)
    if options.picture is not None:
        write_picture(options.picture, pictures(result))
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options. OptionError for what is unknown, out of range, or cannot be written."""
    parser = Parser("profile", __doc__)
    add = parser.add_argument
    add_job(parser)
    add("--steps", type=count(1, 1000), default=5, help="watched steps (5)")
    add("--definitions", action="store_true", help="every fused op as the textbook writes it, in primitives")
    add("--sort", choices=SORTS, default="share", help=f"the order of the rows: {', '.join(SORTS)} (share)")
    add("--torch", action="store_true", help="also torch.profiler's table of the same step")
    add("--trace", type=Path, metavar="FILE.json", help="write a Chrome trace of the watched steps")
    add("--json", type=Path, metavar="FILE", help="write everything that was measured to this file")
    add("--picture", type=Path, metavar="FILE.png", help="draw the shares")
    options = parser.parse_args(arguments)
    check_target(options.json, FORMAT)
    check_picture(options.picture)
    check_trace(options.trace)
    if options.torch and find_spec("torch") is None:
        raise OptionError('--torch needs PyTorch, which is missing: pip install -e ".[reference]"')
    return options


def check_trace(path: Path | None) -> None:
    """OptionError if no trace could be written there, or if the file that is there is no trace."""
    if path is None:
        return
    check_writable(path, "--trace")
    if path.exists():
        try:
            known = "traceEvents" in json.loads(path.read_text())
        except (OSError, ValueError, TypeError):
            known = False
        if not known:
            raise OptionError(f"--trace {path} is no trace: nothing was overwritten")


# measuring


def measure(track: MinigradTrack, steps: int) -> tuple[list[float], list[profile]]:
    """The seconds of unwatched steps, and watched steps, in turn."""
    for _ in range(WARM_UP_STEPS):
        take_step(track, profile(), watch=False)
    plain, watched = [], []
    for step in range(steps):
        say(f"step {step + 1} of {steps}")
        started = time.perf_counter()
        take_step(track, profile(), watch=False)
        plain.append(time.perf_counter() - started)
        watched.append(profile(norms=False))
        take_step(track, watched[-1], watch=True)
    say("")
    return plain, watched


def take_step(track: MinigradTrack, p: profile, watch: bool) -> None:
    """One training step, its phases noted; the ops of forward and backward are watched, or nothing is."""
    with p.phase("step"):
        for phase in PHASES:
            with p if watch and phase != "update" else nullcontext(), p.phase(phase):
                getattr(track, phase)()
                track.synchronize()


def summarize_steps(plain: list[float], watched: list[profile], sort: str) -> Result:
    """{"rows", "rest", "phases", "step"}: medians over the steps. rest: of forward and backward, what no op accounts for."""

    def median(values: list[float]) -> float:
        return float(np.median(values))

    rows: list[dict[str, Any]] = [
        {"op": op} | {name: median([getattr(p.rows[op], name) for p in watched]) for name in FIGURES}
        for op in watched[0].rows
    ]
    rest = {name: median([p.phases[name] - getattr(p.total(), name) for p in watched]) for name in PHASES[:2]}
    keys = {"share": lambda row: -(row["forward"] + row["backward"]), "op": lambda row: row["op"]}
    rows.sort(key=keys.get(sort, lambda row: -row[sort]))
    return {
        "rows": rows,
        "rest": rest,
        "phases": {name: summarize([p.phases[name] for p in watched]) for name in PHASES},
        "step": {"plain": summarize(plain), "watched": summarize([p.phases["step"] for p in watched])},
    }


def write_trace(path: Path, watched: list[profile]) -> None:
    """All the watched steps in one Chrome trace."""
    together = profile()
    for p in watched:
        together.events += p.events
    try:
        together.export_chrome_trace(path)
    except OSError as error:
        raise OptionError(f"--trace {path}: {error.strerror}") from error
    print(f"trace: {path} ({len(together.events)} events)")
