"""Attacks on networks by gradients, in PyTorch: the measure of minigrad.attacks, under the same names.

Written from the formulas anew. Everything happens in the attack's own units: with normalised images x, the images in units are
v = x std + mean (in normalised units v = x), the perturbation is d, and the network sees (v + d - mean) / std, through which
autograd differentiates. An attack keeps |d| <= epsilon and low <= v + d <= high.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn

from minigrad.attacks import PRESETS, Attack
from minigrad.random import Generator  # random starts of both frameworks are drawn alike
from models.reference.attacks.losses import LOSSES, cross_entropy, dlr_targeted


@dataclass(frozen=True)
class Step:
    """One step: the perturbed images before it, what the network said there, and the perturbed images after it."""

    index: int
    images: Tensor
    logits: Tensor
    classes: Tensor
    loss: Tensor
    gradient: Tensor  # with respect to the images as the network sees them
    moved: Tensor


@contextmanager
def at_rest(model: nn.Module) -> Iterator[None]:
    """Evaluation mode and frozen parameters; afterwards as before."""
    modes, wanted = {m: m.training for m in model.modules()}, [p for p in model.parameters() if p.requires_grad]
    try:
        model.eval().requires_grad_(False)
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for parameter in wanted:
            parameter.requires_grad_(True)


def each(values: Tensor, like: Tensor) -> Tensor:
    """A number for each image, (N,), in a shape that broadcasts over images: (N, 1, 1, 1)."""
    return values.view(-1, *[1] * (like.dim() - 1))


def of_channels(value: Any, like: Tensor) -> Tensor:
    """A number, or one for each channel, in a shape that broadcasts over images: (1, 1, 1, 1) or (1, C, 1, 1)."""
    return torch.as_tensor(value, dtype=like.dtype, device=like.device).reshape(1, -1, *[1] * (like.dim() - 2))


def lengths(d: Tensor) -> Tensor:
    """|d|_2 of each image, (N, 1, 1, 1); squares in float64, for those of tiny gradients are 0 in float32."""
    return each(torch.linalg.vector_norm(d.flatten(1), dim=1, dtype=torch.float64), d)


def direction_of(d: Tensor) -> Tensor:
    """d / |d|_2 of each image, 0 where d is."""
    size = lengths(d)
    return (d / torch.where(size == 0, 1, size)).to(d.dtype)


def largest(d: Tensor, count: int) -> Tensor:
    """Ones where the `count` largest |d| of each image are, else zeros."""
    order = torch.argsort(d.flatten(1).abs(), dim=1, descending=True, stable=True)[:, :count]
    return torch.zeros_like(d.flatten(1)).scatter(1, order, 1.0).view_as(d)


def shrunk(d: Tensor, epsilon: float) -> Tensor:
    """The nearest point to d with sum |d| <= epsilon: all |d| less by a number, which is found by halving, and at least 0."""
    low, high = 0.0, float(d.abs().max())
    if d.abs().sum() <= epsilon:
        return d
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if (d.abs() - middle).clamp(min=0).sum() > epsilon else (low, middle)
    return d.sign() * (d.abs() - high).clamp(min=0)


class Ball:
    """What each attack has with its own default."""

    epsilon: Any
    norm: str


@dataclass(frozen=True, kw_only=True)
class Threat(Ball):
    """What every attack has: a ball of epsilon by a norm, a clip range, units. d is the perturbation, v the images in the units."""

    clip: tuple[float, float] | None = None
    units: str = "normalised"
    mean: Any = None
    std: Any = None
    generator: Generator = field(default_factory=lambda: Generator(0), compare=False, repr=False)

    at = Attack.at  # the same attack at another epsilon: numbers alone

    def _units(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """std and mean: what turns normalised images into the attack's units."""
        pairs = (self.std, self.mean) if self.units == "pixel" else ([1.0], [0.0])
        std, mean = (images.new_tensor(list(p or ())).view(1, -1, *[1] * (images.dim() - 2)) for p in pairs)
        return std, mean

    def _epsilon(self, v: Tensor) -> Tensor:
        return of_channels(self.epsilon, v)

    def _project(self, d: Tensor, v: Tensor) -> Tensor:
        if self.norm == "linf":
            epsilon = of_channels(self.epsilon, v)
            d = d.clamp(-epsilon, epsilon)
        elif self.norm == "l1":
            d = torch.stack([shrunk(row, float(self.epsilon)) for row in d]) if len(d) else d
        elif self.norm == "l0":
            d = d * largest(d, int(self.epsilon))
        else:
            d = direction_of(d) * lengths(d).clamp(max=float(self.epsilon)).to(d.dtype)
        return d if self.clip is None else (v + d).clamp(*self.clip) - v


@dataclass(frozen=True)
class PGD(Threat):
    """Projected gradient descent; fields and defaults are those of minigrad.attacks.PGD.

    linf: d <- clamp(d -+ alpha sign(g), -epsilon, epsilon); l2: d <- d -+ alpha g / |g|, then d min(1, epsilon / |d|). After
    that v + d is clamped into the clip range. alpha and epsilon are numbers, or in linf one for each channel.
    """

    steps: int = 10
    alpha: Any = 0.01
    epsilon: Any = 0.1
    norm: str = "linf"
    target: str = "least-likely"
    direction: str = "descend"
    retarget: bool = True
    random_start: bool = False
    restarts: int = 1
    loss: str | Callable[[Tensor, Tensor], Tensor] = "ce"

    def __call__(
        self, model: nn.Module, images: Tensor, labels: Tensor | None = None, targets: Tensor | None = None
    ) -> Tensor:
        """The perturbed images."""
        ends = [self._end(model, images, labels, targets) for _ in range(self.restarts)]
        if self.restarts == 1:
            return ends[0]
        scores = torch.stack([self._score(model, x, labels, targets) for x in ends])
        return torch.stack(ends)[scores.argmax(0), torch.arange(len(images), device=images.device)]

    def path(
        self, model: nn.Module, images: Tensor, labels: Tensor | None = None, targets: Tensor | None = None
    ) -> Iterator[Step]:
        """The steps of one start."""
        scale, shift = self._units(images)
        v = images * scale + shift
        d, alpha = self._first(v), of_channels(self.alpha, v)
        classes, momentum = None, None
        for index in range(self.steps):
            logits, classes, loss, g = self._look(model, images, d / scale, labels, targets, classes)
            momentum = self._momentum(g / scale, momentum)
            way = self._way(momentum)
            moved = self._project(d + self._sign * alpha * way, v)
            yield Step(index, images + d / scale, logits, classes, loss, g, images + moved / scale)
            d = moved

    def worst(
        self, model: nn.Module, images: Tensor, labels: Tensor, targets: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Of each image the first iterate that the model gets wrong, else the end of the last start; and whether it is wrong."""
        found, wrong = images.clone(), torch.zeros(len(images), dtype=torch.bool)
        for _ in range(self.restarts):
            left = (~wrong).nonzero().flatten()
            if len(left):
                x, fooled = self._first_wrong(
                    model, images[left], labels[left], None if targets is None else targets[left]
                )
                found[left], wrong[left] = x, fooled
        return found, wrong

    def _first_wrong(
        self, model: nn.Module, images: Tensor, labels: Tensor, targets: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        x, fooled = images.clone(), torch.zeros(len(images), dtype=torch.bool)
        for step in self.path(model, images, labels, targets):
            new = ~fooled & (step.logits.argmax(1) != labels)
            x[new] = step.images[new]
            fooled |= new
            if fooled.all():
                return x, fooled
        x[~fooled] = step.moved[~fooled]
        with at_rest(model), torch.no_grad():
            return x, model(x).argmax(1) != labels

    def _end(self, model: nn.Module, images: Tensor, labels: Tensor | None, targets: Tensor | None) -> Tensor:
        *_, last = self.path(model, images, labels, targets)
        return last.moved

    @property
    def _sign(self) -> int:
        return {"descend": -1, "ascend": 1}[self.direction]

    def _first(self, v: Tensor) -> Tensor:
        """Where d begins: at 0, or anywhere in the ball: uniformly in the box, or r^(1/n) along a random direction."""
        if not self.random_start:
            return torch.zeros_like(v)
        dtype = v.cpu().numpy().dtype
        draw = lambda f, low, high, shape: torch.from_numpy(f(low, high, shape, dtype)).to(v.device)  # noqa: E731
        if self.norm == "linf":
            d = draw(self.generator.uniform, -1, 1, v.shape)
        else:
            d = direction_of(draw(self.generator.normal, 0, 1, v.shape))
            radius = draw(self.generator.uniform, 0, 1, (len(v), *[1] * (v.dim() - 1)))
            d = d * radius ** (1 / v[0].numel())
        return self._project(of_channels(self.epsilon, v) * d, v)

    def _look(
        self,
        model: nn.Module,
        images: Tensor,
        moved: Tensor,
        labels: Tensor | None,
        targets: Tensor | None,
        before: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(logits, classes, loss of each, gradient) at images + moved."""
        with at_rest(model), torch.enable_grad():
            x = (images + moved).requires_grad_()
            logits = model(x)
            if logits.dim() != 2:
                raise ValueError(
                    f"the model gives {tuple(logits.shape)}, not (N, classes): have the images a batch axis?"
                )
            classes = before if before is not None and not self.retarget else self._aim(logits, labels, targets)
            loss = self.loss_function(labels)(logits, classes)
            (g,) = torch.autograd.grad(loss.sum(), x, materialize_grads=True)
        return logits.detach(), classes, loss.detach(), g

    def loss_function(self, labels: Tensor | None) -> Callable[[Tensor, Tensor], Tensor]:
        """loss(logits, classes) of these labels."""
        if isinstance(self.loss, str) and self.loss != "dlr-targeted":
            return LOSSES[self.loss]
        if not isinstance(self.loss, str):
            return self.loss
        assert labels is not None
        return lambda logits, classes: dlr_targeted(logits, labels, classes)

    def _aim(self, logits: Tensor, labels: Tensor | None, targets: Tensor | None) -> Tensor:
        """The classes whose loss counts."""
        chosen = {
            "least-likely": logits.argmin(1),
            "most-likely": logits.argmax(1),
            "label": labels,
            "given": targets,
        }[self.target]
        assert chosen is not None
        return chosen

    def _way(self, g: Tensor) -> Tensor:
        """The step of size 1."""
        if self.norm == "l1":
            way = g.sign() * largest(g, max(g[0].numel() // 100, 1))
            return way / each(way.flatten(1).abs().sum(1).clamp(min=1), g)
        if self.norm == "l0":
            most = each(g.flatten(1).abs().amax(1), g)
            return g / torch.where(most == 0, 1, most)
        return g.sign() if self.norm == "linf" else direction_of(g)

    def _momentum(self, g: Tensor, before: Tensor | None) -> Tensor:
        return g

    def _score(self, model: nn.Module, x: Tensor, labels: Tensor | None, targets: Tensor | None) -> Tensor:
        """What a restart is judged by: the loss of the label, or the progress with the targets."""
        with at_rest(model), torch.no_grad():
            logits = model(x)
        if self.target == "given":
            assert targets is not None
            return self._sign * cross_entropy(logits, targets)
        assert labels is not None
        return cross_entropy(logits, labels)


def preset(name: str, **options: Any) -> PGD:
    """PGD aimed as PRESETS say."""
    return PGD(**(PRESETS[name] | options))


def FGSM(epsilon: float = 0.1, **options: Any) -> PGD:
    """One step of epsilon up the loss of the label."""
    return PGD(**({"target": "label", "direction": "ascend"} | options), steps=1, alpha=epsilon, epsilon=epsilon)


@dataclass(frozen=True)
class MIFGSM(PGD):
    """Momentum: v <- decay v + g / mean |g|, and the step follows v (Dong et al., 2018)."""

    decay: float = 1.0

    def _momentum(self, g: Tensor, before: Tensor | None) -> Tensor:
        size = each(g.flatten(1).abs().mean(1), g)
        g = g / torch.where(size == 0, 1, size)
        return g if before is None else self.decay * before + g


@dataclass(frozen=True)
class APGD(PGD):
    """AutoPGD, algorithm 1 of Croce and Hein (2020), image by image: each has its own step size and checkpoint record."""

    retarget: bool = False
    rho: float = 0.75
    momentum: float = 0.75

    def path(
        self, model: nn.Module, images: Tensor, labels: Tensor | None = None, targets: Tensor | None = None
    ) -> Iterator[Step]:
        """The steps of one start; the last one goes to each image's best point."""
        scale, shift = self._units(images)
        v = images * scale + shift
        d = self._first(v)
        n, classes = len(images), None
        eta, previous = 2 * of_channels(self.epsilon, v).double().cpu().repeat(n, *[1] * (v.dim() - 1)), d.clone()
        history: list[list[bool]] = [[] for _ in range(n)]  # of each image: did a step help, since the last checkpoint
        at_last: list[tuple[float, bool]] = []  # of each image, at the last checkpoint: best value, was eta halved
        for k in range(self.steps):
            logits, classes, loss, g = self._look(model, images, d / scale, labels, targets, classes)
            value, way = self._sign * loss, g / scale
            seen = images + d / scale
            if k == 0:
                top, top_d, top_way, reached = value.clone(), d.clone(), way.clone(), value.clone()
                at_last = [(value[i].item(), False) for i in range(n)]
            else:
                for i in range(n):
                    history[i].append(bool(value[i] > reached[i]))
                    if value[i] > top[i]:
                        top[i], top_d[i], top_way[i] = value[i], d[i], way[i]
            d, way, reached = d.clone(), way.clone(), value.clone()
            if k in self.checkpoints():
                for i in range(n):
                    best_then, halved = at_last[i]
                    too_few = sum(history[i]) < self.rho * len(history[i])
                    nothing = not halved and top[i].item() == best_then
                    if too_few or nothing:
                        eta[i] /= 2
                        d[i], way[i], reached[i] = top_d[i], top_way[i], top[i]
                    at_last[i], history[i] = (top[i].item(), too_few or nothing), []
            way = way.sign() if self.norm == "linf" else direction_of(way)
            z = self._project(d + self._sign * eta.to(d) * way, v)
            a = self.momentum if k > 0 else 1.0
            moved = end = self._project(d + a * (z - d) + (1 - a) * (d - previous), v)
            if k == self.steps - 1:
                last = self._sign * self._look(model, images, moved / scale, labels, targets, classes)[2]
                end = torch.where(each(last > top, moved), moved, top_d)
            yield Step(k, seen, logits, classes, loss, g, images + end / scale)
            previous, d = d, moved

    def checkpoints(self) -> list[int]:
        """w_j = ceil(p_j steps), p_0 = 0, p_1 = .22, p_(j+1) = p_j + max(p_j - p_(j-1) - .03, .06), up to 1."""
        p = [0.0, 0.22]
        while p[-1] < 1:
            p.append(p[-1] + max(p[-1] - p[-2] - 0.03, 0.06))
        return [ceil(round(share * self.steps, 6)) for share in p[1:] if share < 1]
