"""The experiments of the original report as data: what is trained, with what, at five scales, and what was reported.

full    the recipe itself, on MiniPlaces: 100 classes, 100,000 images of 128x128
medium  the recipe on all of MiniPlaces at 64x64, its epochs and its warm-up divided by six: hours on two cores
default what the two scripts do of their own accord: all 10,000 embedded images, 15 epochs, their recipe for small images
small   minutes on two cores, both frameworks, several seeds: real images, fewer and smaller, fewer epochs, and the lower rates
        that small batches ask for; the vision transformer has half the features
smoke   seconds: whether all of it works. Nothing is learnt
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from compare.attacks.lines import CLEAN, DEFENDED, PLAIN, REPORTED_DEFENCE, ROWS
from compare.attacks.lines import PRESETS as ATTACKS
from minigrad.errors import OptionError, did_you_mean
from minigrad.training.recipes import as_written

SCALES = ("full", "medium", "default", "small", "smoke")
ON_MINIPLACES = ("full", "medium")
"""The scales whose images are a folder's, which has to be named."""
FIRST_SEED = 2024
Figures = Mapping[str, Any]  # {"top1": ..., "top5": ...}
FIGURES = {
    "top1": "top-1, %",
    "top5": "top-5, %",
    "loss": "validation loss",
    "mirrored_top1": "top-1, %, best epoch, with mirrored images",
    "mirrored_top5": "top-5, %, best epoch, with mirrored images",
    "clean_top1": "top-1, %, attacked images before",
    "clean_top5": "top-5, %, attacked images before",
    "report_top1": "top-1, %, under attack (report)",
    "report_top5": "top-5, %, under attack (report)",
    "untargeted_top1": "top-1, %, under attack (untargeted)",
    "untargeted_top5": "top-5, %, under attack (untargeted)",
}
"""What figures are called in tables."""


@dataclass(frozen=True)
class Arm:
    """What is trained: a script, and its options beside the experiment's. The name is that of its colour in pictures."""

    name: str
    framework: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """Two arms that are compared with each other, and what was reported of the thing that they both are."""

    label: str
    first: str
    second: str
    reported: Figures = field(default_factory=dict)
    other_teams: Mapping[str, str] = field(default_factory=dict)
    same: bool = True  # whether they ought to be: then the exit code says if they are


@dataclass(frozen=True)
class Attack:
    """How a trained network (its best checkpoint) is attacked: by both frameworks, or by its own alone; on so many images."""

    rows: Sequence[tuple[int, float, float]]
    presets: Sequence[str]
    both: bool
    images: Mapping[str, int | None]


@dataclass(frozen=True)
class Experiment:
    """options, seeds: by scale; initial: what the networks start from at full scale; folder: whose runs it shares."""

    title: str
    options: Mapping[str, Mapping[str, Any]]
    seeds: Mapping[str, int]
    arms: Sequence[Arm]
    pairs: Sequence[Pair]
    initial: str = "random"
    attack: Attack | None = None
    folder: str | None = None
    remarks: Sequence[str] = ()


OWN = (Arm("minigrad", "minigrad"), Arm("torch", "torch"))
SEEDS = {"full": 3, "medium": 1, "default": 1, "small": 5, "smoke": 1}

_SGD = {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 1e-4, "clip_grad": 0.0}
_ADAMW = {"optimizer": "adamw", "weight_decay": 0.05, "clip_grad": 1.0}
_FULL = {"image_size": 128, "batch_size": 256, "warmup": 5.0}
_SHARE = 6  # of the recipe's epochs, that medium has
_MEDIUM = {**_FULL, "image_size": 64, "warmup": round(5 / _SHARE, 4)}
_SMALL = {"image_size": 28, "batch_size": 32, "warmup": 1.0, "limit_train": 4000, "limit_val": 1000, "epochs": 6}
_SMOKE = {"image_size": 28, "batch_size": 16, "warmup": 0.5, "limit_train": 64, "limit_val": 40, "epochs": 1}


def _scales(model: str, epochs: int, lr: float, small: Mapping[str, Any], **both: Any) -> dict[str, dict[str, Any]]:
    """The options of a model: the full recipe's epochs and rate, what is other on a small scale, what is the same."""
    kept = {"model": model, **both}
    patches = {"patch_size": 8} if "patch_size" in small else {}  # 8x8 tokens of 64 pixels, as 16 make of 128
    little = {key: value for key, value in small.items() if key not in ("epochs", "limit_train", "limit_val")}
    return {
        "full": {**kept, **_FULL, "epochs": epochs, "lr": lr},
        "medium": {**kept, **_MEDIUM, **patches, "epochs": -(-epochs // _SHARE), "lr": lr},
        "default": {"model": model, **{key: value for key, value in both.items() if key == "depth"}},
        "small": {**kept, **_SMALL, **small},
        "smoke": {**kept, **_SMOKE, **little},
    }


def _own(reported: Figures, other_teams: Mapping[str, str]) -> tuple[Pair]:
    """minigrad and torch, each as it is by default."""
    return (Pair("", "minigrad", "torch", reported, other_teams),)


def _vit(depth: int, top1: float, top5: float, other_teams: Mapping[str, str]) -> Experiment:
    small = {"lr": 2e-3, "dim": 96, "patch_size": 4, "limit_train": 1500, "limit_val": 500}
    return Experiment(
        f"vision transformer with window attention, depth {depth}",
        _scales("vit", 90, 0.01, small, depth=depth, **_ADAMW),
        SEEDS,
        OWN,
        _own({"top1": top1, "top5": top5}, other_teams),
        remarks=("The reported network merged its attention heads wrongly, ours does not.",) if other_teams else (),
    )


_SIMPLENET_60 = _scales("simplenet", 60, 0.1, {"lr": 0.05}, **_SGD)
_SIMPLENET_10 = _scales("simplenet", 10, 0.1, {"lr": 0.05}, **_SGD)
_UNDER_ATTACK = {who: {"clean": found[CLEAN], "report": found[ROWS[0]]} for who, found in REPORTED_DEFENCE.items()}


def _defence(who: str) -> Pair:
    """The networks trained plainly, or on attacked images: minigrad's and torch's."""
    reported = {
        f"{line}_{top}": value
        for line, both in _UNDER_ATTACK[who].items()
        for top, value in zip(("top1", "top5"), both, strict=True)
    }
    return Pair(f"{who} training", f"minigrad {who}", f"torch {who}", reported)


EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType(
    {
        "simplenet-60": Experiment(
            "SimpleNet",
            _SIMPLENET_60,
            SEEDS | {"medium": 3},
            OWN,
            _own(
                {"top1": 43.68, "top5": 73.28, "mirrored_top1": 44.35, "mirrored_top5": 73.89},
                {"top1": "43.76-44.10", "top5": "73.1-73.6"},
            ),
        ),
        "simplenet-custom-conv-10": Experiment(
            "SimpleNet on the hand-written convolution",
            _scales("simplenet", 10, 0.1, {"lr": 0.05, "limit_train": 3000}, **_SGD),
            SEEDS | {"small": 4},
            (
                *OWN,
                Arm("minigrad definition", "minigrad", {"conv": "definition"}),
                Arm("torch custom-conv", "torch", {"custom_conv": True}),
            ),
            (
                Pair(
                    "hand-written convolution",
                    "minigrad definition",
                    "torch custom-conv",
                    {"top1": 22.53, "top5": 51.96},
                    {"top1": "22.46-22.82", "top5": "51.5-52.2"},
                ),
                Pair("each framework's own convolution", "minigrad", "torch"),
                Pair("in minigrad, hand-written against its own", "minigrad definition", "minigrad"),
                Pair("in torch, hand-written against its own", "torch custom-conv", "torch"),
            ),
            remarks=(
                "Reported of memory: 4.93 GiB with the hand-written convolution, 2.46 GiB with torch's own, at like speed; "
                "of other teams 4881 and 3113 MiB.",
            ),
        ),
        "simplenet-bn-90": Experiment(
            "SimpleNet with batch norm",
            _scales("simplenet-bn", 90, 0.5, {"lr": 0.05, "limit_train": 3000, "epochs": 5}, **_SGD),
            SEEDS,
            OWN,
            _own({"top1": 49.73, "top5": 78.33}, {"top1": "49.4-49.7", "top5": "78.6"}),
        ),
        "resnet18-finetune-60": Experiment(
            "ResNet-18",
            _scales("resnet18", 60, 0.1, {"lr": 0.02, "limit_train": 600, "limit_val": 500, "epochs": 5}, **_SGD),
            SEEDS,
            OWN,
            _own({"top1": 52.90, "top5": 80.26}, {"top1": "52.1-53.0", "top5": "79.4-80.3"}),
            initial="imagenet",
            remarks=("The recipe fine-tunes ImageNet weights; below the full scale it starts from random ones.",),
        ),
        "vit-d4-90": _vit(4, 39.905, 70.2057, {"top1": "41.9-44.6", "top5": "71.3-74.0"}),
        "vit-d6-90": _vit(6, 41.44, 71.078, {}),
        "attack-table": Experiment(
            "SimpleNet under attack",
            _SIMPLENET_60,
            dict.fromkeys(SCALES, 1),
            OWN[:1],
            (),
            attack=Attack(
                ROWS, ATTACKS, True, {"full": None, "medium": 1000, "default": 400, "small": 400, "smoke": 10}
            ),
            folder="simplenet-60",
        ),
        "adversarial-training-10": Experiment(
            "SimpleNet trained on attacked images",
            _SIMPLENET_10,
            SEEDS | {"small": 3},
            tuple(
                Arm(f"{framework} {who}", framework, {} if who == PLAIN else {"adversarial": 0.2})
                for framework in ("minigrad", "torch")
                for who in (PLAIN, DEFENDED)
            ),
            (
                _defence(PLAIN),
                _defence(DEFENDED),
                Pair("in minigrad, what the defence brings", f"minigrad {DEFENDED}", f"minigrad {PLAIN}", same=False),
                Pair("in torch, what the defence brings", f"torch {DEFENDED}", f"torch {PLAIN}", same=False),
            ),
            attack=Attack(
                ROWS[:1],
                ("report", "untargeted"),
                False,
                {"full": None, "medium": None, "default": 500, "small": 500, "smoke": 10},
            ),
            remarks=(
                "Attacked with 10 steps of .01 within .1, each network by its own framework: report is the original's attack, up "
                "the loss of the least likely class, untargeted goes up the label's loss.",
                "Trained against: 5 steps of epsilon / 5 up the label's loss, in a batch of five.",
            ),
        ),
    }
)


def options_of(experiment: Experiment, scale: str, arm: Arm, folder: bool) -> dict[str, Any]:
    """The options of an arm. folder: whether the images come from one; below the full scale they have 64 pixels a side then."""
    options = {**experiment.options[scale], **arm.options}
    if folder and scale != "full":
        options |= {"image_size": 64} | ({"patch_size": 8} if "patch_size" in options else {})
    return options


def find(name: str) -> Experiment:
    """The experiment of that name. OptionError, which lists them all, if there is none."""
    if name not in EXPERIMENTS:
        near = did_you_mean(name, EXPERIMENTS)
        raise OptionError(f"unknown experiment {name!r}: there are {', '.join(EXPERIMENTS)}{near}")
    return EXPERIMENTS[name]


def seeds_of(experiment: Experiment, scale: str, number: int | None) -> list[int]:
    """So many seeds, from FIRST_SEED on; None: the experiment's own number."""
    return [FIRST_SEED + i for i in range(number or experiment.seeds[scale])]


def listed() -> str:
    """The experiments, in text."""
    lines = []
    for name, experiment in EXPERIMENTS.items():
        lines += [f"{name}: {experiment.title}"]
        for scale in SCALES:
            options = options_of(experiment, scale, experiment.arms[0], False)
            written = " ".join(as_written(key, value) for key, value in options.items())
            seeds = experiment.seeds[scale]
            lines.append(f"  {scale:6} {written}; {seeds} seed{'s' * (seeds > 1)}")
        for pair in experiment.pairs:
            for what, figures in (("reported", pair.reported), ("other teams", pair.other_teams)):
                if figures:
                    label = f"{pair.label}: " if pair.label else ""
                    values = "; ".join(f"{FIGURES[key]} {_number(value)}" for key, value in figures.items())
                    lines.append(f"  {what}: {label}{values}")
        lines += [f"  {remark}" for remark in experiment.remarks] + [""]
    return "\n".join(lines).rstrip()


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.2f}"
