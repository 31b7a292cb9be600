"""What else is made of gradient steps: the presets, FGSM, momentum, and steps that choose their own size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from minigrad.attacks.amounts import Amount, amount, size
from minigrad.attacks.attack import pick
from minigrad.attacks.gradient import Model, untouched
from minigrad.attacks.pgd import PGD, Path, Step, check_step
from minigrad.errors import did_you_mean
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
        raise ValueError(f"unknown preset {name!r}: there are {', '.join(PRESETS)}{did_you_mean(name, PRESETS)}")
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


class _Memory:
    """What AutoPGD remembers of each image: its step size, its best point, and what it was like at the last checkpoint.

    Values (N,) are losses times the attack's sign: the larger, the better.
    """

    x: Tensor
    value: Tensor
    slope: Tensor
    before: Tensor
    best: Tensor
    best_value: Tensor
    best_slope: Tensor
    checked_value: Tensor  # the best value at the last checkpoint
    halved: Tensor  # whether the step size was halved there
    rises: Tensor  # how many steps since then improved the value

    def __init__(self, size: Tensor) -> None:
        self.size, self.checked, self.started = size, 0, False

    def see(self, x: Tensor, value: Tensor, slope: Tensor) -> None:
        """A new point, with its value (N,) and slope."""
        if not self.started:
            self.started = True
            self.before, self.best, self.best_value, self.best_slope = x, x, value, slope
            self.checked_value, self.halved, self.rises = value, value < value, value * 0
        else:
            self.rises = self.rises + (value > self.value)
            better = value > self.best_value
            self.best, self.best_slope = pick(better, x, self.best), pick(better, slope, self.best_slope)
            self.best_value = pick(better, value, self.best_value)
        self.x, self.value, self.slope = x, value, slope

    @property
    def here(self) -> tuple[Tensor, Tensor]:
        """The point to step from, and its slope."""
        return self.x, self.slope

    def check(self, index: int, rho: float) -> tuple[Tensor, Tensor]:
        """Checkpoint: images that are stuck halve their steps and go back to their best point. Returns `here`."""
        stuck = (self.rises < rho * (index - self.checked)) | (~self.halved & (self.best_value == self.checked_value))
        self.size = pick(stuck, self.size / 2, self.size)
        self.x, self.slope = pick(stuck, self.best, self.x), pick(stuck, self.best_slope, self.slope)
        self.value = pick(stuck, self.best_value, self.value)
        self.checked, self.checked_value, self.halved, self.rises = index, self.best_value, stuck, self.value * 0
        return self.here

    def keep(self, index: Tensor) -> None:
        """Forget all but these images."""
        for name, held in list(vars(self).items()):
            if isinstance(held, Tensor):
                setattr(self, name, held[index])


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

    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")

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

    def path(self, model: Model, images: Tensor, labels: Any = None, targets: Any = None) -> Path:
        """The steps of one start, each computed when it is asked for. The last one moves to the best point of all."""
        run, sign = self._start(images, labels, targets), self._sign
        size = 2 * run.space.epsilon * run.x.new_ones((len(run.x), *(1 for _ in run.x.shape[1:])))
        memory, checkpoints = _Memory(size), self.checkpoints()
        for index in range(self.steps):
            logits, classes, loss, gradient = self._look(model, run)
            with no_grad():
                check_step(index, loss, gradient)
                if index == 0:
                    _check_each(loss, run.x)
                run.chosen = classes
                memory.see(run.x, sign * loss, run.space.slope(gradient))
                here, slope = memory.check(index, self.rho) if index in checkpoints else memory.here
                aim = run.space.move(here, slope, sign * memory.size)
                share = self.momentum if index > 0 else 1.0
                moved = end = run.space.project(here + (aim - here) * share + (here - memory.before) * (1 - share))
            if index == self.steps - 1:
                with untouched(model), no_grad():
                    value = sign * self.loss_function(run.labels)(model(moved), classes)
                    end = pick(value > memory.best_value, moved, memory.best)
            keep = yield Step(index, run.x, logits, classes, loss, gradient, end)
            memory.before, run.x = here, moved
            if keep is not None:
                run.keep(keep)
                memory.keep(keep)

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
