"""When an attack has succeeded, as a value: misclassified, target reached, with confidence, out of the k likeliest classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from minigrad.attacks.amounts import amount, integer
from minigrad.attacks.losses import cw, of_class
from minigrad.nn import functional as F
from minigrad.tensor import Tensor

Judge = Callable[[Tensor], Tensor]
"""From logits (N, M) to how far each image is from success, (N,): a success is below 0."""


@dataclass(frozen=True)
class Misclassified:
    """Another class than the label has the largest logit: z_y - max_(i != y) z_i < 0."""

    needs = "labels"

    def margin(self, logits: Tensor, classes: Tensor) -> Tensor:
        """How far from success each image is, (N,), by logits (N, M) and its label (N,): a success is below 0."""
        return -cw(logits, classes)


@dataclass(frozen=True)
class Targeted:
    """The target has the largest logit: max_(i != t) z_i - z_t < 0."""

    needs = "targets"

    def margin(self, logits: Tensor, classes: Tensor) -> Tensor:
        """How far from success each image is, (N,), by logits (N, M) and its target (N,): a success is below 0."""
        return cw(logits, classes)


@dataclass(frozen=True)
class Confidence:
    """As `of`, and the model is sure: the largest probability, softmax(z), is above `least`."""

    least: float = 0.5
    of: Misclassified | Targeted = field(default_factory=Misclassified)

    def __post_init__(self) -> None:
        least = amount("least", self.least)
        if isinstance(least, tuple) or not 0 <= least < 1:
            raise ValueError(f"least must be a probability from 0 to below 1, got {self.least!r}")
        object.__setattr__(self, "least", least)

    @property
    def needs(self) -> str:
        """Whether it is about labels or targets."""
        return self.of.needs

    def margin(self, logits: Tensor, classes: Tensor) -> Tensor:
        """The larger one of `of`'s margin and least - max softmax(z): (N,). A success is below 0."""
        return self.of.margin(logits, classes).maximum(self.least - F.softmax(logits, 1).amax(1))


@dataclass(frozen=True)
class TopK:
    """The label is none of the k likeliest classes: its logit is below the k-th largest of the others."""

    k: int = 5

    needs = "labels"

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", integer("k", self.k))

    def margin(self, logits: Tensor, classes: Tensor) -> Tensor:
        """z_y less the k-th largest of the others, (N,): a success is below 0. ValueError for k classes or fewer."""
        if logits.shape[1] <= self.k:
            raise ValueError(f"top-{self.k} of {logits.shape[1]} classes: the label is always among them")
        values, order = logits.topk(self.k + 1, 1)
        among = (order[:, : self.k] == classes.reshape(-1, 1)).any(1)
        return of_class(logits, classes) - values[:, self.k].where(among, values[:, self.k - 1])


Criterion = Misclassified | Targeted | Confidence | TopK
CRITERIA: tuple[Any, ...] = (Misclassified, Targeted, Confidence, TopK)


def check_criterion(value: Any) -> Criterion:
    """`value`, if it is a criterion. ValueError otherwise."""
    if not callable(getattr(value, "margin", None)):
        known = ", ".join(f"{kind.__name__}()" for kind in CRITERIA)
        raise ValueError(f"criterion must be one of {known}, got {value!r}")
    found: Criterion = value
    return found
