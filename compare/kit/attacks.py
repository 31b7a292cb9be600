"""Attacks by name for the commands, with one threat model in both frameworks, up the label's loss."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from compare.kit.arguments import Parser, count
from compare.kit.frameworks import Framework
from minigrad.data.dataset import ImageDataset
from minigrad.random import Generator
from minigrad.training.attack_kinds import build

SHARE = 4  # a step is epsilon / 4: an image can cross the ball, and come back

KINDS: Mapping[str, tuple[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "fgsm": ("fgsm", {}),
        "pgd": ("untargeted", {}),
        "mifgsm": ("mifgsm", {}),
        "difgsm": ("difgsm", {}),
        "tifgsm": ("tifgsm", {}),
        "vmifgsm": ("vmifgsm", {"samples": 5}),
        "apgd": ("apgd", {}),
        "apgd-dlr": ("apgd", {"loss": "dlr"}),
        "apgd-t": ("apgdt", {}),
        "square": ("square", {}),
    }
)
"""{name: (what --attack of the scripts calls it, what is not its default)}. Each goes up the label's loss."""


@dataclass(frozen=True)
class Threat:
    """A ball of epsilon by a norm around images of a data set, in pixels (from 0 to 1, where images stay), or normalised."""

    epsilon: float
    norm: str
    units: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, options: argparse.Namespace, data: ImageDataset) -> Threat:
        """What --epsilon, --norm and --units say."""
        return cls(options.epsilon, options.norm, options.units, tuple(data.mean), tuple(data.std))

    def settings(self, **changes: Any) -> dict[str, Any]:
        """The fields that every attack has."""
        found: dict[str, Any] = {"epsilon": self.epsilon, "norm": self.norm, "units": self.units}
        if self.units == "pixel":
            found |= {"mean": self.mean, "std": self.std, "clip": (0, 1)}
        return found | changes

    def __str__(self) -> str:
        return f"{self.norm} {self.epsilon:g} ({'pixels from 0 to 1' if self.units == 'pixel' else 'normalised units'})"


def add_threat(parser: Parser, epsilon: float) -> None:
    """The options from which `Threat.of` reads."""
    parser.add("--epsilon", type=positive, default=epsilon, help=f"size of the ball ({epsilon:g})")
    parser.add("--norm", choices=["linf", "l2"], default="linf", help="of an image's change (linf)")
    parser.add(
        "--units", choices=["pixel", "normalised"], default="pixel",
        help="of epsilon: pixels from 0 to 1, or what the network sees (pixel)",
    )  # fmt: skip


STEPS = count(1, 10_000)


def positive(text: str) -> float:
    """An argparse type: a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"a finite number above 0 is wanted, not {text!r}")
    return value


def make(framework: Framework, name: str, threat: Threat, steps: int, seed: int) -> Any:
    """The attack of this name, its random numbers from `seed`. steps: of Square, the queries."""
    attack, more = KINDS[name]
    steps_of = {"steps": steps, "alpha": threat.epsilon / SHARE, "generator": Generator(seed)}
    return build(framework.attacks, attack, {**threat.settings(), **steps_of, **more})
