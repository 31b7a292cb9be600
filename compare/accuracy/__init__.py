"""python -m compare accuracy EXPERIMENT: does minigrad learn what torch learns, by the recipes of the original report.

    python -m compare accuracy                                 the experiments, their recipes, what was reported of them
    python -m compare accuracy simplenet-60 --scale small      on the embedded images: minutes on two cores
    python -m compare accuracy simplenet-60 --data miniplaces  the full recipe

Each experiment trains in both tracks, with several seeds, by train_minigrad.py and train_torch.py themselves. With one seed
both start from the same weights (--start own: each from its own) and see the same batches, attacked and masked alike. Of
the last epoch's top-1, top-5 and loss on the validation images stand means and standard errors, the difference with its
99 % interval, and whether a paired t test calls it one: different where p < .01, else equal, and the interval says how
large a difference could still be hidden. One in a hundred such tests says different of what is the same: more seeds tell
(the same command with a larger --seeds adds them). The exit code is 1 if top-1 or loss differ.

Scales: full is the recipe; small has fewer and smaller images, fewer epochs, and the rates that go with them; smoke shows
within seconds that all of it works. The result says all of it. On two cores a small experiment takes 3 to 9 minutes.

Whatever is done stays done: runs in folders under --runs (interrupted ones go on where they stopped), the result in --json.
The same command goes on; a file or folder of other settings is refused, and stays as it is. attack-table attacks the
networks of simplenet-60, and trains them if they are not there.
"""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from compare.accuracy import show
from compare.accuracy.attacked import attack
from compare.accuracy.experiments import EXPERIMENTS, SCALES, Arm, find, options_of, seeds_of
from compare.accuracy.measure import Plan, train
from compare.accuracy.show import overview, picture_of_two, pictures, tables, verdict
from compare.accuracy.state import FORMAT, State, differing
from compare.attacks import some_of
from compare.attacks.tracks import TRACKS
from compare.kit.arguments import Parser, count
from compare.kit.result import check_target, write_result
from compare.kit.tables import as_text
from minigrad.errors import MinigradError, OptionError
from minigrad.training.recipes import as_written

__all__ = ["FORMAT", "overview", "picture_of_two", "pictures", "run", "tables", "verdict"]


def run(arguments: Sequence[str]) -> int:
    """Do what is not done yet, print the tables. Returns 0, or 1 if what ought to be the same differs."""
    options = parse(arguments)
    if options.list or options.experiment is None:
        print(listed())
        return 0
    experiment = find(options.experiment)
    if options.scale == "full" and options.data is None:
        raise OptionError("the full recipe is for MiniPlaces: --data FOLDER, or --scale small (the embedded images)")
    if "torch" in options.tracks and find_spec("torch") is None:
        raise MinigradError('PyTorch is not installed: --tracks minigrad, or pip install -e ".[reference]"')
    check_target(options.json, FORMAT)
    data = str(Path(options.data).resolve()) if options.data and Path(options.data).exists() else options.data
    folder = options.runs or Path("runs", "compare")
    folder /= f"{experiment.folder or options.experiment}-{options.scale}"
    plan = Plan(experiment, options.scale, data, options.device, options.start, folder)
    state = State(options.json, options.experiment, plan, arguments)

    both = experiment.attack is not None and experiment.attack.both  # then one track trains, and both attack
    arms = [arm for arm in experiment.arms if arm.track in options.tracks or both]
    seeds = seeds_of(experiment, options.scale, options.seeds)
    state.wants([arm.name for arm in arms], seeds)
    write_result(options.json, state.result)
    with stoppable():
        for seed in seeds:
            for arm in arms:
                if not state.has(arm.name, seed):
                    one_run(state, arm, seed, options.tracks)
    print("\n\n".join(["", *map(as_text, tables(state.result)), verdict(state.result)]))
    return 1 if differing(state.result) else 0


def one_run(state: State, arm: Arm, seed: int, tracks: Sequence[str]) -> None:
    """Train, and attack if the experiment does; the result has it from then on."""
    plan = state.plan
    print(f"{state.result['experiment']} ({plan.scale}): {arm.name}, seed {seed}", flush=True)
    run = train(plan, state.result["dataset"], arm, seed)
    if plan.experiment.attack:
        run["attacks"] = attack(plan, arm, seed, tracks)
    state.add(run)


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM does what Ctrl-C does: the script that trains is told to save."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a command line. OptionError for what is unknown or out of range."""
    parser = Parser("accuracy", __doc__)
    add = parser.add_argument
    add("experiment", nargs="?", help=f"one of {', '.join(EXPERIMENTS)}")
    add("--list", action="store_true", help="the experiments, their recipes at each scale, what was reported")
    add("--scale", choices=SCALES, default="full", help="how large (full)")
    add("--seeds", type=count(1, 1000), help="how many, from 2024 on (the experiment's own number, see --list)")
    add("--data", help="as in training: a folder, or a data set's name (below full: the embedded images)")
    add("--tracks", type=some_of("tracks", TRACKS), default=list(TRACKS), help=f"who trains ({','.join(TRACKS)})")
    add("--start", choices=["shared", "own"], default="shared", help="the weights that a seed starts from (shared)")
    add("--device", default="auto", help="cpu, gpu, gpu:1, or auto: a GPU if there is one (auto)")
    add(
        "--json",
        type=Path,
        metavar="FILE",
        help="the result: kept as runs are finished, gone on with by the same command",
    )
    add("--runs", type=Path, metavar="FOLDER", help="where runs are kept, in folders EXPERIMENT-SCALE (runs/compare)")
    return parser.parse_args(arguments)


def listed() -> str:
    """The experiments, in text."""
    lines = []
    for name, experiment in EXPERIMENTS.items():
        lines += [f"{name}: {experiment.title}"]
        for scale in SCALES:
            options = options_of(experiment, scale, experiment.arms[0], False)
            told = " ".join(as_written(key, value) for key, value in options.items())
            seeds = experiment.seeds[scale]
            lines.append(f"  {scale:6} {told}; {seeds} seed{'s' * (seeds > 1)}")
        for pair in experiment.pairs:
            for what, figures in (("reported", pair.reported), ("other teams", pair.other_teams)):
                if figures:
                    label = f"{pair.label}: " if pair.label else ""
                    told = "; ".join(f"{show.NAMES[key]} {_number(value)}" for key, value in figures.items())
                    lines.append(f"  {what}: {label}{told}")
        lines += [f"  {remark}" for remark in experiment.remarks] + [""]
    return "\n".join(lines).rstrip()


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.2f}"
