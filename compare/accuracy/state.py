"""The result of an experiment, as it grows: what it is of, the runs that are done, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compare.accuracy.attacked import compared, figures, pooled
from compare.accuracy.experiments import Pair
from compare.accuracy.measure import Plan
from compare.kit.result import Result, read_result, write_result
from compare.kit.statistics import LEVEL, NAMES, TESTS, mean_and_error
from minigrad.errors import OptionError

FORMAT = "compare accuracy 1"
IDENTITY = ("experiment", "scale", "start", "dataset", "recipe")
CURVES = ("lr", "train_loss", "train_top1", "train_top5", "val_loss", "val_top1", "val_top5")
# What decides whether two arms are the same. The others are shown beside them: they say the same once more.
DECIDING = ("top1", "loss", "report_top1", "untargeted_top1")


class State:
    """A result, kept in a file as runs are finished."""

    def __init__(self, path: Path | None, name: str, plan: Plan, begun: Result) -> None:
        """What is at `path`, or nothing yet. OptionError, and nothing overwritten, for what is of something else."""
        self.path, self.plan = path, plan
        pairs = plan.experiment.pairs
        self.result: Result = {
            **begun,
            "experiment": name,
            "scale": plan.scale,
            "start": plan.start,
            "dataset": plan.dataset(),
            "recipe": plan.recipe(),
            "reported": {pair.label: dict(pair.reported) for pair in pairs},
            "other_teams": {pair.label: dict(pair.other_teams) for pair in pairs},
            "seeds": [],
            "runs": [],
        }
        if path is not None and path.exists():
            found = read_result(path, FORMAT)
            _same(path, found, self.result)
            self.result |= {
                key: found[key] for key in ("command", "started", "commit", "machine", "versions", "seeds", "runs")
            }

    def has(self, arm: str, seed: int) -> bool:
        """Whether that run is there."""
        return any(run["arm"] == arm and run["seed"] == seed for run in self.result["runs"])

    def wants(self, arms: Sequence[str], seeds: Sequence[int]) -> None:
        """What the result is to have; it says whether it has."""
        self.wanted = [(arm, seed) for arm in arms for seed in seeds]
        self.result["seeds"] = sorted({*self.result["seeds"], *seeds})
        self._conclude()

    def add(self, run: Result) -> None:
        """One more run; the file has it from now on."""
        self.result["runs"].append(run)
        self._conclude()
        write_result(self.path, self.result)

    def _conclude(self) -> None:
        arms = [arm.name for arm in self.plan.experiment.arms]
        runs = self.result["runs"]
        runs.sort(key=lambda run: (run["seed"], arms.index(run["arm"])))
        self.result["complete"] = all(self.has(arm, seed) for arm, seed in self.wanted)
        self.result["summary"] = {
            arm: summary(of) for arm in arms if (of := [run for run in runs if run["arm"] == arm])
        }
        resolution = 100 / self.result["dataset"]["validation_images"]
        self.result["test"] = {
            "name": NAMES[self.plan.start],
            "level": LEVEL,
            "pairs": [tested(runs, pair, self.plan.start, resolution) for pair in self.plan.experiment.pairs],
        }


def summary(runs: Sequence[Result]) -> dict[str, Any]:
    """Of an arm: mean and standard error over the seeds of its final figures, and of its curves; its cost."""

    def of(values: Sequence[float]) -> dict[str, Any]:
        return dict(zip(("mean", "error"), mean_and_error(values), strict=True))

    finals = [{**run["final"], **_attacked(run)} for run in runs]
    speeds = [row["images_per_second"] for run in runs for row in run["epochs"]]
    return {
        "seeds": [run["seed"] for run in runs],
        "final": {name: of([final[name] for final in finals]) for name in finals[0]},
        "curves": {
            name: [of([run["epochs"][epoch][name] for run in runs]) for epoch in range(len(runs[0]["epochs"]))]
            for name in CURVES
        },
        "seconds": of([run["seconds"] for run in runs]),
        "images_per_second": of(speeds),
        "peak_memory_bytes": of([run["peak_memory_bytes"] for run in runs]),
    }


def tested(runs: Sequence[Result], pair: Pair, start: str, resolution: float) -> dict[str, Any]:
    """A pair's figures, each by the test: of the seeds that both arms have."""
    first, second = ({run["seed"]: run for run in runs if run["arm"] == arm} for arm in (pair.first, pair.second))
    both = [(first[seed], second[seed]) for seed in sorted(first.keys() & second.keys())]
    entry = {"label": pair.label, "first": pair.first, "second": pair.second, "same": pair.same, "seeds": len(both)}
    finals = [[{**run["final"], **_attacked(run)} for run in runs_of] for runs_of in both]
    found = {}
    for name in finals[0][0] if finals else ():
        ours, theirs = ([final[i][name] for final in finals] for i in (0, 1))
        images = _images(both[0][0], name)
        least = 0.0 if name == "loss" else 100 / images if images else resolution
        found[name] = TESTS[start](ours, theirs, least)
    return {**entry, "figures": found}


def _attacked(run: Result) -> dict[str, float]:
    """The figures under attack, of a run that was attacked by its own framework."""
    attacks = run.get("attacks")
    return figures(attacks) if attacks and len(attacks["settings"]["tracks"]) == 1 else {}


def _images(run: Result, figure: str) -> int | None:
    """On how many images a figure under attack was measured."""
    return run["attacks"]["settings"]["images"] if figure in _attacked(run) else None


def differing(result: Result) -> list[str]:
    """What ought to be the same and is not, in words."""
    found = []
    for pair in result["test"]["pairs"]:
        for name, figure in pair["figures"].items():
            if pair["same"] and name in DECIDING and figure["equal"] is False:
                found.append(f"{pair['label'] + ', ' if pair['label'] else ''}{name} ({figure['difference']:+.2f})")
    if result["experiment"] == "attack-table":
        for line, hits in pooled(result["runs"]).items():
            found += [f"{line}, {top} ({d})" for top, d in compared(hits).items() if not d.alike]
    return found


def _same(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """OptionError unless what was found can be gone on with."""
    stays = "nothing was overwritten"
    for name in IDENTITY:
        if found.get(name) != wanted[name]:
            here, there = _leaves(wanted[name]), _leaves(found.get(name))
            key = next((key for key in {**here, **there} if here.get(key) != there.get(key)), "")
            what = " ".join(filter(None, (name, key)))
            raise OptionError(f"--json {path} has {what} {there.get(key)}, not {here.get(key)}: {stays}")
    try:
        sound = all({"final", "epochs", "seconds", "peak_memory_bytes"} <= run.keys() for run in found["runs"])
        [summary([run]) for run in found["runs"]]
        names = {(run["arm"], run["seed"]) for run in found["runs"]}
        known = set(wanted["recipe"]["arms"])
        sound = sound and len(names) == len(found["runs"]) and {arm for arm, _ in names} <= known
        sound = sound and all(key in found for key in ("command", "started", "commit", "machine", "versions", "seeds"))
    except (KeyError, TypeError, AttributeError, ValueError, IndexError):
        sound = False
    if not sound:
        raise OptionError(f"--json {path} is damaged: {stays}")


def _leaves(value: Any, name: str = "") -> dict[str, Any]:
    """A nested dictionary made flat: {"options.lr": .1}."""
    if not isinstance(value, Mapping):
        return {name: value}
    return {k: v for key, inner in value.items() for k, v in _leaves(inner, f"{name}.{key}" if name else key).items()}
