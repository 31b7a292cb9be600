"""One training run, by the script itself in a process of its own: begun, gone on with if it was interrupted, or just read.

FOLDER/start-2024.safetensors   what both frameworks start from with that seed
FOLDER/minigrad-2024/           the run folder of the script (metrics.jsonl, best.safetensors ...), and beside its files
    origin.json                 who began it: command, commit, machine, versions, when
    attacks.json                how its best checkpoint stands attacks, where the experiment asks for that
"""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import minigrad
import models
from compare.accuracy.experiments import ON_MINIPLACES, Arm, Experiment, options_of
from compare.kit.result import ROOT, Result, origin, portable
from minigrad.data import open_dataset
from minigrad.data.dataset import ImageDataset
from minigrad.errors import CheckpointError, MinigradError, OptionError
from minigrad.training import initial_weights, parse_options
from minigrad.training.folder import RUN_FILES, write_json
from minigrad.training.options import FREE_ON_RESUME, as_dict
from minigrad.training.recipes import as_written
from minigrad.weights import save_weights

STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM)
QUIET = ["--print-freq", str(10**9)]
# Options that say nothing about what is learnt, or that stand elsewhere in a result.
ELSEWHERE = (FREE_ON_RESUME - {"conv", "custom_conv", "epochs"}) | {"weights", "seed"}


@dataclass(frozen=True)
class Plan:
    """What all runs of an experiment share. start: "shared" between the frameworks, or each one's "own".

    weights: a file of ImageNet weights, where torchvision's cache is not to be asked for them. data_on_device: minigrad keeps all
    images in a GPU's memory.
    """

    experiment: Experiment
    scale: str
    data: str | None
    device: str
    start: str
    folder: Path
    weights: Path | None = None
    data_on_device: bool = False

    def arguments(self, arm: Arm) -> list[str]:
        """The options of an arm, as its script takes them: all but seed, start, folder and device."""
        folder = self.data is not None and Path(self.data).exists()
        options = options_of(self.experiment, self.scale, arm, folder)
        given = [part for name, value in options.items() for part in as_written(name, value).split()]
        return given + (["--data", self.data] if self.data else [])

    def options(self, arm: Arm) -> dict[str, Any]:
        """The same with every default filled in, as JSON holds them."""
        parsed = parse_options(self.arguments(arm), models.MODELS, script(arm.framework))
        return json.loads(json.dumps(as_dict(parsed)))

    def recipe(self) -> dict[str, Any]:
        """{"options": those of all arms, "arms": {arm: what it has beside them}, "initial_weights", "attack"}."""
        found = {arm.name: self.options(arm) for arm in self.experiment.arms}
        first = next(iter(found.values()))
        common = {k: v for k, v in first.items() if all(options[k] == v for options in found.values())}
        attack = self.experiment.attack
        return {
            "options": {key: value for key, value in common.items() if key not in ELSEWHERE},
            "arms": {
                arm: {key: value for key, value in options.items() if key not in {*common, *ELSEWHERE}}
                for arm, options in found.items()
            },
            "initial_weights": self.initial,
            "attack": attack
            and {
                "rows": [list(row) for row in attack.rows],
                "presets": list(attack.presets),
                "images": attack.images[self.scale],
            },
        }

    @property
    def initial(self) -> str:
        """What the weights are that training starts with: "imagenet", or "random"."""
        return self.experiment.initial if self.scale in ON_MINIPLACES else "random"

    @property
    def source(self) -> str:
        """Where the scripts find those weights: a file, or torchvision's cache."""
        return str(self.weights.resolve()) if self.weights else self.initial

    def images(self, split: str, limit: int | None = None) -> ImageDataset:
        """The images of a split. DataError, in one line, if they are not there."""
        options = self.options(self.experiment.arms[0])
        return open_dataset(self.data, split, options["image_size"], limit or options[f"limit_{split}"])

    def dataset(self) -> dict[str, Any]:
        """What the networks are trained on."""
        train, val = self.images("train"), self.images("val")
        return {
            "name": val.name,
            "training_images": len(train),
            "validation_images": len(val),
            "classes": len(val.classes),
            "channels": val.channels,
            "image_size": self.options(self.experiment.arms[0])["image_size"],
        }


def script(framework: str) -> str:
    """The file that trains."""
    return f"train_{framework}.py"


def run_folder(plan: Plan, arm: Arm, seed: int) -> Path:
    """Where a run is kept."""
    return plan.folder / f"{arm.name.replace(' ', '-')}-{seed}"


def train(plan: Plan, dataset: Mapping[str, Any], arm: Arm, seed: int) -> Result:
    """What a run came to (`read`), once it is at its end: it is begun, or gone on with, as far as that is not so.

    OptionError if its folder holds a run of other settings; MinigradError, in one line, for what the script complains of;
    KeyboardInterrupt if it was stopped (then it is saved).
    """
    folder = run_folder(plan, arm, seed)
    device = ["--device", plan.device, *QUIET]
    if plan.data_on_device and arm.framework == "minigrad":
        device.append("--data-on-device")
    if not (folder / "last.safetensors").is_file():
        _begin(plan, dataset, arm, seed, folder, device)
    else:
        _check(plan, dataset, arm, seed, folder)
        if len(_epochs(folder)) < plan.options(arm)["epochs"]:
            print(f"  going on with {folder}", flush=True)
            call(arm.framework, ["--resume", _from_root(folder), *device])
    if not (folder / "evaluation.json").is_file():
        call(arm.framework, ["--resume", _from_root(folder), "--evaluate", "--tta", *device])
    return read(folder, arm, seed)


def read(folder: Path, arm: Arm, seed: int) -> Result:
    """A finished run: its origin, an entry an epoch, and what it came to.

    final: top1, top5, loss on the validation images after the last epoch, and mirrored_top1, mirrored_top5: the best
    epoch's network, its answers averaged with those for the mirrored images. seconds: of training alone.
    """
    config, mirrored = (json.loads((folder / name).read_text()) for name in ("config.json", "evaluation.json"))
    epochs = _epochs(folder)
    images = config["steps_per_epoch"] * config["options"]["batch_size"]
    return {
        "arm": arm.name,
        "track": arm.framework,
        "seed": seed,
        **json.loads((folder / "origin.json").read_text()),
        **{name: config[name] for name in ("framework", "device", "parameters")},
        "seconds": sum(images / row["images_per_second"] for row in epochs),
        "peak_memory_bytes": max(row["peak_memory_bytes"] for row in epochs),
        "final": {
            **{name: epochs[-1][f"val_{name}"] for name in ("top1", "top5", "loss")},
            **{f"mirrored_{name}": mirrored[name] for name in ("top1", "top5")},
        },
        "epochs": epochs,
    }


def call(framework: str, arguments: Sequence[str]) -> None:
    """Run a script to its end, and pass on its line of each epoch."""
    command = [sys.executable, script(framework), *arguments]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C comes from here, once: a script that is asked twice does not save
    )
    assert process.stdout is not None
    last = ""
    try:
        for line in process.stdout:
            if line.startswith("epoch ") and "val loss" in line:
                print(f"  {line.rstrip()}", flush=True)
            last = line.strip() or last
        code = process.wait()
    except BaseException:
        process.send_signal(signal.SIGINT)
        process.communicate()
        raise
    if code in STOPPED:
        raise KeyboardInterrupt
    if code:
        ended = f"{script(framework)} ended with exit code {code}: {last}"
        raise MinigradError(last.removeprefix("error: ") if last.startswith("error: ") else ended)


def _begin(plan: Plan, dataset: Mapping[str, Any], arm: Arm, seed: int, folder: Path, device: Sequence[str]) -> None:
    """Start a run anew; a folder that was left before there was anything to go on from is taken again."""
    arguments = [*plan.arguments(arm), "--seed", str(seed), "--out", _from_root(folder)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if plan.start == "shared":
            arguments += ["--weights", _from_root(_start(plan, dataset, seed))]
        elif plan.initial != "random":
            arguments += ["--weights", plan.source]
        for name in RUN_FILES if (folder / "origin.json").is_file() else ():
            (folder / name).unlink(missing_ok=True)
        began = origin("accuracy", [])
        began["command"] = shlex.join(["python", script(arm.framework), *map(portable, arguments)])
        write_json(folder / "origin.json", began)
    except OSError as error:
        raise OptionError(f"--runs {plan.folder.parent}: {folder}: {error.strerror}") from error
    call(arm.framework, [*arguments, *device])


def _start(plan: Plan, dataset: Mapping[str, Any], seed: int) -> Path:
    """The weights that both frameworks start from, always the same of a seed: minigrad's random ones, or the recipe's beneath a
    new head."""
    path = plan.folder / f"start-{seed}.safetensors"
    options = plan.options(plan.experiment.arms[0])
    name, shape = options["model"], (dataset["classes"], dataset["channels"], options["image_size"])
    minigrad.manual_seed(seed)
    model = models.create(name, *shape, **options["settings"])
    state = {key: value.numpy() for key, value in model.state_dict().items()}
    if plan.initial != "random":
        shapes = {key: value.shape for key, value in state.items()}
        state |= initial_weights(plan.source, name, shapes, models.MODELS[name].head)
    save_weights(path, state)
    return path


def _check(plan: Plan, dataset: Mapping[str, Any], arm: Arm, seed: int, folder: Path) -> None:
    """OptionError unless a folder holds the run that is wanted."""
    try:
        config = json.loads((folder / "config.json").read_text())
        json.loads((folder / "origin.json").read_text())
        found, images = config["options"], config["dataset"]
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{folder} is not a run of this experiment, or damaged: name another folder with --runs"
        ) from error
    wanted = plan.options(arm) | {"seed": seed}
    differing = [
        f"{name} {found.get(name)}, not {value}"
        for name, value in wanted.items()
        if name not in ELSEWHERE and found.get(name) != value
    ]
    differing += [
        f"{images[name]} {name.replace('_', ' ')}, not {dataset[name]}"
        for name in images
        if images[name] != dataset.get(name, images[name])
    ]
    if (found["weights"] is None or found["weights"] == plan.source) != (plan.start == "own"):
        differing.append(f"not the start --start {plan.start}")
    if found["seed"] != seed:
        differing.append(f"seed {found['seed']}, not {seed}")
    if differing:
        raise OptionError(f"{folder} holds a run of other settings ({differing[0]}): name another folder with --runs")


def _epochs(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl."""
    try:
        return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder / 'metrics.jsonl'} is missing or damaged") from error


def _from_root(path: Path) -> str:
    """A path as the scripts get it, which run in the root of the project."""
    path = path.resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
