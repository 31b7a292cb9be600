"""How implementations are timed: each in a process of its own, called in turn; and the loader, which they share, by itself."""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

import models
from compare.kit.arguments import read_settings
from compare.kit.command import say
from compare.kit.distances import Arrays, norm_distance
from compare.kit.job import Job, make_start
from compare.kit.machine import numerical_variables
from compare.kit.result import Result
from compare.kit.statistics import paired_ratios, summarize
from compare.kit.worker import PHASES, Worker, load_arrays, save_arrays
from compare.speed.agreement import agree, compare_runs
from minigrad.data import open_dataset
from minigrad.device import get_device
from minigrad.errors import OptionError
from minigrad.training.recipes import model_settings, recipe

CHECKED_STEPS = 2
REFERENCE = "torch"
WARM_UP_TURNS = 2
MEMORY_STEPS = 5
PAUSE = 0.1  # seconds: OpenBLAS's threads spin for about 0.02, libgomp's for less
ATTACK_TOLERANCES = {"first": 0.1, "last": 0.25}
CUSTOM_CONV = ["minigrad definition", "torch custom-conv", "torch custom-conv, columns kept"]
LEARNING_RATES = {"sgd": 0.01, "adamw": 1e-4}  # low, see Job


class Attack(NamedTuple):
    """An attack that is timed: --attack and --attack-steps of the scripts."""

    preset: str
    steps: int


class Start(NamedTuple):
    """What all implementations of a job start from (make_start), and the file that it is in."""

    file: Path
    arrays: Arrays


def measure(options: argparse.Namespace, begun: Result) -> Result:
    """The result: times, ratios and agreement; the loader, the memory, the attack, where they were asked for."""
    device = str(get_device(options.device))
    job, names = make_job(options, device), implementations(options, device)
    check_limit(options.limit, device)
    environment = clean(os.environ) if options.clean_env else dict(os.environ)
    begun["machine"]["variables"] = numerical_variables(environment)
    result = begun | {"job": job.as_dict(), "rounds": options.rounds, "steps": options.steps}
    attack = Attack(options.attack, options.attack_steps) if options.attack else None
    if options.loading:
        open_dataset(
            options.data, "train", job.image_size
        )  # what is wrong with it is reported before anything is measured
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        start = prepare(job, Path(folder))
        if options.loading:
            workers = recipe(options.data, job.model, None)["workers"]
            result["loading"] = measure_loading(job, environment, options.data, workers)
        result |= measure_time(job, names, environment, start, options.rounds, options.steps, attack, options.limit)
        if options.memory:
            result["memory"] = measure_memory(job, names, environment, start)
    agreed = agree(result["agreement"]) and (attack is None or attacks_agree(result["attack"]))
    return result | {"agree": agreed}


def make_job(options: argparse.Namespace, device: str) -> Job:
    """What is to be trained: the optimizer of the model's recipe, its settings with their defaults filled in."""
    recipe = asdict(models.MODELS[options.model].folder)
    settings = model_settings(options.model, options.image_size, read_settings(options.model, options.set))
    given = (options.model, options.batch, options.image_size, device, options.threads, options.seed)
    return Job.by_recipe(recipe, *given, settings=settings, lr=LEARNING_RATES[recipe["optimizer"]])


def check_limit(asked: bool, device: str) -> None:
    """OptionError for --limit on a GPU."""
    if asked and device != "cpu":
        raise OptionError(f"--limit is that of a CPU, not of {device}: leave it out, or take --device cpu")


def implementations(options: argparse.Namespace, device: str) -> list[str]:
    """Those asked for, in the order in which they are called; minigrad is the first."""
    compiled = options.compile if options.compile is not None else device != "cpu"
    names = ["minigrad", "torch"]
    names += ["torch channels-last"] * options.channels_last + ["torch compiled"] * compiled
    return names + CUSTOM_CONV * options.custom_conv


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without what numerical libraries look for in it."""
    return {name: value for name, value in environment.items() if name not in numerical_variables(environment)}


def measure_time(
    job: Job,
    names: list[str],
    environment: Mapping[str, str],
    start: Start,
    rounds: int,
    steps: int,
    attack: Attack | None = None,
    limit: bool = False,
) -> Result:
    """{"tracks": {name: facts and raw times}, "ratios": {name: ...}, "agreement": {name: ...}}, and "attack", "limit" if asked."""
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(name, job, environment)) for name in names]
        timed, agreement, attacked = begin(workers, start, attack)
        for turn in range(-WARM_UP_TURNS, rounds):
            say(f"round {turn + 1} of {rounds}" if turn >= 0 else "warming up")
            for worker in workers:
                time.sleep(PAUSE)
                answer = take_turn(worker, job, steps)
                under_attack = worker.ask("attack", **attack._asdict()) if attack else None
                if turn >= 0:
                    timed[worker.name]["turns"].append(answer)
                    if attacked:
                        attacked["tracks"][worker.name]["turns"].append(under_attack)
        least = {"limit": workers[0].ask("limit")} if limit else {}
    say("")
    for one in timed.values():
        one["summary"] = summarize_turns(one["turns"])
    result = {"tracks": timed, "ratios": all_ratios(timed), "agreement": agreement, **least}
    if attacked:
        result["attack"] = attacked | summarize_attack(attacked["tracks"], timed)
    return result


def begin(
    workers: Sequence[Worker], start: Start, attack: Attack | None = None
) -> tuple[dict[str, Result], dict[str, Result], Result | None]:
    """Build every implementation from the start, take the first steps, and compare them with torch's.

    Returns ({name: facts, losses, no turns yet}, {name: how far from torch}, the same of the attack, from the same start).
    """
    timed: dict[str, Result] = {}
    after: dict[str, Arrays] = {}
    perturbed: dict[str, Arrays] = {}
    saved = start.file.with_name("after.npz")
    for worker in workers:
        say(f"{worker.name}: first steps")
        facts = worker.ask("build", start=str(start.file))
        if attack:
            worker.ask("perturbation", **attack._asdict(), save=str(saved))
            perturbed[worker.name] = load_arrays(saved)
        losses = worker.ask("first_steps", steps=CHECKED_STEPS, save=str(saved))
        timed[worker.name] = {"facts": facts, "losses": losses, "turns": []}
        after[worker.name] = load_arrays(saved)
    others = [name for name in timed if name != REFERENCE]
    losses, right = timed[REFERENCE]["losses"], after[REFERENCE]
    agreement = {name: compare_runs(timed[name]["losses"], losses, start.arrays, after[name], right) for name in others}
    if not attack:
        return timed, agreement, None
    distances = {
        name: {when: norm_distance(perturbed[name][when], perturbed[REFERENCE][when]) for when in ATTACK_TOLERANCES}
        for name in others
    }
    attacked = {**attack._asdict(), "agreement": distances, "tracks": {name: {"turns": []} for name in timed}}
    return timed, agreement, attacked


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


def summarize_turns(turns: list[Result]) -> Result:
    """Summaries over all the steps of all the turns; `idle`, the most processor seconds outside of a turn."""
    phases = np.concatenate([turn["phases"] for turn in turns])
    return {
        "seconds": summarize([s for turn in turns for s in turn["seconds"]]),
        "processor": summarize([s for turn in turns for s in turn["processor"]]),
        "phases": {phase: summarize(phases[:, i].tolist()) for i, phase in enumerate(PHASES)},
        "idle": max(turn["idle"] for turn in turns),
        "last_loss": turns[-1]["loss"],
    }


def summarize_attack(attacked: dict[str, Result], timed: dict[str, Result]) -> Result:
    """{"tracks", "ratios"} of an attack: its seconds, and in `passes` those over the forward and backward of the round's
    training steps, in the same implementation."""
    found = {}
    for name, one in attacked.items():
        passes = []
        for turn, trained in zip(one["turns"], timed[name]["turns"], strict=True):
            a_pass = float(np.median([forward + backward for forward, backward, _ in trained["phases"]]))
            passes.append(turn["seconds"] / a_pass)
        summary = {"seconds": summarize([turn["seconds"] for turn in one["turns"]]), "passes": summarize(passes)}
        found[name] = {"turns": one["turns"], "passes": passes, "summary": summary}
    return {"tracks": found, "ratios": all_ratios(attacked)}


def all_ratios(timed: Mapping[str, Result]) -> dict[str, Result]:
    """{name: {"rounds", "summary"}}: the first implementation's times over each other's, round by round."""
    ours, *others = ([np.atleast_1d(turn["seconds"]).tolist() for turn in one["turns"]] for one in timed.values())
    ratios = [paired_ratios(ours, theirs) for theirs in others]
    return {
        name: {"rounds": values, "summary": summarize(values)}
        for name, values in zip(list(timed)[1:], ratios, strict=True)
    }


def attacks_agree(attacked: Result) -> bool:
    """Whether all perturbations are torch's, as far as rounding lets them. NaN agrees with nothing."""
    found = attacked["agreement"].values()
    return all(one[when] <= most for one in found for when, most in ATTACK_TOLERANCES.items())


def measure_memory(job: Job, names: Sequence[str], environment: Mapping[str, str], start: Start) -> Result:
    """{name: bytes imported, ready, peak}, and the peak above each. Each in a new process, alone."""
    result = {}
    for name in names:
        if name == "torch compiled" and job.device == "cpu":
            continue  # its process holds the compiler's memory too
        say(f"{name}: memory")
        with Worker(name, job, environment) as worker:
            found = worker.ask("memory", start=str(start.file), steps=MEMORY_STEPS)
        above = {f"above_{moment}": found["peak"] - found[moment] for moment in ("imported", "ready")}
        result[name] = found | above
    say("")
    return result


def measure_loading(job: Job, environment: Mapping[str, str], data: str | None, workers: int) -> Result:
    """What `Server.loading` finds, with summaries: the seconds a batch costs by itself, of which the last are normalising."""
    say("loader")
    with Worker("loader", job, environment) as worker:
        found = worker.ask("loading", data=data, workers=workers)
    say("")
    return found | {"summary": {part: summarize(found[part]) for part in ("seconds", "normalising")}}


def prepare(job: Job, folder: Path) -> Start:
    """The job's start, in a file of the folder too."""
    start = Start(folder / "start.npz", make_start(job))
    save_arrays(*start)
    return start


def turn_steps(step: float, seconds: float, least: int = 1, most: int = 20) -> int:
    """How many steps a turn has so that it times about so many seconds."""
    return min(max(math.ceil(seconds / step), least), most)
