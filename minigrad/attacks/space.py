"""The threat model of an attack: a ball around each image, within the box of valid values, in normalised or pixel units."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np

from minigrad.attacks.amounts import per_channel
from minigrad.linalg import vector_norm
from minigrad.ops.creation import from_numpy
from minigrad.random import Generator
from minigrad.tensor import Tensor

SPARSE = 100  # a step in the 1-norm changes one number of so many
SLACK = 1e-5  # of the box's width: by so much may an image miss the box, for it has been rounded


class Space:
    """The perturbed images that an attack allows for the images x0 (N, C, H, W), and how it moves among them.

    With u = 1 in normalised units and u_c = 1 / std_c in pixel units, and d = (x - x0) / u,

        linf:  max |d| <= epsilon        l2:  |d|_2 <= epsilon, the norm over an image's C H W numbers,
        l1:    sum |d| <= epsilon        l0:  at most epsilon of the C H W numbers differ from 0,

    and low <= x <= high (in pixel units low <= x std + mean <= high) where there is a box `clip` = (low, high). In the max
    norm epsilon may be a number for each channel: |d_c| <= epsilon_c. `mean` and `std`, a number for each channel, say that the
    units are pixels; without them they are normalised.
    """

    def __init__(
        self, x0: Tensor, epsilon: float | tuple[float, ...], norm: str = "linf", clip: tuple[float, float] | None = None,
        mean: Sequence[float] | None = None, std: Sequence[float] | None = None,
    ) -> None:  # fmt: skip
        self.x0, self.norm = x0, norm
        self.epsilon = self.amount("epsilon", epsilon)
        self.axes = tuple(range(1, x0.ndim))
        self.unit: Tensor | float = 1.0 if std is None else 1 / per_channel("mean and std have", std, x0)
        self.low: Tensor | None = None
        self.high: Tensor | None = None
        if clip is not None:
            self._set_box(clip, 0.0 if mean is None else per_channel("mean and std have", mean, x0))
        self._box = self.low, self.high
        if self.norm == "linf":  # ball and box are one box then
            reach = self.epsilon * self.unit
            self.low = x0 - reach if self.low is None else (x0 - reach).maximum(self.low)
            self.high = x0 + reach if self.high is None else (x0 + reach).minimum(self.high)

    def _set_box(self, clip: tuple[float, float], mean: Tensor | float) -> None:
        x0 = self.x0
        self.low, self.high = (x0.new_zeros(()) + (bound - mean) * self.unit for bound in clip)
        slack = SLACK * (clip[1] - clip[0]) * self.unit
        if x0.numel() and bool(((x0 < self.low - slack) | (x0 > self.high + slack)).any()):
            values = (x0 / self.unit) + mean
            raise ValueError(
                f"the images reach from {values.min().item():g} to {values.max().item():g}, outside the clip range "
                f"{clip}: are they in other units, or normalised?"
            )

    def amount(self, name: str, value: float | tuple[float, ...]) -> Any:
        """A number as it is; one for each channel as a Tensor (1, C, 1, 1)."""
        return per_channel(f"{name} has", value, self.x0) if isinstance(value, tuple) else value

    def keep(self, index: Tensor) -> Space:
        """The space of these images alone."""
        found = copy(self)
        found.x0 = self.x0[index]
        for name in ("low", "high"):
            bound = getattr(self, name)
            if self.norm == "linf":  # a bound for each image
                setattr(found, name, bound[index])
        return found

    def slope(self, gradient: Tensor) -> Tensor:
        """d loss / d (images in the attack's units), from the gradient d loss / d x."""
        return gradient * self.unit

    def move(self, x: Tensor, slope: Tensor, size: Any) -> Tensor:
        """The point at `size` from x along the steepest direction, brought back into ball and box.

        The steepest step of size 1 is sign(slope) in the max norm, slope / |slope|_2 in the 2-norm, in units; in the 1-norm the
        hundredth of the numbers with the steepest slopes shares it, and for l0 the steepest number moves by 1, others in
        proportion. Nothing moves where the slope is zero. Where x0 is zero makes no difference. `size` is a number, or a Tensor
        that broadcasts over x.
        """
        if self.norm == "linf":
            step = slope.sign()
        elif self.norm == "l1":
            step = slope.sign() * self._largest(slope, max(slope[0].numel() // SPARSE, 1) if len(slope) else 1)
            count = step.abs().sum(self.axes, keepdim=True)
            step = step / count.where(count > 0, 1.0)
        elif self.norm == "l0":
            most = slope.abs().amax(self.axes, keepdim=True)
            step = slope / most.where(most > 0, 1.0)
        else:
            length = self._length(slope)
            step = slope / length.where(length > 0, 1.0)
        return self.project(x + step * (self.unit * size))

    def project(self, x: Tensor) -> Tensor:
        """The allowed point nearest to x, by the 2-norm: of the ball first, and of the box after."""
        if self.norm == "l2":
            away = (x - self.x0) / self.unit
            length = self._length(away)
            factor = (self.epsilon / length.where(length > 0, 1.0)).clamp(max=1.0)
            x = self.x0 + away * factor * self.unit
        elif self.norm == "l1":
            away = (x - self.x0) / self.unit
            x = self.x0 + away.sign() * (away.abs() - self._surplus(away)).clamp(min=0) * self.unit
        elif (
            self.norm == "l0"
        ):  # numbers that do not change stay to the bit, where rounding left them outside of the box, too
            return self.box(x).where(self._largest((x - self.x0) / self.unit, int(self.epsilon)), self.x0)
        return x if self.low is None else x.clamp(self.low, self.high)

    def random(self, generator: Generator) -> Tensor:
        """A point drawn uniformly from the ball, then brought into the box."""
        x0 = self.x0
        if self.norm in ("l1", "l0"):
            return self._random_sparse(generator)
        if self.norm == "linf":
            drawn = generator.uniform(-1, 1, x0.shape, x0.dtype)
        else:
            count = x0[0].numel() if len(x0) else 1
            drawn = generator.normal(0, 1, x0.shape, x0.dtype)
            radius = generator.uniform(0, 1, (len(x0), *(1 for _ in self.axes)), x0.dtype) ** (1 / count)
            lengths = (drawn.astype("f8") ** 2).sum(self.axes, keepdims=True) ** 0.5
            drawn = (drawn * (radius / lengths)).astype(x0.dtype)
        return self.project(x0 + from_numpy(drawn).to(x0.device) * self.epsilon * self.unit)

    def _random_sparse(self, generator: Generator) -> Tensor:
        """l1: uniform in the ball. l0: epsilon numbers at random, each anywhere in the box (without one within 1 unit)."""
        x0 = self.x0
        count = x0[0].numel() if len(x0) else 1
        if self.norm == "l1":
            drawn = generator.normal(0, 1, (4, *x0.shape), "f8")
            size = (drawn[0] ** 2 + drawn[1] ** 2) / 2  # exponential, the sign of a third
            radius = generator.uniform(0, 1, (len(x0), *(1 for _ in self.axes)), "f8") ** (1 / count)
            d = np.sign(drawn[2]) * size / size.sum(self.axes, keepdims=True) * radius
            return self.project(x0 + from_numpy(d.astype(x0.dtype)).to(x0.device) * self.epsilon * self.unit)
        order = generator.uniform(0, 1, (len(x0), count), "f8").argsort(1).argsort(1).reshape(x0.shape)
        share = from_numpy(generator.uniform(0, 1, x0.shape, x0.dtype)).to(x0.device)
        low, high = self.bounds()
        value = x0 + (share * 2 - 1) * self.unit if low is None or high is None else low + (high - low) * share
        return value.where(from_numpy(order < int(self.epsilon)).to(x0.device), x0)

    def _largest(self, d: Tensor, count: int) -> Tensor:
        """Where the `count` largest |d| of each image are: bools of d's shape. Of equal ones the first."""
        rows = d.abs().flatten(1)
        count = min(count, rows.shape[1])
        chosen = rows * 0
        if count:
            order = rows.argsort(1, descending=True, stable=True)[:, :count]
            chosen = chosen.scatter(1, order, 1.0)
        return (chosen > 0).reshape(d.shape)

    def _surplus(self, d: Tensor) -> Tensor:
        """By how much each |d| is to shrink for a sum of epsilon, (N, 1, 1, 1): J. Duchi et al. (2008), figure 1."""
        rows = d.abs().flatten(1)
        ordered, _ = rows.sort(1, descending=True)
        over = ordered.cumsum(1) - self.epsilon
        ranks = from_numpy(np.arange(1, rows.shape[1] + 1).astype(d.dtype)).to(d.device)
        last = (ordered * ranks > over).sum(1, keepdim=True).clamp(min=1)
        found = over.gather(1, last - 1) / last
        inside = rows.sum(1, keepdim=True) <= self.epsilon
        return (found * 0).where(inside, found).clamp(min=0).reshape(-1, *(1 for _ in self.axes))

    def size(self, x: Tensor) -> Tensor:
        """How far each image is from its x0: (N,) norms of d."""
        return self.length((x - self.x0) / self.unit)

    def in_units(self, x: Tensor) -> Tensor:
        """x / u: what the norms measure differences of."""
        return x / self.unit

    def bounds(self) -> tuple[Tensor | None, Tensor | None]:
        """The box alone, of the shape of x0: its lowest and highest values, or None and None."""
        low, high = self._box
        return (None, None) if low is None or high is None else (self.x0 * 0 + low, self.x0 * 0 + high)

    def box(self, x: Tensor) -> Tensor:
        """The point of the box alone that is nearest to x."""
        return x if self._box[0] is None else x.clamp(*self._box)

    def direction(self, generator: Generator) -> Tensor:
        """A random change of each image of size 1, in the units of x."""
        if self.norm == "linf":
            drawn = from_numpy(generator.uniform(-1, 1, self.x0.shape, self.x0.dtype)).to(self.x0.device)
        else:
            drawn = from_numpy(generator.normal(0, 1, self.x0.shape, self.x0.dtype)).to(self.x0.device)
        return drawn / self.length(drawn).reshape(-1, *(1 for _ in self.axes)) * self.unit

    def length(self, d: Tensor) -> Tensor:
        """The norm of each image of a change d in units: (N,)."""
        if self.norm == "linf":
            return d.abs().amax(self.axes)
        if self.norm == "l0":
            return (d != 0).to(d.dtype).sum(self.axes)
        return d.abs().sum(self.axes) if self.norm == "l1" else self._length(d).flatten()

    def dual_length(self, slope: Tensor) -> Tensor:
        """How much a change of size 1 gains at the most by this slope (in units), in each image: (N,), the dual norm."""
        if self.norm == "linf":
            return slope.abs().sum(self.axes)
        return slope.abs().amax(self.axes) if self.norm == "l1" else self._length(slope).flatten()

    def _length(self, d: Tensor) -> Tensor:
        """|d|_2 of each image, (N, 1, 1, 1): torch's norm of tiny numbers would be 0, ours adds their squares in float64."""
        return vector_norm(d, dim=self.axes, keepdim=True)
