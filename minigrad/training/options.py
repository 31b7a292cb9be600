"""The options of both scripts: one table, checked before anything is opened or written."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NoReturn

from minigrad.errors import OptionError
from minigrad.training.checkpoints import find_checkpoint, read_state

# The data sets known by name, and the size of their images.
SMALL_IMAGES = {"fashion-mnist-small": 28, "fashionmnist": 28, "cifar10": 32, "cifar100": 32}


@dataclass(frozen=True)
class Options:
    """What a run was asked to do, every default filled in."""

    model: str
    device: str
    data: str | None
    image_size: int
    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    momentum: float
    weight_decay: float
    warmup: float
    clip_grad: float
    workers: int
    seed: int
    print_freq: int
    limit_train: int | None
    limit_val: int | None
    out: str | None
    resume: str | None
    evaluate: bool
    tta: bool
    detect_anomaly: bool


# On --resume these may differ from the checkpoint's: they do not change what is learnt. Every other option must agree.
FREE_ON_RESUME = {"device", "data", "workers", "print_freq", "out", "resume", "evaluate", "tta", "detect_anomaly"}

DEFAULTS = """\
defaults by data set (as far as an option is not given):
  the embedded images      --image-size 28   --epochs 15  --batch-size 32   --lr 0.05  --warmup 1
  FashionMNIST, CIFAR10,   their own size    --epochs 15  --batch-size 32   --lr 0.05  --warmup 1
  CIFAR100
  a folder (MiniPlaces)    --image-size 128  --epochs 60  --batch-size 256  --lr 0.1   --warmup 5
                           with simplenet-bn: --epochs 90 --lr 0.5
  --optimizer adamw        --lr 0.001  --weight-decay 0.01
The warm-up is by default at most half of the epochs.
On --resume the options are the checkpoint's.
"""


def recipe(data: str | None, model: str, optimizer: str) -> dict[str, Any]:
    """The defaults that depend on the data set, the model and the optimizer: see DEFAULTS."""
    name = (data or "fashion-mnist-small").lower().partition(":")[0]
    if name in SMALL_IMAGES:
        found = {
            "image_size": SMALL_IMAGES[name],
            "epochs": 15,
            "batch_size": 32,
            "lr": 0.05,
            "warmup": 1.0,
            "workers": 0,
        }
    else:
        found = {"image_size": 128, "epochs": 60, "batch_size": 256, "lr": 0.1, "warmup": 5.0}
        found["workers"] = min(os.cpu_count() or 1, 8)
        if model == "simplenet-bn":
            found |= {"epochs": 90, "lr": 0.5}
    found["weight_decay"] = 1e-4
    if optimizer == "adamw":
        found |= {"lr": 1e-3, "weight_decay": 0.01}
    return found


def parse_options(arguments: Sequence[str], models: Iterable[str], program: str) -> Options:
    """The options of a command line. OptionError in one line for anything unknown or out of range.

    On --resume, what is not given is taken from the checkpoint, and what contradicts it is refused.
    """
    models = list(models)
    given = vars(_parser(program, models).parse_args(arguments))
    stored = _stored_options(given) if "resume" in given else {}
    if given.get("evaluate") and "resume" not in given:
        raise OptionError("--evaluate takes its weights from --resume: give a checkpoint file or a run folder there")
    if given.get("tta") and not given.get("evaluate"):
        raise OptionError("--tta belongs to --evaluate: validation during training does not flip images")

    fixed = {
        "model": "simplenet", "device": "auto", "data": None, "optimizer": "sgd", "momentum": 0.9, "clip_grad": 0.0,
        "seed": 2024, "print_freq": 50, "limit_train": None, "limit_val": None, "out": None, "resume": None,
        "evaluate": False, "tta": False, "detect_anomaly": False,
    }  # fmt: skip
    chosen = {**fixed, **stored, **given}
    values = {**recipe(chosen["data"], chosen["model"], chosen["optimizer"]), **chosen}
    if "warmup" not in chosen:
        values["warmup"] = min(values["warmup"], values["epochs"] / 2)
    if values["warmup"] > values["epochs"]:
        raise OptionError(f"--warmup {values['warmup']:g} is longer than the {values['epochs']} epochs of training")
    if values["data"] is not None and Path(values["data"]).exists():
        values["data"] = str(Path(values["data"]).resolve())
    return Options(**values)


def _stored_options(given: dict[str, Any]) -> dict[str, Any]:
    """The options of the checkpoint that --resume names, as far as they bind what is to be done."""
    path = find_checkpoint(given["resume"], "best.safetensors" if given.get("evaluate") else "last.safetensors")
    state = read_state(path)
    if state is None:
        if given.get("evaluate"):
            return {}
        raise OptionError(f"{path} holds weights alone, not a run that could go on: use it with --evaluate")
    known = {field.name for field in fields(Options)}
    stored = {name: value for name, value in state["options"].items() if name in known}
    binding = {"model"} if given.get("evaluate") else known - FREE_ON_RESUME
    for name in sorted(binding & given.keys()):
        if given[name] != stored[name]:
            option = "--" + name.replace("_", "-")
            raise OptionError(f"{option} {given[name]} contradicts {path}, where it is {stored[name]}: leave it out")
    if given.get("evaluate") and "data" in given:  # other images: their own size, all of them
        stored = {"model": stored["model"]}
    for name in ("out", "resume", "evaluate", "tta", "detect_anomaly", "device"):
        stored.pop(name, None)
    return stored


def as_dict(options: Options) -> dict[str, Any]:
    """The options as JSON can hold them."""
    return asdict(options)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise OptionError(message)


def _number(
    kind: Callable[[str], Any], least: float, most: float = float("inf"), *, above: bool = False, below: bool = False
) -> Callable[[str], Any]:
    """An argparse type: a number of a kind, from `least` (or above it) to `most` (or below it)."""
    wanted = "an integer" if kind is int else "a number"
    wanted += f" above {least:g}" if above else f" of at least {least:g}"
    if most != float("inf"):
        wanted += f" and below {most:g}" if below else f" and at most {most:g}"

    def convert(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = float("nan")
        fine = (value > least if above else value >= least) and (value < most if below else value <= most)
        if not fine or value == float("inf"):
            raise argparse.ArgumentTypeError(f"{wanted} is wanted, not {text!r}")
        return value

    return convert


def _parser(program: str, models: list[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=program,
        description="Train a network on images, or measure a trained one. Without options: SimpleNet, embedded images.",
        epilog=DEFAULTS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,  # what is not given stays out: defaults depend on data and checkpoint
        allow_abbrev=False,
    )
    count = _number(int, 1)
    add = parser.add_argument
    add("--model", choices=models, help="the network (simplenet)")
    add("--device", help="auto, cpu, gpu or gpu:1 (auto: a GPU if there is one, else the CPU)")
    add("--data", help="a MiniPlaces or ImageFolder folder, or FashionMNIST, CIFAR10, CIFAR100 (the embedded images)")
    add("--image-size", type=_number(int, 8, 4096), help="pixels a side")
    add("--epochs", type=count, help="passes over the training images")
    add("--batch-size", type=count, help="images a step")
    add("--optimizer", choices=["sgd", "adamw"], help="(sgd)")
    add("--lr", type=_number(float, 0, above=True), help="the highest learning rate, reached after the warm-up")
    add("--momentum", type=_number(float, 0, 1, below=True), help="of SGD (0.9)")
    add("--weight-decay", type=_number(float, 0), help="(0.0001)")
    add("--warmup", type=_number(float, 0), help="epochs in which the learning rate rises from 0")
    add("--clip-grad", type=_number(float, 0), help="the longest gradient allowed, as a 2-norm; 0: any (0)")
    add(
        "--workers",
        type=_number(int, 0, 256),
        help="processes that load images; 0: the script itself (folders: one a core, at most 8; else 0)",
    )
    add("--seed", type=_number(int, 0, 2**63 - 1), help="decides every random draw (2024)")
    add("--print-freq", type=count, help="steps between two lines of progress where there is no terminal (50)")
    add("--limit-train", type=count, help="use that many training images only")
    add("--limit-val", type=count, help="use that many validation images only")
    add("--out", help="the run folder (runs/MODEL-DATA-TIME)")
    add("--resume", help="a checkpoint file or a run folder to go on with, or to evaluate")
    add(
        "--evaluate", action="store_true", help="measure the weights of --resume (of a folder: the best), train nothing"
    )
    add("--tta", action="store_true", help="with --evaluate: average the logits with those of the mirrored image")
    add("--detect-anomaly", action="store_true", help="slow: name the operation that brings a NaN into the gradients")
    return parser
