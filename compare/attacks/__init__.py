"""python -m compare attacks: how right a trained network stays under attack, in both tracks side by side.

The table: the images as they are, and the six attacks (steps, epsilon, alpha) of the original report under three presets:
`handout` goes down the loss of the least likely class, `report` up that loss (what the original did; its figures stand
beside), `untargeted` up the label's loss. All in normalised units, in the max norm, from the image, without clipping.
--rows may give epsilon and alpha for each channel: 10/0.1:0.2:0.3/0.01.

--defended FILE holds a second checkpoint, one that was trained on attacked images, against the first.

--sweep draws top-1 and top-5 against epsilon instead: 10 steps of epsilon / 4 under each preset, and noise of that size.

Each track attacks with its own gradients. A difference between the tracks is given in points, with its standard error from
the m images that only one of them gets right: 100 sqrt(m) / N. The exit code is 1 if a difference is above 0.3 points and
three of those errors: the fewer the images, the more has to be allowed.

--examples N keeps N images under the first preset with the results, for the report: rows 2, 4 and 7 of the original's table.
The file then holds the images themselves: publish it only if they may be passed on (the embedded ones may).

--json keeps results as they come. The same command goes on where it stopped; other settings or weights are refused.

A checkpoint of a run brings model, settings, data and image size along; beside a file of weights alone they have to be given.
"""

from __future__ import annotations

import argparse
import hashlib
import math
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from compare.attacks import show as attack_report
from compare.attacks.curve import draw
from compare.attacks.examples import SHOWN_ROWS, draw_examples, make_examples
from compare.attacks.lines import (
    DEFENDED,
    EPSILONS,
    NOISE,
    PLAIN,
    PRESETS,
    ROWS,
    sweep_lines,
    table_lines,
    written,
)
from compare.attacks.results import FORMAT, Results
from compare.attacks.tracks import TRACKS, Job, Track, attacked, noisy, open_track
from compare.kit.arguments import Parser, add_trained, count, read_trained
from compare.kit.result import Result, check_target, check_writable, origin
from compare.kit.tables import Table
from minigrad.data import normalize, open_dataset
from minigrad.device import Device, get_device
from minigrad.errors import OptionError
from minigrad.files import write_atomically
from minigrad.training.checkpoints import find_checkpoint
from minigrad.training.progress import Progress
from minigrad.training.recipes import model_settings

BATCH = 100
MOST_STEPS = 10_000
PRINT_FREQ = 5  # batches between two lines of progress, where no bar can be drawn


def run(arguments: Sequence[str]) -> int:
    """Measure what is not measured yet, print the table, draw. Returns 0, or 1 if the two tracks differ."""
    options = parse(arguments)
    job = make_job(options)
    checkpoints = list(job.checkpoints)
    if options.sweep:
        lines = sweep_lines(options.presets, options.sweep)
    else:
        lines = table_lines(checkpoints, options.presets, options.rows)
    results = Results(options.json, settings_of(job, options.tracks), lines, job.data.std)
    wanting = bool(options.examples) and len((results.examples or {"images": []})["images"]) != options.examples
    if not results.complete or wanting:
        tracks = {name: open_track(name, job.device) for name in options.tracks}
        results.runs.append(origin("attacks", arguments))
        measure(job, tracks, results)
    if wanting:
        shown = [row for row in SHOWN_ROWS if row in options.rows] or options.rows[:1]
        first = tracks[options.tracks[0]]
        results.examples = make_examples(job, first, results, options.examples, options.presets[0], shown)
        results.write()
    print(attack_report.report(results))
    if options.sweep:
        write_atomically(options.picture, draw(results))
        print(f"picture: {options.picture}")
    return 0 if results.agree else 1


def tables(result: Result) -> list[Table]:
    """Accuracies, track beside track; with a defended network, what the defence brings."""
    return attack_report.tables(Results.of(result))


def pictures(result: Result) -> dict[str, bytes]:
    """A sweep's curves, once it is measured; images under attack, where they were kept."""
    results = Results.of(result)
    found = {"sweep": draw(results)} if results.swept and results.complete else {}
    return found | ({"examples": draw_examples(results, results.examples)} if results.examples else {})


def verdict(result: Result) -> str:
    """What the attacks leave of the accuracy, and whether the tracks say the same."""
    return attack_report.verdict(Results.of(result))


# options


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a command line. OptionError for what is unknown, out of range, or cannot be written."""
    parser = Parser("attacks", __doc__)
    add_trained(parser)
    add = parser.add_argument
    rows = ",".join("/".join(f"{value:g}" for value in row) for row in ROWS)
    epsilons = ",".join(f"{epsilon:g}" for epsilon in EPSILONS)
    add("--defended", metavar="FILE", help="the same of a network that was trained on attacked images")
    add("--limit", type=count(1, 10**9), help="at most so many validation images, of all classes alike (all)")
    add("--presets", type=some_of("presets", PRESETS), default=list(PRESETS), help=f"({','.join(PRESETS)})")
    add("--rows", type=row_list, help=f"steps/epsilon/alpha ({rows}; with --defended the first)")
    add("--tracks", type=some_of("tracks", TRACKS), default=list(TRACKS), help=f"who attacks ({','.join(TRACKS)})")
    add("--sweep", type=epsilon_list, nargs="?", const=list(EPSILONS), metavar="EPSILONS", help=f"({epsilons})")
    add("--picture", type=Path, metavar="FILE.png", help="the picture of --sweep (attacks-sweep.png)")
    add("--examples", type=count(1, 8), metavar="N", help="keep N images under attack in --json too, for the report")
    add("--json", type=Path, metavar="FILE", help="results: kept as they come, gone on with by the same command")
    add("--device", default="cpu", help="cpu, gpu, gpu:1, or auto: a GPU if there is one (cpu)")
    add("--seed", type=count(0, 2**31 - 1), default=2024, help="decides the noise of --sweep (2024)")
    options = parser.parse_args(arguments)
    if options.sweep:
        foreign = [name for name in ("rows", "defended", "examples") if getattr(options, name)]
        if foreign:
            raise OptionError(f"--{foreign[0]} belongs to the tables, not to --sweep")
        if find_spec("matplotlib") is None:
            raise OptionError("--sweep needs matplotlib: pip install matplotlib")
        options.picture = options.picture or Path("attacks-sweep.png")
        if options.picture.suffix.lower() != ".png":
            raise OptionError(f"--picture {options.picture}: a name that ends in .png is wanted")
    elif options.picture:
        raise OptionError(f"--picture {options.picture}: only --sweep draws one")
    if options.examples and options.json is None:
        raise OptionError("--examples are kept in a file of results: name one with --json")
    options.rows = options.rows or list(ROWS[:1] if options.defended else ROWS)
    check_target(options.json, FORMAT)
    if options.picture is not None:
        check_writable(options.picture, "--picture")
    return options


def some_of(what: str, known: Sequence[str]) -> Callable[[str], list[str]]:
    """An argparse type: names, with commas between them, each once."""

    def convert(text: str) -> list[str]:
        names = text.split(",")
        if set(names) - set(known) or len(set(names)) < len(names):
            raise argparse.ArgumentTypeError(f"{what} are some of {','.join(known)}, each once, not {text!r}")
        return names

    return convert


def row_list(text: str) -> list[tuple[int, Any, Any]]:
    """An argparse type: attacks such as 10/.1/.01,20/1/.01, or with a number for each channel 10/.1:.2:.3/.01."""

    def amount(text: str) -> float | tuple[float, ...]:
        numbers = tuple(float(number) for number in text.split(":"))
        if not all(0 <= number < math.inf for number in numbers):
            raise ValueError
        return numbers if len(numbers) > 1 else numbers[0]

    try:
        parts = [part.split("/") for part in text.split(",")]
        rows = [(int(steps), amount(epsilon), amount(alpha)) for steps, epsilon, alpha in parts]
    except ValueError:
        rows = []
    sound = all(1 <= row[0] <= MOST_STEPS for row in rows)
    if not rows or not sound or len(set(rows)) < len(rows):
        raise argparse.ArgumentTypeError(
            f"rows are steps/epsilon/alpha such as 10/.1/.01,20/1/.01, each once, 1 to {MOST_STEPS} steps, not {text!r}"
        )
    return rows


def epsilon_list(text: str) -> list[float]:
    """An argparse type: epsilons such as .01,.05,.1; 0 is drawn anyway."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not any(found) or not all(0 <= value < math.inf for value in found) or len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(
            f"finite epsilons from 0 on such as 0,.01,.1 are wanted, each once, not {text!r}"
        )
    return found


def make_job(options: argparse.Namespace) -> Job:
    """What the options and the checkpoint say. OptionError, DataError, CheckpointError for what is not there."""
    plain = read_trained(options)
    checkpoints = {PLAIN: plain.checkpoint}
    if options.defended:
        checkpoints[DEFENDED] = find_checkpoint(options.defended, "best.safetensors")
    if "minigrad" in options.tracks or options.device == "auto":
        device = str(get_device(options.device))
    else:  # torch has its own road to the GPU
        device = str(Device(options.device))
    data = open_dataset(plain.source, "val", plain.image_size, options.limit)
    for row in options.rows:
        if any(isinstance(value, tuple) and len(value) != data.channels for value in row):
            told = "/".join(map(written, row))
            raise OptionError(f"--rows {told}: a number for each channel, but the images have {data.channels} channels")
    settings = model_settings(plain.model, plain.image_size, plain.settings)
    return Job(plain.model, settings, plain.image_size, checkpoints, data, device, options.seed)


def settings_of(job: Job, tracks: Sequence[str]) -> dict[str, Any]:
    """What has to be the same for results to belong together; the lines stand by themselves."""
    return {
        "model": job.model,
        "settings": job.settings,
        "weights": {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in job.checkpoints.items()},
        "data": job.data.name,
        "classes": len(job.data.classes),
        "images": len(job.data),
        "image_size": job.image_size,
        "labels": hashlib.sha256(job.data.labels.tobytes()).hexdigest(),
        "tracks": list(tracks),
        "device": job.device,
        "seed": job.seed,
    }


# measuring


def measure(job: Job, tracks: dict[str, Track], results: Results) -> None:
    """Attack what is not yet attacked: path by path, on each path track by track, batch by batch."""
    paths = [list(lines) for _, lines in groupby(sorted(results.lines, key=results.order), lambda line: line.path)]
    networks = {
        (name, who): track.load(job, path) for name, track in tracks.items() for who, path in job.checkpoints.items()
    }
    print("reading the images", flush=True)
    images = np.stack([job.data.load(index, None) for index in range(len(job.data))])
    for number, lines in enumerate(paths, 1):
        whose = f"{lines[-1].checkpoint}, " if len(job.checkpoints) > 1 else ""
        for name, track in tracks.items():
            done = len(results.hits[lines[0]][name])
            if done == len(images):
                continue
            starts = range(done, len(images), BATCH)
            title = f"{number}/{len(paths)} {whose}{lines[-1]}, {name}"
            with Progress(title, len(starts), BATCH, PRINT_FREQ) as progress:
                for start in starts:
                    batch = slice(start, start + BATCH)
                    inputs: np.ndarray = normalize(images[batch], job.data.mean, job.data.std)
                    if lines[0].preset == NOISE:
                        inputs = noisy(inputs, lines[0].epsilon, np.random.default_rng([job.seed, start]))
                    network = networks[name, lines[0].checkpoint]
                    results.add(name, attacked(track, network, inputs, job.data.labels[batch], lines))
                    progress.update(len(inputs))
            for line in lines:
                top1, top5 = results.accuracy(line, name)
                print(f"{number}/{len(paths)} {whose}{line}, {name}: top-1 {top1:.2f}, top-5 {top5:.2f}", flush=True)
