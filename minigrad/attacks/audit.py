"""Is an attack as strong as it should be, and a model as robust as it looks? What must be true of both, measured.

An attack that fails here is too weak to say anything about a model; where a sound attack fails, the model hides its gradients.
Sources: A. Athalye et al., Obfuscated Gradients Give a False Sense of Security (2018), 3.1; N. Carlini et al., On Evaluating
Adversarial Robustness (2019), 4.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.attacks.amounts import amount, scaled, written
from minigrad.attacks.attack import AttackWarning, batch_axis, check_classes, check_logits
from minigrad.attacks.gradient import Model, untouched
from minigrad.attacks.losses import Loss, cross_entropy
from minigrad.attacks.of_torch import FromTorch
from minigrad.attacks.pgd import PGD, Step
from minigrad.attacks.square import Square
from minigrad.grad_mode import no_grad
from minigrad.nn import Module
from minigrad.ops.creation import as_tensor, ones_like
from minigrad.random import get_rng_state
from minigrad.tensor import Tensor

Floats = npt.NDArray[np.floating[Any]]

ROUNDING = 4  # times the dtype's eps: what may be lost between an attack's arithmetic and ours
SMALL = 1e-4  # of the largest value: a step over which a loss is straight, and changes by more than float32 rounds
GRADIENT_ERROR = 0.1  # by so much of what the gradients promise may the change of the loss differ
FALL = 0.02  # so much of what the whole path gains may one step lose
TIE = 1e-4  # times 1 + the loss: losses as near as this are alike, for float32 rounds the images already
UNBOUNDED_STEPS = 20  # at the least, of a tenth of the values' range each


@dataclass(frozen=True)
class Check:
    """One line of an audit."""

    name: str
    passed: bool
    figures: str


@dataclass(frozen=True)
class Report:
    """All lines of an audit; as a string, a table."""

    title: str
    checks: list[Check]

    @property
    def failed(self) -> list[str]:
        """The names of the checks that failed."""
        return [check.name for check in self.checks if not check.passed]

    @property
    def passed(self) -> bool:
        """Whether none failed."""
        return not self.failed

    def __str__(self) -> str:
        width = max(len(check.name) for check in self.checks)
        lines = [f"{'pass' if c.passed else 'FAIL'}  {c.name:{width}}  {c.figures}" for c in self.checks]
        end = f"{len(self.failed)} of {len(lines)} checks failed" if self.failed else f"all {len(lines)} checks passed"
        return "\n".join([self.title, *lines, end])


def audit(
    model: Model, attack: PGD, data: Iterable[Sequence[Any]], *, queries: int = 0, surrogate: Model | None = None
) -> Report:
    """Check `attack` on `model` for what must be true of a sound attack on a model that hides nothing.

        nothing touched       images, weights, .grad, running statistics, modes and minigrad's random state are the same to the bit
        in the ball, box      no perturbation is larger than epsilon, no value outside of clip, but for rounding
        answers repeat        the model gives the same logits for the same images
        gradients are there   no image's gradient is all zeros where the attack starts
        gradients are true    a small step changes the loss by what the gradients promise, within 10 %
        loss along the path   all steps are made, the mean loss improves, and no step loses over 2 % of what the path gains
        beats noise           fewer images are right than under random perturbations of the same size
        beats one step        the attack gets as far as one step of size epsilon
        more steps            twice the steps get as far
        larger epsilon        epsilon gets as far as epsilon / 2, and 2 epsilon as far as epsilon (alpha in proportion)
        unbounded             no image is right where epsilon is wider than the whole range of the values
        beats black box       with `queries`: no more images are right than under so many queries of Square (norms linf, l2)
        beats transfer        with a `surrogate`: no more images are right than under the same attack, made on that model
        loss in scale         only where it fails: of the attack on cross-entropy, over a tenth of the images have logits so far
                              apart that softmax rounds to 1, and the loss is flat

    An image is right if its label has the largest logit. How far an attack gets with it is the cross-entropy of the class that
    the attack set out for (its target on the image as it is), counted in the attack's direction. Two attacks are compared image
    by image: one is ahead on a of them, the other on b ("a : b"). For equals a - b passes 2 sqrt(a + b) by chance in about 2 of
    100 audits; "as far" is no further behind than that, "fewer" further ahead than that, which takes 5 images at the least.

    With n steps and one start it costs 6 n + 1 + max(n, 20) forward and backward passes over the images and 12 forward ones:
    about eight times the attack. The model and the attack's generator are copies, so that neither changes, and the same audit
    gives the same figures; the model is in training mode, as it is where it is easiest to touch something.

    Args:
        data: batches (images (N, C, H, W), labels (N,)), or (images, labels, targets (N,)) for target "given", Tensors or
            arrays; read once, and kept. Some hundred images will do. At least one has to be right before the attack.
        model: of minigrad, or FromTorch(network), a PyTorch network's.
        queries, surrogate: two more checks, see above. A black box, or another network's gradients, that do better than the
            model's own gradients are what a model leads to that hides them.

    Raises ValueError where there is nothing to attack, and what the attack raises.
    """
    if not isinstance(attack, PGD):
        raise ValueError(
            f"the audit is of attacks by gradient steps, PGD and its kin: {type(attack).__name__} has none to look at"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AttackWarning)  # "gradients are there" counts them
        trial = _Trial(model, attack, data)
        before = trial.state()
        attacked = trial.perturbed(trial.attack)
        checks = [_nothing_touched(before, trial.state()), *_allowed(trial, attacked), _repeats(trial)]
        checks += _along_the_path(trial)
        outcome = trial.outcome(attacked)
        checks += _strength(trial, outcome)
        checks += _without_gradients(trial, outcome, queries, surrogate)
    return Report(trial.title(), checks)


@dataclass(frozen=True)
class _Outcome:
    """Of each image (N,): whether it is right (1 or 0), and how far the attack got."""

    right: Floats
    reach: Floats

    def __str__(self) -> str:
        return f"{self.right.mean():.1%}"


class _Trial:
    """A model, an attack and images: what the checks share."""

    def __init__(self, model: Model, attack: PGD, data: Iterable[Sequence[Any]]) -> None:
        self.model = _in_training(deepcopy(model))
        self.attack = replace(attack, generator=deepcopy(attack.generator))
        self.batches: list[tuple[Tensor, Tensor, Tensor | None]] = []
        self.logits: list[Tensor] = []
        self.aims: list[Tensor] = []
        for parts in data:
            images, given, *rest = map(as_tensor, parts)
            if not len(images):
                continue
            targets = rest[0] if rest else None
            logits = self.answer(images)
            labels = check_classes(given, logits, "labels")
            self.batches.append((images, labels, targets))
            self.logits.append(logits)
            self.aims.append(attack._choice(labels, targets)(logits))
        if not self.batches:
            raise ValueError("an audit needs images")
        self.count = sum(len(images) for images, _, _ in self.batches)
        self.clean = self._outcome(self.logits)
        if not self.clean.right.any():
            raise ValueError(f"the model is wrong about all {self.count} images: nothing is left to attack")

    def title(self) -> str:
        attack = self.attack
        low, high = _interval(float(self.clean.right.mean()), self.count)
        return (
            f"{type(attack).__name__}: {attack.direction} on {attack.target}, {attack.norm}, epsilon {written(attack.epsilon)} "
            f"({attack.units}), {attack.steps} steps\n"
            f"{self.count} images, {self.clean} of them right before the attack; of others like them {low:.1%} to {high:.1%}"
        )

    def answer(self, images: Tensor) -> Tensor:
        """The logits, in evaluation mode."""
        with untouched(self.model), no_grad():
            with batch_axis(images):
                return check_logits(self.model(images))

    def perturbed(self, attack: PGD) -> list[Tensor]:
        return [attack(self.model, *batch) for batch in self.batches]

    def outcome(self, perturbed: Iterable[Tensor]) -> _Outcome:
        return self._outcome([self.answer(x) for x in perturbed])

    def under(self, **changes: Any) -> _Outcome:
        """What the attack comes to with other settings."""
        return self.outcome(self.perturbed(replace(self.attack, **changes)))

    def _outcome(self, answers: list[Tensor]) -> _Outcome:
        right, reach = [], []
        for logits, (_, labels, _), aim in zip(answers, self.batches, self.aims, strict=True):
            right.append(_numpy(logits.argmax(1) == labels).astype(float))
            reach.append(_numpy(self.attack._sign * cross_entropy(logits, aim)))
        return _Outcome(np.concatenate(right), np.concatenate(reach))

    def state(self) -> dict[str, Any]:
        """All that an attack has to leave alone."""
        tensors = [(f"images of batch {i + 1}", images) for i, (images, _, _) in enumerate(self.batches)]
        state: dict[str, Any] = {"random state": get_rng_state()}
        if isinstance(self.model, FromTorch):
            state |= self.model.state()
        if isinstance(self.model, Module):
            tensors += [*self.model.named_parameters(), *self.model.named_buffers()]
            state |= {f"{name or 'model'}.training": module.training for name, module in self.model.named_modules()}
        for name, tensor in tensors:
            state[name] = _numpy(tensor).tobytes()
            state[f"{name}.grad"] = None if tensor.grad is None else _numpy(tensor.grad).tobytes()
            state[f"{name}.requires_grad"] = tensor.requires_grad
        return state


def _in_training(model: Model) -> Model:
    """As in the middle of training: in training mode, with gradients. An attack that forgets about either shows."""
    if isinstance(model, Module):
        for parameter in model.train().parameters():
            if parameter.requires_grad and parameter.grad is None:
                parameter.grad = ones_like(parameter)
    return model


def _interval(share: float, count: int) -> tuple[float, float]:
    """Between what two shares the true one is, at two standard errors: E. Wilson's interval (1927)."""
    middle, width = share + 2 / count, 2 * (share * (1 - share) / count + 1 / count**2) ** 0.5
    return (middle - width) / (1 + 4 / count), (middle + width) / (1 + 4 / count)


def _numpy(x: Tensor) -> npt.NDArray[Any]:
    return x.numpy(force=True)


def _nothing_touched(before: dict[str, Any], after: dict[str, Any]) -> Check:
    changed = [name for name in before if before[name] != after[name]]
    figures = f"changed: {', '.join(changed[:3])}" if changed else f"{len(before)} things are as they were"
    return Check("nothing touched", not changed, figures)


def _allowed(trial: _Trial, attacked: list[Tensor]) -> Iterator[Check]:
    """Ball and box, measured in float64 and without Space."""
    attack = trial.attack
    epsilon = np.asarray(attack.epsilon)
    sizes, beyond, misses, outside = [], False, [0.0], False
    for (images, _, _), perturbed in zip(trial.batches, attacked, strict=True):
        (x0, mean), (x, _) = _in_units(attack, images), _in_units(attack, perturbed)
        rounding = ROUNDING * np.finfo(images.dtype).eps
        size = _norm(attack, x - x0)
        sizes.append(size.max(0))
        beyond |= bool((size > epsilon + rounding * (epsilon + _norm(attack, x))).any())
        if attack.clip is not None:
            low, high = (bound - mean for bound in attack.clip)
            misses.append(np.maximum(low - x, x - high).max())
            outside |= bool(misses[-1] > rounding * np.abs(x).max())
    largest = amount("largest", np.max(sizes, 0))
    figures = f"largest {attack.norm} {written(largest, '.6g')}, epsilon {written(attack.epsilon)}"
    yield Check("in the ball", not beyond, figures)
    if attack.clip is not None:
        yield Check("in the box", not outside, f"at most {max(misses):.2g} outside of {attack.clip}")


def _in_units(attack: PGD, x: Tensor) -> tuple[npt.NDArray[np.float64], Any]:
    """x in the attack's units, less the mean; and that mean."""
    values = _numpy(x).astype(np.float64)
    if attack.units == "normalised":
        return values, 0.0
    assert attack.mean is not None and attack.std is not None
    channels = (-1, *(1 for _ in x.shape[2:]))
    return values * np.reshape(attack.std, channels), np.reshape(attack.mean, channels)


def _norm(attack: PGD, d: Floats) -> Floats:
    """Of each image, (N,); of each of its channels, (N, C), where epsilon is a number for each."""
    rows = d.reshape(*d.shape[: 2 if isinstance(attack.epsilon, tuple) else 1], -1)
    if attack.norm in ("l1", "l0"):
        return np.abs(rows).sum(-1) if attack.norm == "l1" else (rows != 0).sum(-1).astype(float)
    return np.abs(rows).max(-1) if attack.norm == "linf" else np.sqrt((rows**2).sum(-1))


def _repeats(trial: _Trial) -> Check:
    first, second = (
        np.concatenate([_numpy(a) for a in answers])
        for answers in (trial.logits, [trial.answer(images) for images, _, _ in trial.batches])
    )
    apart = np.abs(first - second).max() / (np.abs(first).max() or 1.0)
    return Check(
        "answers repeat", apart <= np.finfo(first.dtype).eps ** 0.5, f"logits differ by {apart:.2g} of the largest"
    )


def _along_the_path(trial: _Trial) -> Iterator[Check]:
    """What the steps see: the gradient where they start, and the loss of each step's classes before and after it."""
    attack = trial.attack
    none, found, promised = 0, 0.0, 0.0
    gains: dict[int, float] = defaultdict(float)
    for batch in trial.batches:
        last: Step | None = None
        loss = attack.loss_function(batch[1])
        for step in attack.path(trial.model, *batch):
            if last is None:
                x, gradient = step.images, _numpy(step.gradient)
                none += int((gradient.reshape(len(x), -1) == 0).all(1).sum())
                h = SMALL * (float(x.abs().max().item()) or 1.0)
                there, back = (trial.answer(x + h * sign * step.gradient.sign()) for sign in (1, -1))
                found += _change(loss, step, back, there)
                promised += 2 * h * float(np.abs(gradient).sum(dtype=np.float64))
            else:
                gains[last.index] += attack._sign * _change(loss, last, last.logits, step.logits)
            last = step
        if last is not None:
            gains[last.index] += attack._sign * _change(loss, last, last.logits, trial.answer(last.moved))
    yield Check("gradients are there", none == 0, f"{none} of {trial.count} images have a gradient of zeros")
    ratio = found / promised if promised else 0.0
    true = abs(ratio - 1) <= GRADIENT_ERROR
    yield Check("gradients are true", true, f"the loss changes by {ratio:.3f} of what they promise")
    total, worst = sum(gains.values()), min(gains.values(), default=0.0)
    climbs = len(gains) == attack.steps and total > 0 and worst >= -FALL * total
    figures = f"the worst brings {worst / total:.1%} of what all bring" if total > 0 else "the loss does not improve"
    yield Check("loss along the path", climbs, f"{len(gains)} of {attack.steps} steps, {figures}")


def _change(loss: Loss, step: Step, before: Tensor, after: Tensor) -> float:
    """Of the loss of the step's classes, over all images, from some logits to others."""
    with no_grad():
        return float((loss(after, step.classes) - loss(before, step.classes)).sum().item())


def _strength(trial: _Trial, attacked: _Outcome) -> Iterator[Check]:
    """The attack beside noise, and beside itself with other settings."""
    attack, steps, epsilon = trial.attack, trial.attack.steps, trial.attack.epsilon
    noisy = trial.outcome(attack.noise(images) for images, _, _ in trial.batches)
    lost, won, chance = _compare(noisy.right, attacked.right)
    figures = f"right: {noisy} under noise, {attacked} attacked; {lost} images lost, {won} won"
    yield Check("beats noise", lost - won > chance, figures)
    one = trial.under(steps=1, alpha=epsilon)
    yield _as_far("beats one step", "after {} steps", [(1, one), (steps, attacked)])
    twice = trial.under(steps=2 * steps)
    yield _as_far("more steps", "after {} steps", [(steps, attacked), (2 * steps, twice)])
    half, double = (trial.under(epsilon=scaled(epsilon, f), alpha=scaled(attack.alpha, f)) for f in (0.5, 2))
    series = [(scaled(epsilon, 0.5), half), (epsilon, attacked), (scaled(epsilon, 2), double)]
    yield _as_far("larger epsilon", "at epsilon {}", series)

    images = [_in_units(attack, images)[0] for images, _, _ in trial.batches]
    alpha = max(float(np.ptp(x)) for x in images) / 10
    if attack.norm == "l2":
        alpha *= images[0][0].size ** 0.5
    if attack.norm == "l1":
        alpha *= images[0][0].size
    steps = max(steps, UNBOUNDED_STEPS)
    widest = images[0][0].size if attack.norm == "l0" else steps * alpha
    free = trial.under(epsilon=widest, alpha=alpha, steps=steps)
    yield Check("unbounded", not free.right.any(), f"right: {free} at epsilon {widest:.3g}")


def _without_gradients(trial: _Trial, attacked: _Outcome, queries: int, surrogate: Model | None) -> Iterator[Check]:
    """What does better than the model's own gradients: a black box, another model's; and why they may be flat."""
    attack = trial.attack
    if queries and attack.norm in Square.norms:
        square = Square(queries=queries, **attack._threat)
        found = trial.outcome(square(trial.model, images, labels) for images, labels, _ in trial.batches)
        yield _no_better("beats black box", f"{queries} queries of Square", attacked, found)
    if surrogate is not None:
        found = trial.outcome(attack(surrogate, *batch) for batch in trial.batches)
        yield _no_better("beats transfer", "the same attack on the surrogate", attacked, found)
    if attack.loss == "ce":
        limit = -np.log(np.finfo(trial.logits[0].dtype).eps)
        tops = [np.sort(_numpy(logits), 1)[:, -2:] for logits in trial.logits if logits.shape[1] > 1]
        flat = sum(int((top[:, 1] - top[:, 0] > limit).sum()) for top in tops)
        if flat > trial.count / 10:
            figures = f"{flat} of {trial.count} images: the likeliest class leads by over {limit:.3g}, softmax is 1; try loss='dlr'"
            yield Check("loss in scale", False, figures)


def _no_better(name: str, other: str, attacked: _Outcome, found: _Outcome) -> Check:
    """Are no more images right under the attack than under the other one?"""
    lost, won, chance = _compare(attacked.right, found.right)
    figures = f"right: {attacked} attacked, {found} by {other}; {lost} images only by that, {won} only by the attack"
    return Check(name, lost - won <= chance, figures)


def _compare(a: Floats, b: Floats) -> tuple[int, int, float]:
    """In how many places a is larger, in how many b; and by how much these two may differ by chance, if a and b are alike."""
    tie = TIE * (1 + np.minimum(np.abs(a), np.abs(b)))
    more, less = int((a - b > tie).sum()), int((b - a > tie).sum())
    return more, less, 2 * (more + less) ** 0.5


def _as_far(name: str, where: str, series: list[tuple[Any, _Outcome]]) -> Check:
    """Does each get as far as the one before?"""
    pairs = [_compare(after.reach, before.reach) for (_, before), (_, after) in zip(series, series[1:], strict=False)]
    passed = all(behind - ahead <= chance for ahead, behind, chance in pairs)
    places = where.format(", ".join(written(value, ".3g") for value, _ in series))
    right = ", ".join(str(outcome) for _, outcome in series)
    further = ", ".join(f"{ahead} : {behind}" for ahead, behind, _ in pairs)
    return Check(name, passed, f"right: {right} {places}; further on {further} images")
