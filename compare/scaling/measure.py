"""The step at each value of the axis: all processes are alive at once and called in turn."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from compare.kit.arguments import read_settings
from compare.kit.command import say
from compare.kit.job import Job
from compare.kit.machine import numerical_variables
from compare.kit.result import Result
from compare.kit.statistics import summarize
from compare.kit.worker import Worker
from compare.scaling import ranks
from compare.scaling.show import costs
from compare.speed.agreement import agree
from compare.speed.measure import (
    PAUSE,
    Start,
    all_ratios,
    begin,
    implementations,
    make_job,
    measure_memory,
    prepare,
    summarize_turns,
    take_turn,
    turn_steps,
)
from minigrad.device import get_device
from minigrad.errors import OptionError
from models import MODELS


def measure(options: argparse.Namespace, begun: Result) -> Result:
    """The result: a point for each value, and along them the slopes."""
    if options.axis == "ranks":
        return ranks.measure(options, begun)
    device = str(get_device(options.device))
    jobs, names = make_jobs(options, device), implementations(options, device)
    begun["machine"]["variables"] = numerical_variables(os.environ)
    result = begun | {"axis": options.axis, "values": options.values, "rounds": options.rounds}
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        starts = {}
        for value, job in jobs.items():
            place = Path(folder, str(value))
            place.mkdir()
            starts[value] = prepare(job, place)  # all of them first: a model refuses an image size here
        result["points"] = measure_points(options.axis, jobs, starts, names, options.rounds, options.turn / 1e3)
        if options.memory:
            for point, (value, job) in zip(result["points"], jobs.items(), strict=True):
                say(f"{options.axis} {value}:")
                point["memory"] = measure_memory(job, names, os.environ, starts[value])
    agreed = all(agree(point["agreement"]) for point in result["points"])
    return result | {"slopes": slopes(result), "agree": agreed}


def make_jobs(options: argparse.Namespace, device: str) -> dict[int, Job]:
    """{value: what is trained there}. OptionError for a model that has no depth."""
    base = make_job(options, device)
    if options.axis != "depth":
        return {value: replace(base, **{options.axis.replace("-", "_"): value}) for value in options.values}
    given = read_settings(options.model, options.set)
    if "depth" not in base.settings:
        having = ", ".join(model for model, card in MODELS.items() if "depth" in card.options)
        raise OptionError(f"--axis depth: {options.model} has no depth to set; {having} has")
    if "depth" in given:
        raise OptionError(f"--set depth={given['depth']}: depth is the axis, --values says how large it gets")
    windows = {value: given.get("window_blocks", list(range(0, value, 2))) for value in options.values}
    return {
        value: replace(base, settings=base.settings | {"depth": value, "window_blocks": windows[value]})
        for value in options.values
    }


def measure_points(
    axis: str, jobs: Mapping[int, Job], starts: Mapping[int, Start], names: Sequence[str], rounds: int, seconds: float
) -> list[Result]:
    """A point for each value: {"value", "job", "agreement", "tracks": {name: facts, raw times, summary}, "ratios"}."""
    points: list[Result] = []
    with ExitStack() as stack:
        turns: list[tuple[Result, Callable[[], Result]]] = []
        for value, job in jobs.items():
            say(f"{axis} {value}:")
            workers = [stack.enter_context(Worker(name, job, os.environ)) for name in names]
            timed, agreement, _ = begin(workers, starts[value])
            points.append({"value": value, "job": job.as_dict(), "agreement": agreement, "tracks": timed})
            for worker in workers:
                steps = turn_steps(take_turn(worker, job, 1)["seconds"][0], seconds)
                turns.append((timed[worker.name], partial(take_turn, worker, job, steps)))
        for turn in range(rounds):
            say(f"round {turn + 1} of {rounds}")
            for one, take in turns:
                time.sleep(PAUSE)
                one["turns"].append(take())
    say("")
    for point in points:
        for one in point["tracks"].values():
            one["summary"] = summarize_turns(one["turns"])
            one["turns"] = [{"seconds": turn["seconds"]} for turn in one["turns"]]  # the rest is in the summary
        point["ratios"] = all_ratios(point["tracks"])
    return points


def slopes(result: Result) -> dict[str, Any]:
    """{implementation: {"exponents": of each round, "summary": of those, "of_least": last cost / least of the others}}.

    `of_least` compares each value's cheapest round, which an otherwise busy machine disturbs least.
    """
    found, values = {}, np.log(result["values"])
    for name, rounds in costs(result).items():
        exponents = [float(np.polyfit(values, np.log(costs_of), 1)[0]) for costs_of in rounds]
        *others, last = np.min(rounds, axis=0).tolist()
        found[name] = {"exponents": exponents, "summary": summarize(exponents), "of_least": last / min(others)}
    return found
