"""The square attack: a random search that asks for logits alone, and moves an image by squares of one colour."""

from __future__ import annotations

from collections.abc import Generator as Generator_
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from minigrad.attacks.amounts import Amount, amount, integer
from minigrad.attacks.attack import (
    Attack,
    aim_of,
    batch_axis,
    check_classes,
    check_logits,
    check_maps,
    indices,
    pick,
    put,
)
from minigrad.attacks.criteria import Criterion, Misclassified, check_criterion
from minigrad.attacks.gradient import Model, untouched
from minigrad.attacks.space import Space
from minigrad.grad_mode import no_grad
from minigrad.ops.creation import as_tensor, from_numpy
from minigrad.tensor import Tensor

HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""After so many squares their area is halved, once more each time."""

TINY = 1e-12


@dataclass(frozen=True)
class Query:
    """One query of each image: the best image so far, and how far it is from success (a success is below 0)."""

    index: int
    images: Tensor
    margin: Tensor  # (N,)


@dataclass(frozen=True)
class Square(Attack):
    """Random search: a square of the image goes to another corner of the ball; that is kept if the margin falls.

        linf:  x' = project(x0 + epsilon s) in a square, s of -1 and 1 drawn for each channel; x elsewhere
        l2:    the change of one square is taken back, and its length given to another one, in the shape of two pyramids,
               one up and one down, that is added to what was there; then the whole change is made epsilon long

    Squares have the side round(sqrt(p H W)), at most that of the image, anywhere in it; p is halved after 10, 50, 200,
    500, 1000, 2000, 4000, 6000 and 8000 squares. It begins with vertical stripes (linf), or a grid of pyramids (l2). The margin
    is the criterion's: by default z_y - max_(i != y) z_i. An image that has succeeded is left alone. No gradient is asked for:
    a model that hides its gradient hides nothing from this attack.

    Args:
        queries: how often the model is asked about each image, at the most.
        p: the share of the image that the first squares take.
        criterion: when an image is a success.
        epsilon, norm, clip, units, mean, std, generator: as PGD's.

    Raises ValueError for values outside of these, images that are not (N, C, H, W), or labels outside the model's classes.

    Source: M. Andriushchenko et al., Square Attack: a Query-Efficient Black-Box Adversarial Attack via Random Search (2020),
    algorithms 1 to 3; the schedule of p without rescaling, as in AutoAttack.
    """

    queries: int = 5000
    epsilon: Amount = 0.1
    norm: Literal["linf", "l2"] = "linf"
    p: float = 0.8
    criterion: Criterion = field(default_factory=Misclassified)

    def __post_init__(self) -> None:
        self._set("queries", integer("queries", self.queries))
        self._check_threat()
        p = amount("p", self.p)
        if isinstance(p, tuple) or not 0 < p <= 1:
            raise ValueError(f"p must be above 0 and at most 1, got {self.p}")
        self._set("p", p)
        check_criterion(self.criterion)

    def _perturbed(self, model: Model, images: Tensor, labels: Any, targets: Any) -> Tensor:
        """The perturbed images (N, C, H, W); of each image that has not succeeded, the one with the least margin."""
        return self._search(model, images, labels, targets)[0]

    def worst(self, model: Model, images: Tensor, labels: Any, targets: Any = None) -> tuple[Tensor, Tensor]:
        """The perturbed images, and which have succeeded."""
        x, margin = self._search(model, images, labels, targets)
        return x, margin < 0

    def _search(self, model: Model, images: Tensor, labels: Any, targets: Any) -> tuple[Tensor, Tensor]:
        """Where each image ends, and its margin; an image leaves the batch when it has succeeded."""
        path = self.path(model, images, labels, targets)
        query = next(path)
        found, margin, left = query.images, query.margin, indices(query.margin == query.margin)
        with no_grad():
            while True:
                ready = query.margin < 0
                if bool(ready.any()) or query.index == self.queries - 1:
                    found, margin = put(found, left, query.images), put(margin, left, query.margin)
                    keep = indices(~ready)
                    left = left[keep]
                else:
                    keep = None
                if not len(left) or query.index == self.queries - 1:
                    path.close()
                    return found, margin
                query = path.send(keep)

    def path(
        self, model: Model, images: Tensor, labels: Any = None, targets: Any = None
    ) -> Generator_[Query, Tensor | None, None]:
        """The queries, one by one. It may be sent the indices (int64) of the images to go on with."""
        check_maps(images, "the square attack")
        aim = aim_of(self.criterion.needs, labels, targets)
        with no_grad():
            space = self.space(images.detach())
            x = self._first(space)
            margin = self._margin(model, x, aim)
            if not bool(margin.isfinite().all()):
                raise FloatingPointError("the model's answers to the first squares are NaN or infinite")
        for index in range(self.queries):
            if index > 0:
                with no_grad():
                    tried = self._squares(space, x, index - 1)
                    there = self._margin(model, tried, aim)
                    better = there < margin
                    x, margin = pick(better, tried, x), pick(better, there, margin)
            keep = yield Query(index, x, margin)
            if keep is not None:
                space, x, margin, aim = space.keep(keep), x[keep], margin[keep], as_tensor(aim)[keep]

    def _margin(self, model: Model, x: Tensor, aim: Any) -> Tensor:
        with untouched(model), no_grad(), batch_axis(x):
            logits = check_logits(model(x), x)
            return self.criterion.margin(logits, check_classes(aim, logits, self.criterion.needs))

    def side(self, index: int, height: int, width: int) -> int:
        """Pixels a side of the square number `index`, from 0."""
        share = self.p / 2 ** sum(index > bound for bound in HALVINGS)
        side = max(round((share * height * width) ** 0.5), 1 if self.norm == "linf" else 3)
        if self.norm == "l2" and side % 2 == 0:
            side += 1
        return min(side, height, width)

    def _first(self, space: Space) -> Tensor:
        x0 = space.x0
        count, channels, height, width = x0.shape
        if self.norm == "linf":
            return space.project(x0 + self._signs((count, channels, 1, width), x0) * (space.epsilon * space.unit))
        side = max(min(height, width) // 5, 1)
        rows, columns = height // side, width // side
        change = np.zeros((count, channels, height, width), x0.dtype)
        signs = self.generator.integers(0, 2, (count, channels, rows, columns)) * 2 - 1
        turned = self.generator.integers(0, 2, (rows, columns))
        shape = pyramids(side)
        for row in range(rows):
            for column in range(columns):
                top = (height - rows * side) // 2 + row * side
                left = (width - columns * side) // 2 + column * side
                tile = shape.T if turned[row, column] else shape
                change[:, :, top : top + side, left : left + side] = signs[:, :, row, column, None, None] * tile
        return self._stretched(space, from_numpy(change).to(x0.device))

    def _squares(self, space: Space, x: Tensor, index: int) -> Tensor:
        """A square of each image changed."""
        count, channels, height, width = x.shape
        side = self.side(index, height, width)
        if self.norm == "linf":
            top, left = self._corner(count, height, width, side)
            signs = self._signs((count, channels, 1, 1), x)
            inside = _between(top, side, height)[:, None, :, None] & _between(left, side, width)[:, None, None, :]
            inside = from_numpy(inside).to(x.device)
            return space.project(x.where(~inside, space.x0 + signs * (space.epsilon * space.unit)))
        change = (x - space.x0) / space.unit
        here, there = (self._window(change, side) for _ in range(2))
        signs = self._signs((count, channels, 1, 1), x)
        turned = self.generator.integers(0, 2, (count,))
        shape = pyramids(side).astype(x.dtype)
        tiles = from_numpy(np.stack([shape, shape.T])[turned][:, None]).to(x.device)
        old = change[here]
        both = change.clone()
        both[here] = both[there] = 0.0
        freed = _energy(change) - _energy(both)  # of each channel, in both squares
        unused = (space.epsilon**2 - _energy(change).sum(1, keepdim=True)).clamp(min=0)
        new = tiles * signs + old / (_energy(old).sqrt() + TINY)
        both[here] = new / (_energy(new).sqrt() + TINY) * (unused / channels + freed.clamp(min=0)).sqrt()
        return self._stretched(space, both)

    def _stretched(self, space: Space, change: Tensor) -> Tensor:
        """x0 + change, made epsilon long, in the box."""
        length = _energy(change).sum(1, keepdim=True).sqrt()
        return space.project(space.x0 + change * (space.epsilon / (length + TINY)) * space.unit)

    def _corner(self, count: int, height: int, width: int, side: int) -> tuple[Any, Any]:
        """The upper left corner of each image's square: (N,) rows and columns."""
        return tuple(self.generator.integers(0, size - side + 1, (count,)) for size in (height, width))  # type: ignore[return-value]

    def _window(self, x: Tensor, side: int) -> tuple[Tensor, ...]:
        """The index of a square of each image of x (N, C, H, W)."""
        count, channels, height, width = x.shape
        top, left = self._corner(count, height, width, side)
        rows, columns = (corner[:, None] + np.arange(side) for corner in (top, left))
        parts = (
            np.arange(count).reshape(-1, 1, 1, 1),
            np.arange(channels).reshape(1, -1, 1, 1),
            rows[:, None, :, None],
            columns[:, None, None, :],
        )
        return tuple(from_numpy(part).to(x.device) for part in parts)

    def _signs(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        drawn = self.generator.integers(0, 2, shape) * 2 - 1
        return from_numpy(drawn.astype(like.dtype)).to(like.device)


def pyramids(side: int) -> np.ndarray:
    """Two pyramids, the upper half of a square up, the lower one down: (side, side) of length 1.

    One of h x w has at (i, j) the sum of 1 / (k + 1)^2 for k from max(|i - h // 2|, |j - w // 2|) to max(h // 2, w // 2).
    """
    upper, lower = (_pyramid(height, side) for height in (side // 2, side - side // 2))
    both = np.concatenate([upper, -lower])
    return np.asarray(both / np.sqrt((both**2).sum()))


def _pyramid(height: int, width: int) -> np.ndarray:
    ring = np.maximum(np.abs(np.arange(height) - height // 2)[:, None], np.abs(np.arange(width) - width // 2)[None])
    steps = 1 / (np.arange(max(height // 2, width // 2) + 1) + 1.0) ** 2
    shape = steps[::-1].cumsum()[::-1][ring]
    return np.asarray(shape / max(np.sqrt((shape**2).sum()), TINY))


def _energy(x: Tensor) -> Tensor:
    """The sum of squares of each channel: (N, C, 1, 1)."""
    return (x * x).sum((2, 3), keepdim=True)


def _between(start: np.ndarray, length: int, size: int) -> np.ndarray:
    """Which of `size` places are in [start, start + length): (N, size)."""
    places = np.arange(size)
    return np.asarray((places >= start[:, None]) & (places < start[:, None] + length))
