"""The options of both scripts: one table, checked before anything is opened or written."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NoReturn

from minigrad.attacks.recipes import PRESETS
from minigrad.errors import OptionError
from minigrad.training.checkpoints import find_checkpoint, read_state
from minigrad.training.recipes import (
    ALPHA,
    ATTACK,
    ATTACK_STEPS,
    DEFENCE,
    DEFENCE_STEPS,
    SETTINGS,
    as_written,
    attack_options,
    defaults,
    model_settings,
    recipe,
)


@dataclass(frozen=True)
class Options:
    """What a run was asked to do, every default filled in."""

    model: str
    settings: dict[str, Any]  # those that the model alone has: recipes.SETTINGS
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
    weights: str | None
    freeze_backbone: bool
    conv: str
    custom_conv: bool
    out: str | None
    resume: str | None
    evaluate: bool
    tta: bool
    detect_anomaly: bool
    check_files: bool
    adversarial: float
    attack: str | None
    attack_steps: int
    alpha: float | list[float]  # one number, or one for each channel
    epsilon: float | list[float]
    norm: str
    attack_units: str
    random_start: bool
    restarts: int
    visualise: int
    rows: list[int] | None


# What an option is where neither the command line, nor the checkpoint, nor a recipe says so.
FIXED: dict[str, Any] = {
    "model": "simplenet", "settings": {}, "device": "auto", "data": None, "momentum": 0.9, "seed": 2024,
    "print_freq": 50, "limit_train": None, "limit_val": None, "weights": None, "freeze_backbone": False,
    "conv": "fast", "custom_conv": False, "out": None, "resume": None, "evaluate": False, "tta": False,
    "detect_anomaly": False, "check_files": True, "adversarial": 0.0, **ATTACK, "visualise": 0, "rows": None,
}  # fmt: skip
# On --resume these are not taken from the checkpoint ...
OF_THIS_CALL = {"out", "resume", "evaluate", "tta", "detect_anomaly", "check_files", "device", "visualise", "rows"}
# ... and these may differ from it: they do not change what is learnt. Every other option must agree.
FREE_ON_RESUME = OF_THIS_CALL | {"data", "workers", "print_freq", "conv", "custom_conv"}
# The options of one script alone, and what is there in its place in the other.
OWN = {
    "conv": ("train_minigrad.py", "--conv definition", "--custom-conv"),
    "custom_conv": ("train_torch.py", "--custom-conv", "--conv definition"),
}


def parse_options(arguments: Sequence[str], models: Iterable[str], program: str) -> Options:
    """The options of a command line. OptionError in one line for anything unknown or out of range.

    On --resume, what is not given is taken from the checkpoint, and what contradicts it is refused.
    """
    given = vars(_parser(program, list(models)).parse_args(arguments))
    _check_combinations(given, program)
    settings = {name: given.pop(name) for name in _SETTINGS if name in given}
    if given.get("weights", "imagenet") != "imagenet":
        given["weights"] = str(find_checkpoint(given["weights"], "best.safetensors").resolve())
    stored = _stored_options(given, program) if "resume" in given else {}

    chosen = {**FIXED, **stored, **given}
    values = {**recipe(chosen["data"], chosen["model"], chosen.get("optimizer")), **chosen}
    values["settings"] = model_settings(values["model"], values["image_size"], {**chosen["settings"], **settings})
    for name in settings:
        if stored and values["settings"][name] != stored["settings"][name]:
            raise _contradiction(name, settings[name], given["resume"], stored["settings"][name])
    values |= attack_options(values, given)
    if "warmup" not in chosen:
        values["warmup"] = min(values["warmup"], values["epochs"] / 2)
    if values["warmup"] > values["epochs"]:
        raise OptionError(f"--warmup {values['warmup']:g} is longer than the {values['epochs']} epochs of training")
    if values["data"] is not None and Path(values["data"]).exists():
        values["data"] = str(Path(values["data"]).resolve())
    return Options(**values)


def _check_combinations(given: dict[str, Any], program: str) -> None:
    """OptionError for options that do not go together, or belong to the other script."""
    for name, (script, option, elsewhere) in OWN.items():
        if name in given and program != script:
            raise OptionError(f"{option} belongs to {script}: {program} has {elsewhere} in its place")
    if given.get("evaluate") and ("resume" in given) == ("weights" in given):
        raise OptionError("--evaluate measures the weights of --resume, or those of --weights: give one of the two")
    if given.get("tta") and not given.get("evaluate"):
        raise OptionError("--tta belongs to --evaluate: validation during training does not flip images")
    if given.get("evaluate") and "adversarial" in given:
        raise OptionError("--adversarial belongs to training: what --evaluate measures is --attack")
    if "visualise" in given and not (given.get("evaluate") and "attack" in given):
        raise OptionError("--visualise draws what an attack does: it belongs to --evaluate --attack PRESET")
    if "rows" in given and "visualise" not in given:
        raise OptionError(f"{as_written('rows', given['rows'])} belongs to --visualise")


def _stored_options(given: dict[str, Any], program: str) -> dict[str, Any]:
    """The options of the checkpoint that --resume names, as far as they bind what is to be done."""
    evaluate = given.get("evaluate", False)
    path = find_checkpoint(given["resume"], "best.safetensors" if evaluate else "last.safetensors")
    state = read_state(path)
    if state is None:
        if evaluate:
            return {}
        raise OptionError(
            f"{path} holds weights alone, not a run that could go on: measure it with --evaluate, or start a new run "
            "from it with --weights"
        )
    known = {field.name for field in fields(Options)}
    stored = {name: value for name, value in {**FIXED, **state["options"]}.items() if name in known}
    binding = {"model"} if evaluate else known - FREE_ON_RESUME
    for name in sorted(binding & given.keys()):
        if given[name] != stored[name]:
            raise _contradiction(name, given[name], path, stored[name])
    if evaluate and "data" in given:  # other images: all of them, and of their own size unless the model has one
        kept = {"model", "settings"} | ({"image_size"} if stored["settings"] else set())
        stored = {name: stored[name] for name in kept}
    not_ours = {name for name, (script, *_) in OWN.items() if script != program}
    not_ours |= {"weights", "adversarial", *ATTACK} if evaluate else set()
    return {name: value for name, value in stored.items() if name not in OF_THIS_CALL | not_ours}


def _contradiction(name: str, value: Any, path: str | Path, there: Any) -> OptionError:
    return OptionError(f"{as_written(name, value)} contradicts {path}, where it is {there}: leave it out")


def as_dict(options: Options) -> dict[str, Any]:
    """The options as JSON can hold them."""
    return asdict(options)


MOST_ROWS = 32  # of one picture
LARGEST = 1e38  # that is finite in float32, too
_SETTINGS = {name for settings in SETTINGS.values() for name in settings}


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


def _blocks(text: str) -> list[int] | str:
    """An argparse type: the blocks of --window-blocks."""
    if text == "all":
        return text
    parts = [] if text == "none" else text.split(",")
    if not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"block numbers such as 0,2, or none, or all are wanted, not {text!r}")
    return sorted({int(part) for part in parts})


def _rows(text: str) -> list[int]:
    """An argparse type: the images of --rows."""
    parts = text.split(",")
    if not all(part.isdecimal() for part in parts) or len(parts) > MOST_ROWS:
        raise argparse.ArgumentTypeError(f"at most {MOST_ROWS} numbers such as 2,4,7 are wanted, not {text!r}")
    return list(dict.fromkeys(int(part) for part in parts))


def _amount(text: str) -> float | list[float]:
    """An argparse type: a size of --alpha or --epsilon, or one for each channel."""
    found = [_SIZE(part) for part in text.split(",")]
    return found if len(found) > 1 else found[0]


def _fraction(text: str) -> float:
    """0.1, or 8/255."""
    number, slash, divisor = text.partition("/")
    return float(number) / float(divisor) if slash and float(divisor) else float(text)


_SIZE = _number(_fraction, 0, LARGEST)


def _parser(program: str, models: list[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=program,
        description="Train a network on images, or measure a trained one. Without options: SimpleNet, embedded images.",
        epilog=defaults(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,  # what is not given stays out: defaults depend on data and checkpoint
        allow_abbrev=False,
    )
    count = _number(int, 1)
    add = parser.add_argument
    add("--model", choices=models, help="the network (simplenet)")
    add(
        "--weights",
        help="what to start from: imagenet (torchvision's), a file of weights, or a run folder (its best); the "
        "last layer starts anew if the classes differ. With --evaluate: what to measure",
    )
    add("--freeze-backbone", action="store_true", help="train the last layer alone; the others stay as they are")
    add("--device", help="auto, cpu, gpu or gpu:1 (auto: a GPU if there is one, else the CPU)")
    add("--data", help="a MiniPlaces or ImageFolder folder, or FashionMNIST, CIFAR10, CIFAR100 (the embedded images)")
    add("--image-size", type=_number(int, 8, 4096), help="pixels a side")
    add(
        "--no-check-files",
        dest="check_files",
        action="store_false",
        help="do not look into every image file before the first step (a folder of 100,000 takes some 10 s)",
    )
    add("--epochs", type=count, help="passes over the training images")
    add("--batch-size", type=count, help="images a step")
    add("--optimizer", choices=["sgd", "adamw"], help="what makes a step of a gradient")
    add(
        "--lr", type=_number(float, 0, LARGEST, above=True), help="the highest learning rate, reached after the warm-up"
    )
    add("--momentum", type=_number(float, 0, 1, below=True), help="of SGD (0.9)")
    add("--weight-decay", type=_number(float, 0, LARGEST), help="pulls all weights towards 0")
    add("--warmup", type=_number(float, 0), help="epochs in which the learning rate rises from 0")
    add("--clip-grad", type=_number(float, 0, LARGEST), help="the longest gradient allowed, as a 2-norm; 0: any")
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
        "--evaluate",
        action="store_true",
        help="measure the weights of --resume (of a folder: the best), or of --weights; train nothing",
    )
    add("--tta", action="store_true", help="with --evaluate: average the logits with those of the mirrored image")
    add("--detect-anomaly", action="store_true", help="slow: name the operation that brings a NaN into the gradients")
    add(
        "--conv",
        choices=["fast", "definition"],
        help="of train_minigrad.py: definition convolves as the textbook does, by unfold and a matrix product (fast)",
    )
    add(
        "--custom-conv",
        action="store_true",
        help="of train_torch.py: convolve by our own unfold convolution, not torch's",
    )

    add = parser.add_argument_group("options of --model vit").add_argument
    add("--patch-size", type=count, help="pixels a side of a patch; it divides the image size (16, small images: 4)")
    add("--dim", type=count, help="features of a token (192)")
    add("--depth", type=count, help="blocks (4)")
    add("--heads", type=count, help="heads of the attention; they divide the features (4)")
    add("--mlp-ratio", type=_number(float, 0, above=True), help="hidden features of the MLP, in --dim (4)")
    add("--no-qkv-bias", dest="qkv_bias", action="store_false", help="no bias where queries, keys, values are made")
    add("--drop-path", type=_number(float, 0, 1, below=True), help="rate of the last block, rising from 0 (0.1)")
    add("--dropout", type=_number(float, 0, 1, below=True), help="rate of dropout (0)")
    add("--window-size", type=count, help="tokens a side of a window (4)")
    add("--window-blocks", type=_blocks, help="the blocks that look at windows, from 0: 0,2 or none or all (0,2)")
    add("--shift", action="store_true", help="every second windowed block shifts its windows by half")
    add("--relative-positions", action="store_true", help="a learned bias for each offset of two tokens")
    add("--no-absolute-positions", dest="absolute_positions", action="store_false", help="no learned positions")

    add = parser.add_argument_group("attacks").add_argument
    add(
        "--adversarial",
        nargs="?",
        const=0.2,
        type=_number(float, 0, 1),
        metavar="P",
        help=f"train on the attacked images in a share P of the batches (0.2 if P is left out); by default {DEFENCE} of "
        f"{DEFENCE_STEPS} steps, for a network that is trained against the largest loss resists weaker attacks too",
    )
    add(
        "--attack",
        choices=PRESETS,
        help="with --evaluate: measure under an attack as well. handout: towards the least likely class; report: away from "
        f"it (weak); untargeted: away from the label (the strongest). With --adversarial: what to train on ({DEFENCE})",
    )
    add("--attack-steps", type=count, help=f"steps of an attack ({ATTACK_STEPS}; with --adversarial {DEFENCE_STEPS})")
    add(
        "--alpha",
        type=_amount,
        metavar="SIZE",
        help=f"the size of a step ({ALPHA:g}; with --adversarial epsilon / steps, to get as far); 2/255 will do",
    )
    add(
        "--epsilon",
        type=_amount,
        metavar="SIZE",
        help="the largest change of an image, by --norm (0.1). Of linf also a number for each channel: 0.1,0.2,0.3; so is --alpha",
    )
    add("--norm", choices=["linf", "l2"], help="linf: of its largest number; l2: the length of all its numbers (linf)")
    add(
        "--attack-units",
        choices=["normalised", "pixel"],
        help="of epsilon and alpha: normalised, those of the network's input, no limits; pixel: values from 0 to 1, which "
        "the attacked images keep to (normalised)",
    )
    add("--random-start", action="store_true", help="begin at a random point within epsilon of the image")
    add("--restarts", type=_number(int, 1, 1000), help="random starts, the worst of which counts for each image (1)")
    add(
        "--visualise",
        nargs="?",
        const=5,
        type=_number(int, 1, MOST_ROWS),
        metavar="N",
        help="with --evaluate --attack: draw the first image of each of N classes (5), attacked, and the difference",
    )
    add("--rows", type=_rows, help="with --visualise: these validation images, counted from 0, such as 2,4,7")
    return parser
