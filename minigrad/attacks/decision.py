"""HopSkipJump: an attack that is given the class of an image alone, no logits and no gradient."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from minigrad.attacks.amounts import Amount, integer
from minigrad.attacks.attack import aim_of, check_classes, pick
from minigrad.attacks.boundary import MinimumNorm, clean_answers, each_of
from minigrad.attacks.criteria import Criterion, Misclassified, check_criterion
from minigrad.attacks.gradient import Model, untouched
from minigrad.attacks.space import Space
from minigrad.grad_mode import no_grad
from minigrad.ops.creation import from_numpy
from minigrad.tensor import Tensor

HALVINGS = 25  # of a binary search, or of a step, at the most
TRIES = 100  # random images, until one is a success


@dataclass(frozen=True)
class HopSkipJump(MinimumNorm):
    """Along the decision boundary towards the image, by a gradient that is estimated from decisions alone.

        x_b = the boundary between x and x0, by halving;   phi_i = 1 where x_b + delta u_i succeeds, else -1, u_i at random
        g = mean (phi_i - mean phi) u_i;   x = x_b + (size / sqrt(t)) g / |g|, the step halved until it succeeds

    The start is a random image that succeeds. Step t asks about `samples` sqrt(t) images for g.

    Args:
        steps: t = 1 to steps. samples: see above.
        criterion: when an image is a success.
        norm: "l2" or "linf" (signs of g, and clipping in the place of blending). clip: (low, high), needed.
        epsilon: see MinimumNorm. units, mean, std, generator: as PGD's.

    Source: J. Chen et al., HopSkipJumpAttack: a Query-Efficient Decision-Based Attack (2020), algorithms 1 and 2.
    """

    steps: int = 20
    epsilon: Amount = 1.0
    norm: Literal["linf", "l2"] = "l2"
    samples: int = 100
    criterion: Criterion = field(default_factory=Misclassified)

    def __post_init__(self) -> None:
        for name in ("steps", "samples"):
            self._set(name, integer(name, getattr(self, name)))
        self._check_threat()
        check_criterion(self.criterion)
        if self.clip is None:
            raise ValueError(
                "HopSkipJump needs clip: it begins at random images between the lowest and the highest value"
            )

    def nearest(self, model: Model, images: Tensor, labels: Any = None, targets: Any = None) -> tuple[Tensor, Tensor]:
        """The perturbed images, and their distances (N,): see MinimumNorm. Images for which no start succeeds stay."""
        aim = aim_of(self.criterion.needs, labels, targets)
        with untouched(model), no_grad():
            _, _, _, logits = clean_answers(self, model, images, aim)
            classes = check_classes(aim, logits, self.criterion.needs)
            fooled = self.criterion.margin(logits, classes) < 0
            found, distance = images.detach(), (logits[:, 0] * 0).where(fooled, float("inf"))
            for i in range(len(images)):
                if not bool(fooled[i].item()):
                    x, far = self._one(model, images[i : i + 1].detach(), classes[i : i + 1])
                    which = from_numpy(_one_hot(i, len(images))).to(images.device)
                    found, distance = pick(which, x, found), far.where(which, distance)
        return found, distance

    def _one(self, model: Model, x0: Tensor, aim: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest success to one image, and its distance."""
        space = self.space(x0)
        succeeds = lambda x: self.criterion.margin(model(x), aim.expand(len(x))) < 0  # noqa: E731
        x = self._start_of(space, succeeds)
        if x is None:
            return x0, x0.flatten(1).sum(1) * 0 + float("inf")
        count = x0[0].numel()
        theta = 1 / count**1.5 if self.norm == "l2" else 1 / count**2
        x = self._boundary(space, x, succeeds, theta)
        for step in range(1, self.steps + 1):
            far = space.size(x).item()
            delta = 0.1 * self._width if step == 1 else (count**0.5 if self.norm == "l2" else count) * theta * far
            way = self._way(space, x, succeeds, delta, round(self.samples * step**0.5))
            size = far / step**0.5
            for _ in range(HALVINGS):
                tried = space.box(x + way * (size * space.unit))
                if bool(succeeds(tried).all()):
                    x = self._boundary(space, tried, succeeds, theta)
                    break
                size /= 2
        return x, space.size(x)

    @property
    def _width(self) -> float:
        assert self.clip is not None
        return self.clip[1] - self.clip[0]

    def _start_of(self, space: Space, succeeds: Any) -> Tensor | None:
        """A random image that is a success, on the way from which to x0 the last half was."""
        low, high = space.bounds()
        assert low is not None and high is not None
        for _ in range(TRIES):
            drawn = from_numpy(self.generator.uniform(0, 1, space.x0.shape, space.x0.dtype)).to(space.x0.device)
            x = low + (high - low) * drawn
            if bool(succeeds(x).all()):
                return x
        return None

    def _boundary(self, space: Space, x: Tensor, succeeds: Any, theta: float) -> Tensor:
        """Between x0 and x, a success, the success nearest to x0: by halving the blend (l2), or the largest change (linf)."""
        far = space.size(x).item()
        low, high, least = (0.0, 1.0, theta) if self.norm == "l2" else (0.0, far, min(far * theta, theta))
        for _ in range(HALVINGS):
            if high - low <= least:
                break
            middle = (low + high) / 2
            if bool(succeeds(self._between(space, x, middle)).all()):
                high = middle
            else:
                low = middle
        return self._between(space, x, high)

    def _between(self, space: Space, x: Tensor, share: float) -> Tensor:
        if self.norm == "l2":
            return space.x0 * (1 - share) + x * share
        reach = space.x0 * 0 + share * space.unit
        return x.clamp(space.x0 - reach, space.x0 + reach)

    def _way(self, space: Space, x: Tensor, succeeds: Any, delta: float, count: int) -> Tensor:
        """The direction of steepest success, of size 1 in units."""
        shape = (count, *x.shape[1:])
        drawn = (
            self.generator.normal(0, 1, shape, x.dtype)
            if self.norm == "l2"
            else self.generator.uniform(-1, 1, shape, x.dtype)
        )
        u = from_numpy(drawn).to(x.device)
        u = u / each_of((u * u).flatten(1).sum(1).sqrt(), u)
        tried = space.box(x + u * (delta * space.unit))
        u = (tried - x) / (delta * space.unit)
        phi = (succeeds(tried)).to(x.dtype) * 2 - 1
        mean = phi.mean().item()
        weight = phi if abs(mean) == 1 else phi - mean
        g = (u * each_of(weight, u)).mean(0, keepdim=True)
        return g.sign() if self.norm == "linf" else g / (g * g).sum().sqrt().clamp(min=1e-12)


def _one_hot(i: int, count: int) -> Any:
    return np.arange(count) == i
