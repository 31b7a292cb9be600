"""A training step of minigrad, watched op by op; and torch.profiler's view of the same step."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from compare.kit.command import say
from compare.kit.job import Training
from compare.kit.limit import least
from compare.kit.machine import numerical_variables
from compare.kit.result import Result
from compare.kit.statistics import summarize
from compare.kit.worker import PHASES, WARM_UP_STEPS, Worker
from compare.speed.measure import check_limit, make_job, prepare
from minigrad.autograd import profile
from minigrad.device import get_device
from minigrad.errors import OptionError
from minigrad.grad_mode import definitions

SILENT = {"KINETO_LOG_LEVEL": "99", "TORCH_CPP_LOG_LEVEL": "ERROR"}  # torch.profiler reports on itself
SORTS = ("share", "excess", "op", "calls", "forward", "backward", "made", "saved")
FIGURES = ("calls", "backward_calls", "forward", "backward", "made", "saved")


def measure(options: argparse.Namespace, begun: Result) -> Result:
    """The result: a row an op, what no op accounts for, the phases; torch's rows if asked for. Writes --trace."""
    job = make_job(options, str(get_device(options.device)))
    check_limit(options.limit, job.device)
    begun["machine"]["variables"] = numerical_variables(os.environ)
    result = begun | {"job": job.as_dict(), "steps": options.steps, "definitions": options.definitions}
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        start = prepare(job, Path(folder))
        training = Training("minigrad", job)
        training.build(start.arrays)
        with definitions() if options.definitions else nullcontext():
            plain, watched = watch_steps(training, options.steps)
            limit = least(training) if options.limit else None
        result |= {"facts": training.framework.facts(), **summarize_steps(plain, watched, options.sort, limit)}
        if options.torch:
            say("torch")
            with Worker("torch", job, os.environ | SILENT) as worker:
                facts = worker.ask("build", start=str(start.file))
                result["torch"] = {"facts": facts, "rows": worker.ask("op_rows", steps=options.steps)}
            say("")
    if options.trace is not None:
        write_trace(options.trace, watched)
    return result


def watch_steps(training: Training, steps: int) -> tuple[list[float], list[profile]]:
    """The seconds of unwatched steps, and watched steps, in turn."""
    for _ in range(WARM_UP_STEPS):
        take_step(training, profile(), watch=False)
    plain, watched = [], []
    for step in range(steps):
        say(f"step {step + 1} of {steps}")
        started = time.perf_counter()
        take_step(training, profile(), watch=False)
        plain.append(time.perf_counter() - started)
        watched.append(profile(norms=False))
        take_step(training, watched[-1], watch=True)
    say("")
    return plain, watched


def take_step(training: Training, p: profile, watch: bool) -> None:
    """One training step, its phases noted; the ops of forward and backward are watched, or nothing is."""
    with p.phase("step"):
        for phase in PHASES:
            with p if watch and phase != "update" else nullcontext(), p.phase(phase):
                getattr(training, phase)()
                training.framework.synchronize()


def summarize_steps(
    plain: list[float], watched: list[profile], sort: str, limit: dict[str, Any] | None = None
) -> Result:
    """{"rows", "rest", "phases", "step"}: medians over the steps. rest: of forward and backward, what no op accounts for.

    limit, compare.kit.limit.least's: each row has its "floor" then, in seconds, and the result has "limit".
    """

    def median(values: list[float]) -> float:
        return float(np.median(values))

    rows: list[dict[str, Any]] = [
        {"op": op} | {name: median([getattr(p.rows[op], name) for p in watched]) for name in FIGURES}
        for op in watched[0].rows
    ]
    rest = {name: median([p.phases[name] - getattr(p.total(), name) for p in watched]) for name in PHASES[:2]}
    if limit:
        for row in rows:
            row["floor"] = limit["rows"][row["op"]]["floor"]
    keys = {
        "share": lambda row: -(row["forward"] + row["backward"]),
        "excess": lambda row: row["floor"] - row["forward"] - row["backward"],
        "op": lambda row: row["op"],
    }
    rows.sort(key=keys.get(sort, lambda row: -row[sort]))
    return {
        "rows": rows,
        "rest": rest,
        "phases": {name: summarize([p.phases[name] for p in watched]) for name in PHASES},
        **({"limit": limit} if limit else {}),
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
