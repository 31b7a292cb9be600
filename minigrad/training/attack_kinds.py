"""The attacks by name, for --attack of both scripts and of `minigrad attack`: what each is made of, and what it can be given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from minigrad.attacks import PRESETS
from minigrad.errors import OptionError

STEPPING = frozenset({"attack_steps", "alpha", "random_start", "restarts"})
"""The options of gradient steps; an attack's own name of one of them is another:"""
OPTION_OF = {"attack_steps": "steps"}
ALL_NORMS, TWO = ("linf", "l2", "l1", "l0"), ("linf", "l2")


@dataclass(frozen=True)
class Kind:
    """An attack by name.

    cls: of minigrad.attacks, and of models.reference.attacks. about: what --help says. takes: the options that it uses, beside
    epsilon and its units. steps: how many where none are asked for, given as the argument `steps_as`. norms: those that it
    knows, the default first. target: how a class of the user's choice is given to it: as one of its "targets", by a
    "criterion", or not at all. nearest: whether it looks for the smallest change, of whatever size. trains: whether it is
    quick enough for --adversarial. bounded: whether it needs limits of the pixels. classes: that it needs at least.
    """

    cls: str
    about: str
    takes: frozenset[str] = STEPPING
    steps: int = 10
    steps_as: str = "steps"
    norms: tuple[str, ...] = ALL_NORMS
    target: str | None = None
    nearest: bool = False
    trains: bool = False
    bounded: bool = False
    classes: int = 2
    settings: Mapping[str, Any] = field(default_factory=dict)
    idle: frozenset[str] = frozenset({"patch_share"})  # of the options of all other attacks


_AWAY = {"target": "label", "direction": "ascend"}
_LED: dict[str, Any] = {"target": "targets", "trains": True}  # PGD's kin: quick, and led by the loss of a class
_STEPS = frozenset({"attack_steps"})
_STARTS = frozenset({"random_start", "restarts"})


def _kind(cls: str, about: str, takes: Iterable[str] = STEPPING, steps: int = 10, **more: Any) -> Kind:
    return Kind(cls, about, frozenset(takes), steps, **more)


def _momentum(cls: str, about: str) -> Kind:
    return _kind(cls, about, settings=_AWAY, **_LED)


def _smallest(cls: str, about: str, steps: int, *norms: str, takes: Iterable[str] = _STEPS, **more: Any) -> Kind:
    return _kind(cls, about, takes, steps, norms=norms, nearest=True, **more)


def _auto(version: str, about: str) -> Kind:
    return _kind("AutoAttack", about, (), classes=4, norms=TWO, settings={"version": version})


ATTACKS: dict[str, Kind] = {
    "handout": _kind("PGD", "PGD towards the least likely class", settings=PRESETS["handout"], trains=True),
    "report": _kind("PGD", "PGD away from that class (weak)", settings=PRESETS["report"], trains=True),
    "untargeted": _kind("PGD", "PGD away from the label", settings=PRESETS["untargeted"], **_LED),
    "apgd": _kind("APGD", "PGD that chooses its steps: stronger", _STEPS | _STARTS, norms=TWO, settings=_AWAY, **_LED),
    "fgsm": _kind("FGSM", "one step of epsilon", _STARTS, norms=ALL_NORMS[:3], settings=_AWAY, **_LED),
    "mifgsm": _momentum("MIFGSM", "PGD with momentum"),
    "difgsm": _momentum("DIFGSM", "the same, of images resized at random: it carries over to other networks"),
    "tifgsm": _momentum("TIFGSM", "the same, of a smooth gradient"),
    "vmifgsm": _momentum("VMIFGSM", "the same, of a gradient averaged around the image: 21 times the passes"),
    "apgdt": _kind(
        "APGDT", "APGD towards each likely class in turn", {"attack_steps", "restarts"}, 100, classes=4, target="targets",
        norms=TWO,
        settings={"random_start": True},
    ),
    "square": _kind(
        "Square", "random search by logits alone; its steps are queries", _STEPS, 5000, norms=TWO, steps_as="queries",
        target="criterion",
    ),
    "fab": _smallest(
        "FAB", "the smallest change, along the boundary", 100, *ALL_NORMS[:3], takes={"attack_steps", "restarts"}
    ),
    "deepfool": _smallest("DeepFool", "a small change, quickly", 50, "l2", "linf"),
    "ddn": _smallest("DDN", "the smallest change by the 2-norm", 100, "l2"),
    "cw": _smallest("CW", "the same by Carlini and Wagner: slow", 200, "l2", target="criterion", bounded=True),
    "hopskipjump": _smallest(
        "HopSkipJump", "the smallest change by classes alone: slow", 20, "l2", "linf", target="criterion", bounded=True
    ),
    "autoattack": _auto("standard", "the worst of four, minutes to hours"),
    "autoattack-plus": _auto("plus", "the worst of six"),
}  # fmt: skip
"""The attacks, in the order in which --help shows them."""


_PATCH = frozenset({"epsilon", "norm", "attack_units", "audit"})
FITTED = {
    "universal": _kind(
        "Universal", "one change for all images", {"attack_steps", "alpha"}, norms=TWO, idle=frozenset({"patch_share", "audit"})
    ),
    "patch": _kind("Patch", "a picture that is put on the images", {"attack_steps", "alpha"}, norms=("linf",), idle=_PATCH),
}  # fmt: skip
"""The attacks that are one change for all images, found on training images: for both scripts."""
KINDS = ATTACKS | FITTED


def explained(kinds: Mapping[str, Kind] = ATTACKS) -> str:
    """What --help says of the names."""
    return "; ".join(f"{name}: {kind.about}" for name, kind in kinds.items())


def build(library: Any, name: str, settings: Mapping[str, Any]) -> Any:
    """The attack of a name, made by a framework's attacks: minigrad.attacks, or models.reference.attacks.

    settings: threat model and generator, and steps, alpha, random_start, restarts, of which it takes what it knows.
    OptionError for an attack that the framework does not have.
    """
    kind = KINDS[name]
    if not hasattr(library, kind.cls):
        raise OptionError(f"--attack {name}: its PyTorch version is not written; train_minigrad.py has it")
    unused = {OPTION_OF.get(option, option) for option in STEPPING - kind.takes}
    if kind.cls == "Patch":
        unused |= {"epsilon", "norm", "units", "clip"}
    given = {key: value for key, value in settings.items() if key not in unused}
    if "steps" in given:
        given[kind.steps_as] = given.pop("steps")
    return getattr(library, kind.cls)(**{**kind.settings, **given})
