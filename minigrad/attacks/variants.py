"""What else is made of gradient steps: the presets, FGSM, momentum, and steps that choose their own size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from minigrad.attacks.amounts import Amount, amount, size
from minigrad.attacks.gradient import Model, untouched
from minigrad.attacks.pgd import PGD, Step, always, check_step, pick
from minigrad.grad_mode import no_grad
from minigrad.tensor import Tensor

PRESETS: dict[str, dict[str, Any]] = {
    "handout": {"target": "least-likely", "direction": "descend"},
    "report": {"target": "least-likely", "direction": "ascend"},
    "untargeted": {"target": "label", "direction": "ascend"},
}
"""What the assignment asks for; what its report did instead (away from a class that is far already: weak); the strongest."""


def preset(name: str, **options: Any) -> PGD:
    """PGD of 10 steps, alpha .01, epsilon .1 in normalised units, aimed as PRESETS say; `options` are PGD's.

    ValueError, with the names that exist, for an unknown one.
    """
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}: there are {', '.join(PRESETS)}")
    return PGD(**(PRESETS[name] | options))


def FGSM(epsilon: Amount = 0.1, **options: Any) -> PGD:
    """The fast gradient sign method: one step of size epsilon up the loss of the label, x + epsilon sign(g).

    `options` are PGD's other ones. Source: I. Goodfellow et al., Explaining and Harnessing Adversarial Examples (2015), 3.
    """
    aim = {"target": "label", "direction": "ascend"} | options
    return PGD(steps=1, alpha=epsilon, epsilon=epsilon, **aim)


@dataclass(frozen=True)
class MIFGSM(PGD):
    """PGD whose direction remembers: v <- decay v + g / mean |g|, then x <- project(x -+ alpha sign(v)).

    The mean is over an image's C H W numbers (the source's 1-norm differs by that count alone, which no step sees).
    Source: Y. Dong et al., Boosting Adversarial Attacks with Momentum (2018), eq. 6 and 7.
    """

    decay: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        decay = size("decay", self.decay)
        if isinstance(decay, tuple):
            raise ValueError(f"decay must be one number, got {decay}")
        self._set("decay", decay)

    def _momentum(self, slope: Tensor, before: Tensor | None) -> Tensor:
        size = slope.abs().mean(tuple(range(1, slope.ndim)), keepdim=True)
        now = slope / size.where(size > 0, 1.0)
        return now if before is None else before * self.decay + now


@dataclass(frozen=True)
class APGD(PGD):
    """PGD that chooses its steps: from 2 epsilon on, each image halves its own step whenever that stops helping.

        z <- project(x + eta s(g)),    x <- project(x + .75 (z - x) + .25 (x - x before))

    s is PGD's step of size 1. At checkpoints after 22 % of the steps, then at intervals that shrink by 3 % of them to 6 %,
    eta is halved and the image goes back to its best point so far, if its loss rose (descending: fell) in less than 75 %
    of the steps since the last checkpoint, or if neither eta nor the best loss changed since then. Each image ends at its
    best point, for which there is one forward pass more. `alpha` is not used; `loss` has to give a loss for each image,
    (N,); classes are chosen once (retarget=False), for losses of changing classes cannot be compared.

    Source: F. Croce and M. Hein, Reliable Evaluation of Adversarial Robustness (2020), algorithm 1.
    """

    retarget: bool = False
    rho: float = 0.75
    momentum: float = 0.75

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.retarget:
            raise ValueError("APGD compares losses from step to step: it chooses its classes once (retarget=False)")
        for name in ("rho", "momentum"):
            value = amount(name, getattr(self, name))
            if isinstance(value, tuple) or not 0 <= value <= 1:
                raise ValueError(f"{name} must be from 0 to 1, got {value}")
            self._set(name, value)

    def path(self, model: Model, images: Tensor, labels: Any = None, targets: Any = None) -> Iterator[Step]:
        """The steps of one start, each computed when it is asked for. The last one moves to the best point of all."""
        (space, x, choose), sign = self._start(images, labels, targets), self._sign
        size = 2 * space.epsilon * x.new_ones((len(x), *(1 for _ in x.shape[1:])))
        checkpoints = self.checkpoints()
        for index in range(self.steps):
            logits, classes, loss, gradient = self._look(model, x, choose)
            with no_grad():
                check_step(index, loss, gradient)
                value, slope = sign * loss, space.slope(gradient)
                if index == 0:
                    _check_each(loss, x)
                    choose = always(classes)
                    before, value_before = x, value
                    best, best_slope, best_value = x, slope, value
                    checked, value_checked, halved, rises = 0, value, value < value, value * 0
                better = value > best_value
                best, best_slope = pick(better, x, best), pick(better, slope, best_slope)
                best_value = pick(better, value, best_value)
                rises = rises + (value > value_before)
                here, value_here = x, value
                if index in checkpoints:
                    stuck = (rises < self.rho * (index - checked)) | (~halved & (best_value == value_checked))
                    size = pick(stuck, size / 2, size)
                    here, slope = pick(stuck, best, x), pick(stuck, best_slope, slope)
                    value_here = pick(stuck, best_value, value)
                    checked, value_checked, halved, rises = index, best_value, stuck, value * 0
                aim = space.move(here, slope, sign * size)
                share = self.momentum if index > 0 else 1.0
                moved = end = space.project(here + (aim - here) * share + (here - before) * (1 - share))
            if index == self.steps - 1:
                with untouched(model), no_grad():
                    end = pick(sign * self.loss(model(moved), classes) > best_value, moved, best)
            yield Step(index, x, logits, classes, loss, gradient, end)
            before, value_before, x = here, value_here, moved

    def checkpoints(self) -> list[int]:
        """The steps before which step sizes are looked at: ceil(p steps) for p = .22, and on by max(last - .03, .06)."""
        found, percent, width = [], 22, 22
        while percent < 100:
            found.append(-(-percent * self.steps // 100))
            width = max(width - 3, 6)
            percent += width
        return found


def _check_each(loss: Tensor, images: Tensor) -> None:
    if loss.shape != images.shape[:1]:
        raise ValueError(
            f"APGD needs a loss for each of the {len(images)} images, got one of shape {tuple(loss.shape)}"
        )
