"""Losses."""

from __future__ import annotations

from typing import Any

from minigrad import backends
from minigrad.function import FusedFunction
from minigrad.ops.activation import log_softmax
from minigrad.ops.elementwise import where
from minigrad.ops.indexing import gather
from minigrad.tensor import Tensor, describe


class CrossEntropy(FusedFunction):
    """l_m = (1 - s) w_t (-log p_t) + s/C sum_c w_c (-log p_c) for row m of class t;  p = softmax of the row.

    Logits (M, C), target (M) integers, w (C) class weights or None, s label smoothing; rows of `ignore_index` give 0.
    g_logits = g (a p - b) with b the weights of the -log p_c and a their sum.
    """

    saves = {0: None}
    keeps = ("logp",)

    def __init__(self, target: Tensor, weight: Tensor | None, ignore_index: int, smoothing: float) -> None:
        self.target, self.weight, self.ignore, self.smoothing = target, weight, ignore_index, smoothing

    def definition(self, x: Tensor) -> Tensor:
        logp = log_softmax(x, 1)
        ignored = self.target == self.ignore
        target = where(ignored, 0, self.target)
        losses = -gather(logp, 1, target.unsqueeze(1)).squeeze(1)
        if self.weight is not None:
            losses = losses * self.weight[target]
        if self.smoothing:
            spread = -logp if self.weight is None else -logp * self.weight
            losses = (1 - self.smoothing) * losses + self.smoothing / x.shape[1] * spread.sum(1)
        return where(ignored, 0.0, losses)

    def _arguments(self) -> tuple[Any, ...]:
        weight = None if self.weight is None else self.weight.array
        return self.target.array, weight, self.ignore, self.smoothing

    def forward(self, x: Any) -> Any:
        losses, self.logp = backends.of(x).cross_entropy(x, *self._arguments())
        return losses

    def backward_arrays(self, g: Any) -> Any:
        self._kept()
        return backends.of(g).cross_entropy_backward(g, self.logp, *self._arguments())


def _reduce(losses: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return losses
    if reduction not in ("mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return losses.mean() if reduction == "mean" else losses.sum()


def cross_entropy(
    input: Tensor,  # noqa: A002 - torch's name
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(input)[target]: input (N, C, ...) or (C) are logits, target (N, ...) classes, or probabilities of input's shape.

    "mean" divides by the sum of the classes' weights (classes), or by the batch's size (probabilities).
    """
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if input.ndim == 0:
        raise RuntimeError("cross_entropy expects logits with a class axis")
    if input.dtype.kind != "f":
        raise RuntimeError(f"cross_entropy expects floating point logits, got {describe(input)}")
    classes = input.shape[0] if input.ndim == 1 else input.shape[1]
    if weight is not None and weight.shape != (classes,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes, got {describe(weight)}"
        )
    if target.is_floating_point():
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    expected = () if input.ndim == 1 else (input.shape[0], *input.shape[2:])
    if target.shape != expected:
        raise (ValueError if target.ndim and input.shape[0] != target.shape[0] else RuntimeError)(
            f"Expected target of shape {list(expected)} for input {describe(input)}, got {describe(target)}"
        )
    flat_target = target.reshape(-1)
    _check_classes(flat_target, classes, ignore_index)
    logits = input.unsqueeze(0) if input.ndim == 1 else input
    if logits.ndim > 2:
        logits = logits.movedim(1, -1).reshape(-1, classes)
    losses = CrossEntropy(flat_target, weight, ignore_index, label_smoothing)(logits)
    if reduction == "none":
        return losses.reshape(target.shape)
    if reduction != "mean":
        return _reduce(losses, reduction)
    kept = (flat_target != ignore_index).to(input.dtype)
    if weight is not None:
        kept = kept * weight.detach()[where(flat_target == ignore_index, 0, flat_target)]
    return losses.sum() / kept.sum()


def _check_classes(target: Tensor, classes: int, ignore_index: int) -> None:
    xp = backends.of(target.array).xp
    array = target.array
    bad = ((array < 0) | (array >= classes)) & (array != ignore_index)
    if bool(xp.any(bad)):
        raise IndexError(
            f"Target {int(array[bad][0])} is out of bounds: there are {classes} classes, 0 to {classes - 1}."
        )


def _soft_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    reduction: str,
    smoothing: float,  # noqa: A002
) -> Tensor:
    if target.shape != input.shape:
        raise RuntimeError(
            f"Expected class probabilities of the logits' shape {list(input.shape)}, got {describe(target)}"
        )
    dim = 0 if input.ndim == 1 else 1
    if smoothing:
        target = target * (1 - smoothing) + smoothing / input.shape[dim]
    terms = -log_softmax(input, dim) * target
    if weight is not None:
        terms = terms * weight.reshape([-1 if d == dim else 1 for d in range(input.ndim)])
    losses = terms.sum(dim)
    if reduction == "mean":
        return losses.sum() / (input.numel() // input.shape[dim])
    return _reduce(losses, reduction)


def nll_loss(
    input: Tensor,  # noqa: A002
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """-input[target] w[target]: input (N, C, ...) or (C) are log-probabilities, target (N, ...) or () classes."""
    logp = input.unsqueeze(0) if input.ndim == 1 else input
    flat = logp.movedim(1, -1).reshape(-1, logp.shape[1]) if logp.ndim > 2 else logp
    flat_target = target.reshape(-1)
    _check_classes(flat_target, logp.shape[1], ignore_index)
    ignored = flat_target == ignore_index
    index = where(ignored, 0, flat_target)
    kept = (~ignored).to(input.dtype)
    if weight is not None:
        kept = kept * weight[index]
    losses = where(ignored, 0.0, -gather(flat, 1, index.unsqueeze(1)).squeeze(1) * kept)
    if reduction == "mean":
        return losses.sum() / kept.sum()
    return losses.reshape(target.shape) if reduction == "none" else _reduce(losses, reduction)


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:  # noqa: A002
    """(input - target)^2."""
    return _reduce((input - target) ** 2, reduction)


def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:  # noqa: A002
    """|input - target|."""
    return _reduce((input - target).abs(), reduction)
