"""How tracks are timed: each in a process of its own, called in turn; and the loader, which they share, by itself."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from compare.kit.frameworks import Arrays, Job, make_start
from compare.kit.statistics import paired_ratios, relative_distance, summarize
from compare.kit.worker import PHASES, Worker, load_arrays, save_arrays
from compare.speed.agreement import compare_runs

CHECKED_STEPS = 2
REFERENCE = "torch"
WARM_UP_TURNS = 2
MEMORY_STEPS = 5
PAUSE = 0.1  # seconds: OpenBLAS's threads spin for about 0.02, libgomp's for less
ATTACK_TOLERANCES = {"first": 0.1, "last": 0.25}

Result = dict[str, Any]


class Attack(NamedTuple):
    """An attack that is timed: --attack and --attack-steps of the scripts."""

    preset: str
    steps: int


def measure_time(
    job: Job,
    names: list[str],
    environment: Mapping[str, str],
    start_file: Path,
    start: Arrays,
    rounds: int,
    steps: int,
    attack: Attack | None = None,
) -> Result:
    """{"tracks": {name: facts and raw times}, "ratios": {name: ...}, "agreement": {name: ...}}, and "attack" if there is one."""
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(name, job, environment)) for name in names]
        tracks, agreement, attacked = begin(workers, start_file, start, attack)
        for turn in range(-WARM_UP_TURNS, rounds):
            say(f"round {turn + 1} of {rounds}" if turn >= 0 else "warming up")
            for worker in workers:
                time.sleep(PAUSE)
                answer = take_turn(worker, job, steps)
                under_attack = worker.ask("attack", **attack._asdict()) if attack else None
                if turn >= 0:
                    tracks[worker.name]["turns"].append(answer)
                    if attacked:
                        attacked["tracks"][worker.name]["turns"].append(under_attack)
    say("")
    for track in tracks.values():
        track["summary"] = summarize_track(track["turns"])
    seconds = {name: [turn["seconds"] for turn in track["turns"]] for name, track in tracks.items()}
    result = {"tracks": tracks, "ratios": all_ratios(seconds), "agreement": agreement}
    if attacked:
        result["attack"] = attacked | summarize_attack(attacked["tracks"], tracks)
    return result


def begin(
    workers: Sequence[Worker], start_file: Path, start: Arrays, attack: Attack | None = None
) -> tuple[dict[str, Result], dict[str, Result], Result | None]:
    """Build every track from the start, take the first steps, and hold them against torch's.

    Returns ({name: facts, losses, no turns yet}, {name: how far from torch}, the same of the attack, from the same start).
    """
    tracks: dict[str, Result] = {}
    after: dict[str, Arrays] = {}
    perturbed: dict[str, Arrays] = {}
    saved = start_file.with_name("after.npz")
    for worker in workers:
        say(f"{worker.name}: first steps")
        facts = worker.ask("build", start=str(start_file))
        if attack:
            worker.ask("perturbation", **attack._asdict(), save=str(saved))
            perturbed[worker.name] = load_arrays(saved)
        losses = worker.ask("first_steps", steps=CHECKED_STEPS, save=str(saved))
        tracks[worker.name] = {"facts": facts, "losses": losses, "turns": []}
        after[worker.name] = load_arrays(saved)
    agreement, distances = {}, {}
    for name in tracks:
        if name != REFERENCE:
            both = tracks[name]["losses"], tracks[REFERENCE]["losses"]
            agreement[name] = compare_runs(*both, start, after[name], after[REFERENCE])
            if attack:
                pairs = {when: (perturbed[name][when], perturbed[REFERENCE][when]) for when in ATTACK_TOLERANCES}
                distances[name] = {when: relative_distance(*pair) for when, pair in pairs.items()}
    attacked = None
    if attack:
        attacked = {**attack._asdict(), "agreement": distances, "tracks": {name: {"turns": []} for name in tracks}}
    return tracks, agreement, attacked


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


def summarize_attack(attacked: dict[str, Result], tracks: dict[str, Result]) -> Result:
    """{"tracks", "ratios"} of an attack: its seconds, and in `passes` those over the forward and backward of the round's
    training steps, in the same track."""
    found = {}
    for name, track in attacked.items():
        passes = []
        for turn, trained in zip(track["turns"], tracks[name]["turns"], strict=True):
            one = float(np.median([forward + backward for forward, backward, _ in trained["phases"]]))
            passes.append(turn["seconds"] / one)
        summary = {"seconds": summarize([turn["seconds"] for turn in track["turns"]]), "passes": summarize(passes)}
        found[name] = {"turns": track["turns"], "passes": passes, "summary": summary}
    seconds = {name: [[turn["seconds"]] for turn in track["turns"]] for name, track in attacked.items()}
    return {"tracks": found, "ratios": all_ratios(seconds)}


def all_ratios(seconds: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, Result]:
    """{name: {"rounds", "summary"}}: the first track's times over each other's, round by round."""
    ours, *others = seconds
    ratios = {name: paired_ratios(seconds[ours], seconds[name]) for name in others}
    return {name: {"rounds": values, "summary": summarize(values)} for name, values in ratios.items()}


def attacks_agree(attacked: Result) -> bool:
    """Whether all tracks' perturbations are torch's, as far as rounding lets them. NaN agrees with nothing."""
    found = attacked["agreement"].values()
    return all(track[when] <= most for track in found for when, most in ATTACK_TOLERANCES.items())


def measure_memory(job: Job, names: Sequence[str], environment: Mapping[str, str], start_file: Path) -> Result:
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


def measure_loading(job: Job, environment: Mapping[str, str], data: str | None, workers: int) -> Result:
    """What `Server.loading` finds, with summaries: the seconds a batch costs by itself, of which the last are normalising."""
    say("loader")
    with Worker("loader", job, environment) as worker:
        found = worker.ask("loading", data=data, workers=workers)
    say("")
    return found | {"summary": {part: summarize(found[part]) for part in ("seconds", "normalising")}}


def prepare(job: Job, folder: Path) -> tuple[Path, Arrays]:
    """The job's start, in a file of the folder, and as arrays."""
    start = make_start(job)
    file = folder / "start.npz"
    save_arrays(file, start)
    return file, start


def turn_steps(step: float, seconds: float, least: int = 1, most: int = 20) -> int:
    """How many steps a turn has so that it times about so many seconds."""
    return min(max(math.ceil(seconds / step), least), most)


def say(text: str) -> None:
    """Progress: on a terminal one line that is written over, elsewhere a line each."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, flush=True)
