"""The options of both scripts: each declared once, as a field of Options, and checked before anything is opened or written."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from minigrad.data.corruptions import KINDS
from minigrad.errors import OptionError
from minigrad.option import Option, Parser, Type, as_written, count, fraction, number
from minigrad.training.attack_kinds import FITTED, explained
from minigrad.training.attack_kinds import KINDS as ATTACK_KINDS
from minigrad.training.checkpoints import find_checkpoint, read_state
from minigrad.training.configs import read_config
from minigrad.training.defence_options import (
    BETA,
    DEFENCES,
    REPLAYS,
    SETTINGS,
    SIGMA,
    check_no_defence,
    defence_options,
)
from minigrad.training.recipes import (
    ALPHA,
    DEFENCE,
    DEFENCE_STEPS,
    PATCH_ALPHA,
    PATCH_SHARE,
    attack_options,
    defaults,
    model_settings,
    models,
    recipe,
)
from minigrad.training.schedule import SCHEDULES

MOST_ROWS = 32  # of one picture
LOGGERS = ("wandb", "mlflow")
MOST_EPSILONS = 1000  # of one curve
LARGEST = 1e38  # that is finite in float32, too


def _rows(text: str) -> list[int]:
    """An argparse type: the images of --rows."""
    parts = text.split(",")
    if not all(part.isdecimal() for part in parts) or len(parts) > MOST_ROWS:
        raise argparse.ArgumentTypeError(f"at most {MOST_ROWS} numbers such as 2,4,7 are wanted, not {text!r}")
    return list(dict.fromkeys(int(part) for part in parts))


def _amounts(text: str) -> float | list[float] | str:
    """An argparse type: a size, one for each channel, or a range of them, from:to:step, as it is written."""
    if ":" not in text:
        return _amount(text)
    parts = [_SIZE(part) for part in text.split(":")]
    if (
        len(parts) != 3
        or not (parts[0] < parts[1] and parts[2] > 0)
        or (parts[1] - parts[0]) / parts[2] > MOST_EPSILONS
    ):
        raise argparse.ArgumentTypeError(
            f"a range is from:to:step such as 0:0.2:0.02, up, of at most {MOST_EPSILONS} steps, not {text!r}"
        )
    return text


def _amount(text: str) -> float | list[float]:
    """An argparse type: a size of --alpha or --epsilon, or one for each channel."""
    found = [_SIZE(part) for part in text.split(",")]
    return found if len(found) > 1 else found[0]


_SIZE = number(fraction, 0, LARGEST)


def _kinds(text: str) -> list[str]:
    """An argparse type: kinds of corruptions, or all."""
    found = list(KINDS) if text == "all" else text.split(",")
    if unknown := [kind for kind in found if kind not in KINDS]:
        near = get_close_matches(unknown[0], KINDS, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(KINDS)}"
        raise argparse.ArgumentTypeError(f"unknown kind {unknown[0]!r}: {hint}")
    return list(dict.fromkeys(found))


def _option(
    help: str, type: Type | None = None, *, default: Any = MISSING, resume: str = "agree", attack: bool = False,
    only: tuple[str, ...] = (), **more: Any,
) -> Any:  # fmt: skip
    """An option's declaration. default: where neither the command line, nor the checkpoint, nor a recipe says so.

    resume: whether --resume takes it from the checkpoint and what is given has to "agree", may be "free" to differ, since it
    does not change what is learnt, may ask for "more", or is "not taken", being of this call alone. attack: it is one of an
    attack. only: the script that alone has it, how it is written there, and what is there in its place in the other.
    """
    declared = Option(help, type, None if default is MISSING else default, **more)
    return field(metadata={"option": declared, "default": default, "resume": resume, "attack": attack, "only": only})


@dataclass(frozen=True)
class Options:
    """What a run was asked to do, every default filled in."""

    settings: dict[str, Any]  # those that the model alone has, by its card
    model: str = _option("the network (simplenet)", default="simplenet")
    weights: str | None = _option(
        "what to start from: imagenet (torchvision's), a file of weights, or a run folder (its best); the "
        "last layer starts anew if the classes differ. With --evaluate: what to measure",
        default=None,
    )
    freeze_backbone: bool = _option("train the last layer alone; the others stay as they are", default=False)
    device: str = _option(
        "auto, cpu, gpu or gpu:1 (auto: a GPU if there is one, else the CPU)", default="auto", resume="not taken"
    )
    data: str | None = _option(
        "a MiniPlaces or ImageFolder folder, or FashionMNIST, CIFAR10, CIFAR100 (the embedded images)",
        default=None,
        resume="free",
    )
    image_size: int = _option("pixels a side", number(int, 8, 4096))
    check_files: bool = _option(
        "do not look into every image file before the first step (a folder of 100,000 takes some 10 s)",
        default=True,
        resume="not taken",
    )
    capture: bool = _option(
        "of train_minigrad.py on a GPU: launch each kernel of a step by itself, not all of them as one CUDA graph",
        default=True,
        resume="not taken",
        only=("train_minigrad.py", "--no-capture", "nothing"),
    )
    data_on_device: bool = _option(
        "of train_minigrad.py on a GPU: keep all images in its memory, as bytes, and augment them there, to the same pixels",
        default=False,
        resume="not taken",
        only=("train_minigrad.py", "--data-on-device", "its loader"),
    )
    epochs: int = _option(
        "passes over the training images; with --resume more of them train longer",
        number(int, 1, 1_000_000),
        resume="more",
    )
    batch_size: int = _option("images a step", count, also=("-b",))
    accumulate: int = _option(
        "make a step of the gradients of so many batches, as of one that does not fit the memory (1)", count, default=1
    )
    optimizer: str = _option("what makes a step of a gradient", choices=["sgd", "adamw"])
    lr: float = _option("the highest learning rate, reached after the warm-up", number(float, 0, LARGEST, above=True))
    momentum: float = _option("of SGD (0.9)", number(float, 0, 1, below=True), default=0.9)
    schedule: str = _option(
        "how the rate falls after the warm-up: as a cosine to 0, linearly, in steps to a tenth from 1/3 and 2/3 of all on, or "
        "not at all (cosine)",
        choices=SCHEDULES,
        default="cosine",
    )
    weight_decay: float = _option("pulls all weights towards 0", number(float, 0, LARGEST), also=("--wd",))
    label_smoothing: float = _option(
        "share of each target that is spread over all classes (0)", number(float, 0, 1, below=True), default=0.0
    )
    mixup: float = _option(
        "mix each image with another one, in shares from Beta(A, A), 0.2 if A is left out (0: do not)",
        number(float, 0, LARGEST),
        default=0.0,
        alone=0.2,
        metavar="A",
    )
    ema: float = _option(
        "validate and keep averages of the weights: at each step they keep this share, 0.999 if it is left out (0: none)",
        number(float, 0, 1, below=True),
        default=0.0,
        alone=0.999,
        metavar="SHARE",
    )
    warmup: float = _option("epochs in which the learning rate rises from 0", number(float, 0))
    clip_grad: float = _option("the longest gradient allowed, as a 2-norm; 0: any", number(float, 0, LARGEST))
    workers: int = _option(
        "processes that load images; 0: the script itself (folders: one a core, at most 8; else 0)",
        number(int, 0, 256),
        resume="free",
        also=("-j",),
    )
    seed: int = _option("decides every random draw (2024)", number(int, 0, 2**63 - 1), default=2024)
    print_freq: int = _option(
        "steps between two lines of progress where there is no terminal (50)",
        count,
        default=50,
        resume="free",
        also=("-p",),
    )
    limit_train: int | None = _option("use that many training images only", count, default=None)
    limit_val: int | None = _option("use that many validation images only", count, default=None)
    out: str | None = _option("the run folder (runs/MODEL-DATA-TIME)", default=None, resume="not taken")
    resume: str | None = _option(
        "a checkpoint file or a run folder to go on with, or to evaluate", default=None, resume="not taken"
    )
    evaluate: bool = _option(
        "measure the weights of --resume (of a folder: the best), or of --weights; train nothing",
        default=False,
        resume="not taken",
        also=("-e",),
    )
    config: str | None = _option(
        "take options from this file, JSON or YAML, such as a run's config.json; the command line goes before it",
        default=None,
        resume="not taken",
        metavar="FILE",
    )
    logger: str | None = _option(
        "send what is measured to wandb or mlflow as well, by its own library",
        choices=LOGGERS,
        default=None,
        resume="not taken",
    )
    tta: bool = _option(
        "with --evaluate: average the logits with those of the mirrored image", default=False, resume="not taken"
    )
    detect_anomaly: bool = _option(
        "slow: name the operation that brings a NaN into the gradients", default=False, resume="not taken"
    )
    watch: int = _option(
        "every N steps (10) note gradients, updates and dead units layer by layer: watch.png, and TensorBoard",
        count,
        default=0,
        resume="not taken",
        alone=10,
        metavar="N",
    )
    conv: str = _option(
        "of train_minigrad.py: definition convolves as the textbook does, by unfold and a matrix product (fast)",
        choices=["fast", "definition"],
        default="fast",
        resume="free",
        only=("train_minigrad.py", "--conv definition", "--custom-conv"),
    )
    custom_conv: bool = _option(
        "of train_torch.py: convolve by our own unfold convolution, not torch's",
        default=False,
        resume="free",
        only=("train_torch.py", "--custom-conv", "--conv definition"),
    )
    adversarial: float = _option(
        f"train on the attacked images in a share P of the batches (0.2 if P is left out); by default {DEFENCE} of "
        f"{DEFENCE_STEPS} steps, for a network that is trained against the largest loss resists weaker attacks too",
        number(float, 0, 1),
        default=0.0,
        alone=0.2,
        metavar="P",
    )
    defence: str | None = _option(
        "train all batches by a defence: pgd; trades; mart; fast: one step, and a look at whether that still helps; free: each "
        "batch several times, its gradients used twice; noise: for --certify. Of an attack's options it takes --epsilon, --norm, "
        "--attack-units, --alpha, --attack-steps, as far as it has such",
        choices=DEFENCES,
        default=None,
        metavar="NAME",
    )
    beta: float | None = _option(
        f"of trades ({BETA['trades']:g}) and mart ({BETA['mart']:g}): what robustness counts beside accuracy",
        number(float, 0, LARGEST),
        default=None,
    )
    replays: int | None = _option(
        f"of free: how often each batch is trained on in a row ({REPLAYS})", number(int, 1, 1000), default=None
    )
    noise: float | None = _option(
        f"of --defence noise and --certify: the noise's standard deviation, in --attack-units ({SIGMA:g}; --certify: the run's)",
        number(fraction, 0, LARGEST, above=True),
        default=None,
        metavar="SIGMA",
    )
    attack: str | None = _option(
        f"with --evaluate: measure under an attack as well; with --adversarial: what to train on ({DEFENCE}). {explained()}; found "
        f"on training images: {explained(FITTED)}",
        choices=tuple(ATTACK_KINDS),
        metavar="NAME",
        default=None,
        attack=True,
    )
    attack_steps: int = _option(
        f"steps of an attack (its own number, of most 10; with --adversarial {DEFENCE_STEPS}); of universal, patch: passes over "
        "1,000 images",
        count,
        default=None,
        attack=True,
    )
    alpha: float | list[float] = _option(
        f"the size of a step ({ALPHA:g}; with --adversarial epsilon / steps, to get as far; of a range of epsilons a quarter "
        "of the largest); 2/255 will do",
        _amount,
        default=None,
        attack=True,
        metavar="SIZE",
    )
    epsilon: float | list[float] | str = _option(
        "the largest change of an image, by --norm (0.1). Of linf also a number for each channel: 0.1,0.2,0.3; so is --alpha. "
        "With --evaluate also a range, 0:0.2:0.02: accuracy at each of these, alpha in proportion",
        _amounts,
        default=0.1,
        attack=True,
        metavar="SIZE",
    )
    patch_share: float = _option(
        f"of --attack patch: its side, in sides of the image ({PATCH_SHARE:g}); its pixels change by {PATCH_ALPHA:g} a step",
        number(fraction, 0, 0.6, above=True),
        default=PATCH_SHARE,
        attack=True,
        metavar="SHARE",
    )
    norm: str = _option(
        "linf: of its largest number; l2: the length of all its numbers; l1: their sum; l0: how many there are (linf)",
        choices=["linf", "l2", "l1", "l0"],
        default="linf",
        attack=True,
    )
    attack_units: str = _option(
        "of epsilon and alpha: normalised, those of the network's input, no limits; pixel: values from 0 to 1, which "
        "the attacked images keep to (normalised)",
        choices=["normalised", "pixel"],
        default="normalised",
        attack=True,
    )
    random_start: bool = _option("begin at a random point within epsilon of the image", default=False, attack=True)
    restarts: int = _option(
        "random starts, the worst of which counts for each image (1)", number(int, 1, 1000), default=1, attack=True
    )
    audit: bool = _option(
        "with --evaluate --attack: measure whether the attack is sound, and the network hides nothing from it",
        default=False,
        resume="not taken",
    )
    certify: int = _option(
        "with --evaluate: ask the network about each image under noise so often (1000), and within which radius its answer is "
        "certain; units and noise by --attack-units and --noise",
        number(int, 10, 10**7),
        default=0,
        resume="not taken",
        alone=1000,
        metavar="N",
    )
    corruptions: list[str] = _option(
        "with --evaluate: measure on corrupted images, of ImageNet-C's 15 kinds at 5 strengths; or of those KINDS alone, such as "
        "fog,snow",
        _kinds,
        default=[],
        resume="not taken",
        alone="all",
        metavar="KINDS",
    )
    save_adversarial: str | None = _option(
        "with --evaluate --attack: write the attacked images to this .npz file",
        default=None,
        resume="not taken",
        metavar="FILE.npz",
    )
    visualise: int = _option(
        "with --evaluate --attack: draw the first image of each of N classes (5), attacked, and the difference",
        number(int, 1, MOST_ROWS),
        default=0,
        resume="not taken",
        alone=5,
        metavar="N",
    )
    rows: list[int] | None = _option(
        "with --visualise: these validation images, counted from 0, such as 2,4,7",
        _rows,
        default=None,
        resume="not taken",
    )


_OPTIONS = {f.name: f.metadata for f in fields(Options) if f.metadata}
FIXED = {name: of["default"] for name, of in _OPTIONS.items() if of["default"] is not MISSING} | {"settings": {}}
OF_THIS_CALL = {name for name, of in _OPTIONS.items() if of["resume"] == "not taken"}
FREE_ON_RESUME = OF_THIS_CALL | {name for name, of in _OPTIONS.items() if of["resume"] in ("free", "more")}
OF_TRAINING = {
    "epochs", "optimizer", "lr", "momentum", "weight_decay", "warmup", "clip_grad", "limit_train", "freeze_backbone", "schedule",
    "detect_anomaly", "accumulate", "label_smoothing", "mixup", "ema", "logger",
}  # fmt: skip
"""What has no effect on --evaluate."""
OWN = {name: of["only"] for name, of in _OPTIONS.items() if of["only"]}
OF_ATTACKS = {name for name, of in _OPTIONS.items() if of["attack"]}
OF_A_DEFENCE = {"defence", "beta", "replays"}


def parse_options(arguments: Sequence[str], models: Iterable[str], program: str, command: str | None = None) -> Options:
    """The options of a command line. OptionError in one line for anything unknown or out of range.

    program: the script, which has options of its own. command: what --help calls it (the script's name).
    On --resume, what is not given is taken from the checkpoint, and what contradicts it is refused.
    """
    parser = _parser(command or program, list(models))
    given = vars(parser.parse_args(arguments))
    _check_combinations(given, program)
    configured = read_config(given["config"], parser, OF_THIS_CALL, _OPTIONS) if "config" in given else {}
    settings = {name: given.pop(name) for name in {*given} - {*_OPTIONS}}
    if given.get("weights", "imagenet") != "imagenet":
        given["weights"] = str(find_checkpoint(given["weights"], "best.safetensors").resolve())
    stored = _stored_options(given, program) if "resume" in given else {}

    written = {name: configured.pop(name) for name in {*configured} - {*_OPTIONS}}
    if "defence" in configured and configured["defence"] != given.get("defence", configured["defence"]):
        configured = {name: value for name, value in configured.items() if name not in SETTINGS}
    chosen = {**FIXED, **configured, **stored, **given}
    if chosen["model"] == configured.get("model", chosen["model"]):
        settings = {**written, **settings}
    values = {**recipe(chosen["data"], chosen["model"], chosen.get("optimizer")), **chosen}
    values["settings"] = model_settings(values["model"], values["image_size"], {**chosen["settings"], **settings})
    for name in settings:
        if stored and values["settings"][name] != stored["settings"][name]:
            raise _contradiction(name, settings[name], given["resume"], stored["settings"][name])
    _check_effects(values, given, settings)
    if values["defence"] and not values["evaluate"]:
        values |= defence_options(values, given)
    else:
        check_no_defence(given)
        values |= attack_options(values, given, OF_ATTACKS - ({"attack_units"} if values["certify"] else set()))
        values["noise"] = (values["noise"] or SIGMA) if values["certify"] else values["noise"]
    if "warmup" not in chosen:
        values["warmup"] = min(values["warmup"], values["epochs"] / 2)
    if values["warmup"] > values["epochs"]:
        raise OptionError(f"--warmup {values['warmup']:g} is longer than the {values['epochs']} epochs of training")
    if values["data"] is not None and Path(values["data"]).exists():
        values["data"] = str(Path(values["data"]).resolve())
    return Options(**values)


def _check_effects(values: dict[str, Any], given: dict[str, Any], settings: dict[str, Any]) -> None:
    """OptionError for options that the others leave without effect."""
    if "momentum" in given and values["optimizer"] != "sgd":
        raise OptionError(
            f"{as_written('momentum', given['momentum'])} has no effect: --optimizer {values['optimizer']} has none"
        )
    for name in ("certify", "corruptions", "audit"):
        if values["data_on_device"] and values[name]:
            raise OptionError(f"--{name} takes images from the host's memory: it does not go with --data-on-device")
    if values["data_on_device"] and "workers" in given:
        raise OptionError(f"--workers {given['workers']} has no effect: with --data-on-device nothing is loaded")
    for name, why in models()[values["model"]].idle(values["settings"]).items():
        if settings.get(name):
            raise OptionError(f"{as_written(name, settings[name])} has no effect: {why}")


def _check_combinations(given: dict[str, Any], program: str) -> None:
    """OptionError for options that do not go together, or belong to the other script."""
    for name, (script, option, elsewhere) in OWN.items():
        if name in given and program != script:
            raise OptionError(f"{option} belongs to {script}: {program} has {elsewhere} in its place")
    if given.get("evaluate") and ("resume" in given) == ("weights" in given):
        raise OptionError("--evaluate measures the weights of --resume, or those of --weights: give one of the two")
    if given.get("tta") and not given.get("evaluate"):
        raise OptionError("--tta belongs to --evaluate: validation during training does not flip images")
    if given.get("evaluate") and (idle := [as_written(name, given[name]) for name in given if name in OF_TRAINING]):
        print(f"note: without effect, as --evaluate measures weights as they are: {', '.join(idle)}")
    if (
        given.get("evaluate")
        and isinstance(given.get("epsilon"), str)
        and (given.keys() & {"audit", "save_adversarial"})
    ):
        raise OptionError("--audit and --save-adversarial are of one epsilon, not of a range")
    for name in ("audit", "save_adversarial"):
        if name in given and not (given.get("evaluate") and "attack" in given):
            raise OptionError(f"--{name.replace('_', '-')} belongs to --evaluate --attack NAME")
    if not str(given.get("save_adversarial", ".npz")).endswith(".npz"):
        raise OptionError(
            f"{as_written('save_adversarial', given['save_adversarial'])}: a name that ends in .npz is wanted"
        )
    if given.get("evaluate") and "watch" in given:
        raise OptionError("--watch belongs to training: --evaluate makes no step")
    for name in ("certify", "corruptions", "audit"):
        if name in given and not given.get("evaluate"):
            raise OptionError(f"--{name} belongs to --evaluate")
    if given.get("evaluate") and "defence" in given:
        raise OptionError("--defence belongs to training: what --evaluate measures is --attack")
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
    trained_at = stored.get("image_size")
    if evaluate and trained_at and given.get("image_size", trained_at) != trained_at:
        print(f"note: {path} was trained at {trained_at} pixels, and is measured at {given['image_size']}")
    if evaluate and "data" in given:  # other images: all of them, and of their own size unless the model has one
        kept = {"model", "settings"} | ({"image_size"} if stored["settings"] else set())
        stored = {name: stored[name] for name in kept}
    not_ours = {name for name, (script, *_) in OWN.items() if script != program}
    not_ours |= {"weights", "adversarial", *OF_A_DEFENCE, *OF_ATTACKS} if evaluate else set()
    if "certify" in given and stored.get("defence") == "noise":  # the run's noise is in its units
        not_ours -= {"attack_units"}
    return {name: value for name, value in stored.items() if name not in OF_THIS_CALL | not_ours}


def _contradiction(name: str, value: Any, path: str | Path, there: Any) -> OptionError:
    return OptionError(f"{as_written(name, value)} contradicts {path}, where it is {there}: leave it out")


def as_dict(options: Options) -> dict[str, Any]:
    """The options as JSON can hold them."""
    return asdict(options)


def _parser(program: str, names: list[str]) -> Parser:
    parser = Parser(
        prog=program,
        description="Train a network on images, or measure a trained one. Without options: SimpleNet, embedded images.",
        epilog=defaults(),
    )
    group: Any = parser
    for name, of in _OPTIONS.items():
        if name == "adversarial":
            _add_settings(parser, names)
            group = parser.add_argument_group("attacks")
        option = replace(of["option"], choices=names) if name == "model" else of["option"]
        option.add_to(group, name)
    return parser


def _add_settings(parser: argparse.ArgumentParser, names: list[str]) -> None:
    """The options that models alone have, each in the group of the first model that has it."""
    taken: set[str] = set()
    for model in names:
        options = {name: option for name, option in models()[model].options.items() if name not in taken}
        group = parser.add_argument_group(f"options of --model {model}") if options else parser
        for name, option in options.items():
            option.add_to(group, name)
        taken |= options.keys()
