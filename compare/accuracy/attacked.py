"""How the networks of an experiment stand attacks: python -m compare attacks, on each run's best checkpoint."""

from __future__ import annotations

import json
from collections.abc import Sequence

from compare.accuracy.experiments import Arm
from compare.accuracy.measure import Plan, run_folder
from compare.attacks.lines import PLAIN, Line, table_lines
from compare.attacks.measure import Target, attack_all, device_for, settings_of
from compare.attacks.results import Results
from compare.kit.frameworks import FRAMEWORKS
from compare.kit.letters import TOP, Difference, accuracy, difference
from compare.kit.result import Result


def attack(plan: Plan, arm: Arm, seed: int, frameworks: Sequence[str]) -> Result:
    """The attacks on a run's network, as the results of compare attacks have them; kept beside the run, batch by batch."""
    asked = plan.experiment.attack
    assert asked is not None
    by = list(frameworks) if asked.both else [arm.framework]
    folder, options = run_folder(plan, arm, seed), plan.options(arm)
    images, device = plan.images("val", asked.images[plan.scale]), device_for(plan.device, by)
    settings, checkpoints = options["settings"], {PLAIN: folder / "best.safetensors"}
    target = Target(options["model"], settings, options["image_size"], checkpoints, images, device, seed)
    whole = by == list(FRAMEWORKS) or not asked.both
    path = folder / ("attacks.json" if whole else f"attacks-{'-'.join(by)}.json")
    lines = table_lines([PLAIN], asked.presets, asked.rows)
    results = Results(path, settings_of(target, by), lines, images.std)
    if not results.complete:
        attack_all(target, {name: FRAMEWORKS[name](device) for name in by}, results)
    found = json.loads(path.read_text())
    return {name: found[name] for name in ("settings", "std", "lines")} | {"runs": []}


def figures(attacks: Result) -> dict[str, float]:
    """{"clean_top1": ..., "report_top1": ...} of a network that was attacked by one framework, one row a preset."""
    results = Results.of(attacks)
    (framework,) = results.frameworks
    return {
        f"{line.preset}_{top}": value
        for line in results.lines
        for top, value in zip(TOP, results.accuracy(line, framework), strict=True)
    }


def pooled(runs: Sequence[Result]) -> dict[Line, dict[str, str]]:
    """The letters of all the networks, one behind the other: {line: {framework: letters}}."""
    found: dict[Line, dict[str, str]] = {}
    for run in runs:
        for line, hits in Results.of(run["attacks"]).hits.items():
            for framework, letters in hits.items():
                here = found.setdefault(line, {})
                here[framework] = here.get(framework, "") + letters
    return found


def compared(hits: dict[str, str]) -> dict[str, Difference]:
    """{"top1": Difference, "top5": Difference} of a line that both frameworks attacked; {} of one."""
    return {top: difference(hits["minigrad"], hits["torch"], top) for top in TOP} if len(hits) == 2 else {}


def accuracies(letters: str) -> tuple[float, float]:
    """Top-1 and top-5 in percent."""
    return accuracy(letters, "top1"), accuracy(letters, "top5")
