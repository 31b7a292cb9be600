"""python -m compare scaling: time and peak memory of a training step along an axis, in minigrad and in PyTorch.

The axis is --axis batch (images a step), image-size (pixels a side) or depth (blocks; the vision transformer has them). For
each of --values the step is that of python -m compare speed, with the same check that all tracks compute the same.

Each value and track has a process of its own. All are alive at once and called in turn, value by value and track by track, a
round being all of them: what slows the machine for a while slows all. A turn is one step that is not counted and as many as
take about --turn milliseconds, at least one. The cost is a step's time divided by its images; along image-size also by their
pixels, along depth by the blocks. It should not grow. Two figures tell, for each track: the exponent of the axis that fits the
costs best (a straight line through the logarithms of a round's medians; median and quartiles over the rounds), and the cost at
the largest value over the least among the others, each by its cheapest round. Rounds scatter by some ten percent, so "grows"
means that the last is above the least by more than that.

Peak memory is measured as python -m compare speed does, each track in a new process, alone, and how much each image, pixel or
block adds to it is the slope of a straight line.

Along depth every second block looks at windows, so that all blocks together cost the same at any even depth; along image-size
the network (its patches) stays the same. With the defaults a run takes two to three minutes on two quiet cores.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from compare.kit.arguments import Parser, count, read_settings
from compare.kit.frameworks import Arrays, Job
from compare.kit.machine import numerical_variables
from compare.kit.pictures import check_picture, write_picture
from compare.kit.result import Result, check_target, origin, write_result
from compare.kit.statistics import summarize
from compare.kit.tables import as_text
from compare.kit.worker import Worker
from compare.scaling.show import AXES, costs, pictures, tables, verdict
from compare.speed import add_job, make_job, track_names
from compare.speed.agreement import agree
from compare.speed.measure import (
    PAUSE,
    all_ratios,
    begin,
    measure_memory,
    prepare,
    say,
    summarize_track,
    take_turn,
    turn_steps,
)
from minigrad.device import get_device
from minigrad.errors import OptionError
from models import MODELS

FORMAT = "compare scaling 1"
VALUES = {"batch": [4, 8, 16, 32], "image-size": [64, 128, 192, 256], "depth": [2, 4, 6, 8]}
BATCH = 8  # where it is not the axis


def run(arguments: Sequence[str]) -> int:
    """Measure, print tables, write --json and --picture if asked. Returns 0, or 1 if the tracks did not compute the same."""
    options = parse(arguments)
    device = str(get_device(options.device))
    jobs = make_jobs(options, device)
    names = track_names(options, device)
    result: Result = {"format": FORMAT} | origin("scaling", arguments)
    result["machine"]["variables"] = numerical_variables(os.environ)
    result |= {"axis": options.axis, "values": options.values, "rounds": options.rounds}
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        starts = {}
        for value, job in jobs.items():
            place = Path(folder, str(value))
            place.mkdir()
            starts[value] = prepare(job, place)  # all of them first: a model refuses an image size here
        result["points"] = measure(options.axis, jobs, starts, names, os.environ, options.rounds, options.turn / 1e3)
        if options.memory:
            for point, (value, job) in zip(result["points"], jobs.items(), strict=True):
                say(f"{options.axis} {value}:")
                point["memory"] = measure_memory(job, names, os.environ, starts[value][0])
    result["slopes"] = slopes(result)
    result["agree"] = all(agree(point["agreement"]) for point in result["points"])
    print("\n\n".join([*map(as_text, tables(result)), verdict(result)]))
    write_result(options.json, result)
    if options.picture is not None:
        write_picture(options.picture, pictures(result))
    return 0 if result["agree"] else 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options. OptionError for what is unknown, out of range, does not go together, or cannot be written."""
    parser = Parser("scaling", __doc__)
    add, flag = parser.add_argument, argparse.BooleanOptionalAction
    add("--axis", choices=list(AXES), required=True, help="what grows")
    defaults = "; ".join(f"{axis} {','.join(map(str, values))}" for axis, values in VALUES.items())
    add("--values", type=value_list, help=f"how large it gets, ascending ({defaults})")
    add_job(parser)
    parser.set_defaults(model=None, batch=BATCH)
    add("--rounds", type=count(1, 1000), default=5, help="turns of each process (5)")
    add("--turn", type=count(1, 60_000), default=200, metavar="MS", help="timed milliseconds of a turn (200)")
    add("--channels-last", action=flag, default=True, help="also torch with channels-last images (yes)")
    add("--compile", action="store_true", help="also torch.compile, which on the CPU wants a compiler")
    add("--custom-conv", action="store_true", help="also the convolution written by hand, in both frameworks")
    add("--memory", action=flag, default=True, help="also peak memory (yes)")
    add("--json", type=Path, metavar="FILE", help="write everything that was measured to this file")
    add("--picture", type=Path, metavar="FILE.png", help="draw the curves")
    options = parser.parse_args(arguments)
    if f"--{options.axis}" in {argument.partition("=")[0] for argument in arguments}:
        raise OptionError(f"--{options.axis} is the axis: --values says how large it gets")
    options.model = options.model or ("vit" if options.axis == "depth" else "simplenet")
    options.values = options.values or VALUES[options.axis]
    check_target(options.json, FORMAT)
    check_picture(options.picture)
    return options


def value_list(text: str) -> list[int]:
    """An argparse type: at least two whole numbers such as 4,8,16, ascending."""
    parts = text.split(",")
    values = [int(part) if part.isdecimal() else 0 for part in parts]
    if len(values) < 2 or values != sorted(set(values)) or not 1 <= values[0] <= values[-1] <= 65536:
        raise argparse.ArgumentTypeError(
            f"two or more whole numbers such as 4,8,16 are wanted, ascending, not {text!r}"
        )
    return values


def make_jobs(options: argparse.Namespace, device: str) -> dict[int, Job]:
    """{value: what is trained there}. OptionError for a model that has no depth."""
    base = make_job(options, device)
    if options.axis == "batch":
        return {value: replace(base, batch=value) for value in options.values}
    if options.axis == "image-size":
        return {value: replace(base, image_size=value) for value in options.values}
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


# measuring


def measure(
    axis: str,
    jobs: Mapping[int, Job],
    starts: Mapping[int, tuple[Path, Arrays]],
    names: Sequence[str],
    environment: Mapping[str, str],
    rounds: int,
    seconds: float,
) -> list[Result]:
    """A point for each value: {"value", "job", "agreement", "tracks": {name: facts, raw times, summary}, "ratios"}."""
    points: list[Result] = []
    with ExitStack() as stack:
        turns: list[tuple[Result, Callable[[], Result]]] = []
        for value, job in jobs.items():
            say(f"{axis} {value}:")
            workers = [stack.enter_context(Worker(name, job, environment)) for name in names]
            tracks, agreement, _ = begin(workers, *starts[value])
            points.append({"value": value, "job": job.as_dict(), "agreement": agreement, "tracks": tracks})
            for worker in workers:
                warm = take_turn(worker, job, 1)
                steps = turn_steps(warm["seconds"][0], seconds)
                turns.append((tracks[worker.name], lambda w=worker, j=job, s=steps: take_turn(w, j, s)))  # type: ignore[misc]
        for turn in range(rounds):
            say(f"round {turn + 1} of {rounds}")
            for track, take in turns:
                time.sleep(PAUSE)
                track["turns"].append(take())
    say("")
    for point in points:
        for track in point["tracks"].values():
            track["summary"] = summarize_track(track["turns"])
            track["turns"] = [{"seconds": turn["seconds"]} for turn in track["turns"]]  # the rest is in the summary
        timed = {name: [turn["seconds"] for turn in track["turns"]] for name, track in point["tracks"].items()}
        point["ratios"] = all_ratios(timed)
    return points


def slopes(result: Result) -> dict[str, Any]:
    """{track: {"exponents": of each round, "summary": of those, "of_least": the last cost over the least of the others}}.

    What is held against the least is each value's cheapest round, which an otherwise busy machine disturbs least.
    """
    found = {}
    for name, rounds in costs(result).items():
        values = np.log(result["values"])
        exponents = [float(np.polyfit(values, np.log(found_costs), 1)[0]) for found_costs in rounds]
        *others, last = np.min(rounds, axis=0).tolist()
        found[name] = {"exponents": exponents, "summary": summarize(exponents), "of_least": last / min(others)}
    return found
