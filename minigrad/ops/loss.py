"""Losses: minus the logarithm of how likely the targets are, and distances between predictions and targets.

Every loss takes reduction = "none" (a loss for each element), "mean" or "sum", and torch's older size_average and reduce.
Those of margins are in margin_loss.py.

Sources: C. Szegedy et al., Rethinking the Inception Architecture (2015), 7, for label smoothing; R. Girshick, Fast R-CNN
(2015), equation 3, for the smooth L1 loss; P. Huber, Robust Estimation of a Location Parameter (1964); D. Nix, A. Weigend,
Estimating the Mean and Variance of the Target Probability Distribution (1994), for the Gaussian likelihood.
"""

from __future__ import annotations

import math
import warnings
from typing import Any, ClassVar

import numpy as np

from minigrad import backends, dtypes
from minigrad.backends import Array
from minigrad.fused import FusedOp
from minigrad.grad_mode import is_definitions
from minigrad.op import Op, in_float32
from minigrad.ops.activation import log_softmax
from minigrad.ops.choice import clamp_min, where
from minigrad.ops.common import integer, quiet, real
from minigrad.ops.exponential import exp, log, log1p, logaddexp, xlogy
from minigrad.ops.indexing import gather
from minigrad.ops.public import offer
from minigrad.tensor import Tensor, describe

TINY = float(np.float32(1e-12))
"""What torch keeps denominators from being less than, a float32 there."""


class CrossEntropy(FusedOp):
    """l_m = (1 - s) w_t (-log p_t) + s/C sum_c w_c (-log p_c) for row m of class t;  p = softmax of the row.

    Logits (M, C), target (M) integers, w (C) class weights or None, s label smoothing; rows of `ignore_index` give 0.
    g_logits = g (a p - b) with b the weights of the -log p_c and a their sum. log p is kept, the logits are not.
    """

    fresh = True
    widens = True
    saves = {1: 0}
    keeps: ClassVar[tuple[str, ...]] = ("logp",)

    def __init__(self, weight: Tensor | None, ignore_index: int, smoothing: float) -> None:
        self.weight, self.ignore, self.smoothing = weight, ignore_index, smoothing

    def definition(self, x: Tensor, target: Tensor) -> Tensor:
        logp = log_softmax(x, 1)
        ignored = target == self.ignore
        target = where(ignored, 0, target)
        losses = -gather(logp, 1, target.unsqueeze(1)).squeeze(1)
        if self.weight is not None:
            losses = losses * self.weight[target]
        if self.smoothing:
            spread = -logp if self.weight is None else -logp * self.weight
            losses = (1 - self.smoothing) * losses + self.smoothing / x.shape[1] * spread.sum(1)
        return where(ignored, 0.0, losses)

    def forward(self, x: Array, target: Array) -> Array:
        weight = None if self.weight is None else self.weight.array
        losses, self.logp = backends.of(x).cross_entropy(
            x, target, weight, ignore_index=self.ignore, label_smoothing=self.smoothing
        )
        return losses

    def backward_arrays(self, g: Array) -> Any:
        weight = None if self.weight is None else self.weight.array
        gx = backends.of(g).cross_entropy_backward(
            g, self.logp, self.arrays[1], weight, ignore_index=self.ignore, label_smoothing=self.smoothing
        )
        return gx, None

    def differentiate(self, definition: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """At log p in the logits' place: they are log p and a number a row, which changes neither losses nor derivatives."""
        _, target = self._saved
        logits = StandIn(self.logp).at(self.edges[0])
        self._saved = [(logits, logits.version), target]
        try:
            return super().differentiate(definition, *gradients)
        finally:
            self._saved = [None, target]


class TotalCrossEntropy(CrossEntropy):
    """The sum of cross-entropy's losses, or their mean by the weights of the classes, in one kernel: g_m = g / divisor."""

    known_as = "cross_entropy"
    keeps = ("logp", "divisor")

    def __init__(self, weight: Tensor | None, ignore_index: int, smoothing: float, mean: bool, message: str) -> None:
        super().__init__(weight, ignore_index, smoothing)
        self.mean, self.message = mean, message

    def definition(self, x: Tensor, target: Tensor) -> Tensor:
        losses = super().definition(x, target)
        reduction = "mean" if self.mean else "sum"
        return _reduce_classes(losses, target, (), self.weight, self.ignore, reduction)

    def forward(self, x: Array, target: Array) -> Array:
        weight = None if self.weight is None else self.weight.array
        total, self.logp, self.divisor = backends.of(x).cross_entropy_total(
            x, target, weight, ignore_index=self.ignore, label_smoothing=self.smoothing, mean=self.mean, error=IndexError,
            message=self.message,
        )  # fmt: skip
        return total

    def backward_arrays(self, g: Array) -> Any:
        weight = None if self.weight is None else self.weight.array
        gx = backends.of(g).cross_entropy_backward(
            g, self.logp, self.arrays[1], weight, self.divisor, ignore_index=self.ignore, label_smoothing=self.smoothing
        )
        return gx, None


class StandIn(Op):
    """y = another array in x's place;  gx = gy."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def at(self, edge: Any) -> Tensor:
        """The array as a Tensor whose gradient goes where `edge` of a node leads: to a leaf, or to an output of a node."""
        if isinstance(edge, Tensor):
            return self(edge)
        tensor = Tensor._wrap(self.array)
        tensor._requires_grad, (tensor._node, tensor._index) = True, edge
        return tensor

    def forward(self, x: Array) -> Array:
        return self.array

    def backward(self, gy: Tensor) -> Tensor:
        return gy


class BinaryCrossEntropy(Op):
    """l = -t log x - (1 - t) log(1 - x), logarithms at least -100;  gx = g (x - t) / (x (1 - x)), gt = g log((1 - x) / x).

    As torch has it, x (1 - x) counts as TINY at least.
    """

    elementwise = True
    widens = True
    saves = {0: None, 1: 0}

    def forward(self, x: Array, t: Array) -> Array:
        xp = backends.of(x).xp
        with quiet():
            return (t - 1) * xp.maximum(xp.log1p(-x), -100) - t * xp.maximum(xp.log(x), -100)

    def backward(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, t = self.inputs
        return (
            g * ((x - t) / clamp_min(x * (1 - x), TINY)) if self.asked_for[0] else None,
            g * (log1p(-x) - log(x)) if self.asked_for[1] else None,
        )


# -- what the losses share ----------------------------------------------------------------------------------------------


def chosen_reduction(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """The reduction, also from the two arguments that torch once had in its place; ValueError for an unknown one."""
    if size_average is not None or reduce is not None:
        reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
        warnings.warn(
            f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.",
            stacklevel=3,
        )
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def reduce_losses(losses: Tensor, reduction: str) -> Tensor:
    """The losses themselves, their mean or their sum."""
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()


def _warn_of_broadcast(input: Tensor, target: Tensor) -> None:
    if input.shape != target.shape:
        warnings.warn(
            f"Using a target size ({list(target.shape)}) that is different to the input size ({list(input.shape)}). This will "
            "likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=3,
        )


def _check_floating(name: str, input: Tensor, target: Tensor) -> None:
    if dtypes.result_type(input, target).kind != "f":
        raise NotImplementedError(f"{name} takes floating point numbers, not {describe(input)} and {describe(target)}")


def _check_weight(weight: Tensor, input: Tensor) -> None:
    if weight.shape != input.shape:
        raise ValueError(f"Weights and input must have the same size, got {describe(weight)} and {describe(input)}")


def _weighted(losses: Tensor, weight: Tensor | None, input: Tensor, reduction: str) -> Tensor:
    """Reduces weighted losses: "mean" divides by the sum of the weights."""
    if weight is None:
        return reduce_losses(losses, reduction)
    _check_weight(weight, input)
    losses = losses * weight
    return losses.sum() / weight.sum() if reduction == "mean" else reduce_losses(losses, reduction)


# -- the functions, as torch names them: classes ------------------------------------------------------------------------


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(input)[target]: input (N, C, ...) or (C) are logits, target (N, ...) classes, or probabilities of input's shape.

    weight (C): a factor a class. "mean" divides by the sum of the classes' weights (classes), or by the number of targets
    (probabilities). IndexError for a target that is neither a class nor ignore_index,
    on a GPU where a result is next read.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    label_smoothing, ignore_index = real(label_smoothing, "label_smoothing"), integer(ignore_index, "ignore_index")
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    _check_scores("cross_entropy", input, weight)
    if target.shape == input.shape and target.is_floating_point():
        if ignore_index >= 0:
            raise RuntimeError("ignore_index is not supported for floating point target")
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    if reduction != "none" and backends.of(input.array).sums_losses and not is_definitions("cross_entropy"):
        scores, classes, message = _rows_of_scores("cross_entropy", input, target)
        return TotalCrossEntropy(weight, ignore_index, label_smoothing, reduction == "mean", message)(scores, classes)
    scores, classes = _class_rows("cross_entropy", input, target, ignore_index)
    losses = CrossEntropy(weight, ignore_index, label_smoothing)(scores, classes)
    return _reduce_classes(losses, classes, _without_classes(input), weight, ignore_index, reduction)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-input[target] weight[target]: input (N, C, ...) or (C) are log-probabilities, target (N, ...) or () classes.

    "mean" divides by the sum of the weights of the classes; targets that are ignore_index count for nothing.
    """
    reduction, ignore_index = chosen_reduction(size_average, reduce, reduction), integer(ignore_index, "ignore_index")
    _check_scores("nll_loss", input, weight)
    scores, classes = _class_rows("nll_loss", input, target, ignore_index)
    ignored = classes == ignore_index
    index = where(ignored, 0, classes)
    losses = -gather(scores, 1, index.unsqueeze(1)).squeeze(1)
    if weight is not None:
        losses = losses * weight[index]
    return _reduce_classes(
        where(ignored, 0.0, losses), classes, _without_classes(input), weight, ignore_index, reduction
    )


def _check_scores(name: str, x: Tensor, weight: Tensor | None) -> None:
    """Raises as torch does where x can hold no classes' scores, or the weights are not one for each."""
    if x.ndim == 0:
        raise ValueError(f"{name} expects 1 or more dimensions (got 0): {describe(x)} has no class axis")
    if x.dtype.kind != "f":
        raise NotImplementedError(f"{name} expects floating point scores, got {describe(x)}")
    classes = x.shape[min(x.ndim, 2) - 1]
    if weight is not None and weight.shape != (classes,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes, got {describe(weight)}"
        )


def _without_classes(x: Tensor) -> tuple[int, ...]:
    """The shape of the targets of scores (N, C, ...) or (C)."""
    return () if x.ndim == 1 else (x.shape[0], *x.shape[2:])


def _class_rows(name: str, x: Tensor, target: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Scores (N, C, ...) or (C) as (M, C), classes (N, ...) or () as (M,), checked."""
    rows, classes, message = _rows_of_scores(name, x, target)
    kernels = backends.of(classes.array)
    kernels.check_indices(classes.array, high=rows.shape[1], ignore=ignore_index, error=IndexError, message=message)
    return rows, classes


def _rows_of_scores(name: str, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor, str]:
    """Scores as (M, C), classes as (M,), checked but for their range; and what to say of a class that is out of it."""
    expected = _without_classes(x)
    if target.shape != expected and not (x.ndim == 1 and target.shape == (1,)):
        batches = x.ndim > 1 and (target.ndim == 0 or x.shape[0] != target.shape[0])
        raise (ValueError if batches else RuntimeError)(
            f"{name}: expected target of shape {list(expected)} for input {describe(x)}, got {describe(target)}"
        )
    if target.dtype not in (dtypes.int64, dtypes.uint8):
        raise RuntimeError(f"{name}: expected target dtype to be int64 or uint8, but got {describe(target)}")
    rows = x.unsqueeze(0) if x.ndim == 1 else x
    count = rows.shape[1]
    if rows.ndim > 2:
        rows = rows.movedim(1, -1).reshape(target.numel(), count)
    classes = target.reshape(target.numel()).long()
    message = f"Target {{}} is out of bounds: there are {count} classes, 0 to {count - 1}."
    return rows, classes, message


def _reduce_classes(
    losses: Tensor,
    classes: Tensor,
    shape: tuple[int, ...],
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
) -> Tensor:
    """Losses (M,) in a shape, their sum, or their mean by the weights of the classes that count."""
    if reduction == "none":
        return losses.reshape(shape)
    if reduction == "sum":
        return losses.sum()
    kept = (classes != ignore_index).to(losses.dtype)
    if weight is not None:
        kept = kept * weight.detach()[where(classes == ignore_index, 0, classes)]
    return losses.sum() / kept.sum()


def _soft_cross_entropy(x: Tensor, target: Tensor, weight: Tensor | None, reduction: str, smoothing: float) -> Tensor:
    """-sum over the classes of target log softmax(x), the target a probability for each class."""
    dim = 0 if x.ndim == 1 else 1
    if smoothing:
        target = target * (1 - smoothing) + smoothing / x.shape[dim]
    terms = -log_softmax(x, dim) * target
    if weight is not None:
        terms = terms * weight.reshape([-1 if d == dim else 1 for d in range(x.ndim)])
    losses = terms.sum(dim)
    if reduction == "mean":
        return losses.sum() / (x.numel() // x.shape[dim])
    return reduce_losses(losses, reduction)


# -- probabilities ------------------------------------------------------------------------------------------------------


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-weight (target log input + (1 - target) log(1 - input)), for probabilities; logarithms are at least -100, as in torch.

    input and target have one shape, to which weight broadcasts. RuntimeError for values outside of [0, 1].
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    if target.shape != input.shape:
        raise ValueError(
            f"Using a target size ({list(target.shape)}) that is different to the input size ({list(input.shape)}) is "
            "deprecated. Please ensure they have the same size."
        )
    if input.dtype.kind != "f" or target.dtype != input.dtype:
        raise RuntimeError(f"Expected floating point numbers of one type, got {describe(input)} and {describe(target)}")
    for name, x in (("input", input.array), ("target", target.array)):
        if not bool(((x >= 0) & (x <= 1)).all()):
            raise RuntimeError(f"all elements of {name} should be between 0 and 1")
    losses = BinaryCrossEntropy()(input, target)
    if weight is not None:
        losses = losses * weight.expand(losses.shape)
    return reduce_losses(losses, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """binary_cross_entropy of sigmoid(input), without overflow; pos_weight is a factor on the terms of target.

    l = weight ((1 - t) x + (1 + (pos_weight - 1) t) log(1 + e^-x)). weight and pos_weight broadcast.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    if target.shape != input.shape:
        raise ValueError(f"Target size ({list(target.shape)}) must be the same as input size ({list(input.shape)})")
    if input.dtype.kind != "f" or target.dtype.kind != "f":
        raise RuntimeError(f"Expected floating point numbers, got {describe(input)} and target {describe(target)}")
    softplus = logaddexp(-input, input.new_zeros(()))
    if pos_weight is not None:
        softplus = softplus * ((pos_weight - 1) * target + 1)
    losses = (1 - target) * input + softplus
    if weight is not None:
        losses = losses * weight
    return reduce_losses(losses, reduction)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """target (log target - input), 0 where target is 0: input log-probabilities, target probabilities, or their logarithms.

    "batchmean" divides the sum by the first axis's length, as the divergence's definition has it; "mean" by all elements.
    """
    if reduction == "batchmean" and size_average is None and reduce is None:
        total = kl_div(input, target, reduction="sum", log_target=log_target)
        return total / input.shape[0] if input.ndim else total
    reduction = chosen_reduction(size_average, reduce, reduction)
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size. 'batchmean' divides only by "
            "the batch size, and aligns with the KL div math definition.",
            stacklevel=2,
        )
    terms = exp(target) * (target - input) if log_target else xlogy(target, target) - target * input
    return reduce_losses(terms, reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """x - target log x for Poisson rates x: e^input, or input itself (its logarithm of x + eps then).

    full adds Stirling's approximation of log target!: t log t - t + log(2 pi t) / 2 where t > 1.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    losses = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        stirling = target * log(target) - target + 0.5 * log(2 * math.pi * target)
        losses = losses + stirling.masked_fill(target <= 1, 0)
    return reduce_losses(losses, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """(log v + (input - target)^2 / v) / 2, v = max(var, eps): input the means, var the variances of normal distributions.

    var: a number, of input's shape, or of that shape without its last axis or with one axis of length 1. full adds
    log(2 pi) / 2. The bound eps does not stop var's gradient, as in torch.
    """
    reduction = chosen_reduction(None, None, reduction)
    variance = var if isinstance(var, Tensor) else input.new_full(input.shape, real(var, "var"))
    if bool((variance.array < 0).any()):
        raise ValueError("var has negative entry/entries")
    if variance.shape != input.shape:
        different = [b for a, b in zip(input.shape, variance.shape, strict=False) if a != b]
        if input.shape[:-1] == variance.shape:
            variance = variance.unsqueeze(-1)
        elif input.ndim != variance.ndim or different != [1]:
            raise ValueError(f"var is of incorrect size: {describe(variance)} for input {describe(input)}")
    variance = variance + (clamp_min(variance, eps) - variance).detach()
    losses = 0.5 * (log(variance) + (input - target) ** 2 / variance)
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return reduce_losses(losses, reduction)


# -- distances: each loss is rounded before they are added up, as in torch --------------------------------------------------


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(input - target)^2. With a weight for each element, "mean" divides by the sum of the weights."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    _warn_of_broadcast(input, target)
    _check_floating("mse_loss", input, target)
    return _weighted(_squared(input, target), weight, input, reduction)


@in_float32
def _squared(input: Tensor, target: Tensor) -> Tensor:
    return (input - target) ** 2


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """|input - target|. With a weight for each element, "mean" divides by the sum of the weights."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    _warn_of_broadcast(input, target)
    return _weighted((input - target).abs(), weight, input, reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """d^2 / (2 beta) where d = |input - target| is below beta, d - beta / 2 elsewhere; l1_loss for beta = 0."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    _warn_of_broadcast(input, target)
    _check_floating("smooth_l1_loss", input, target)
    beta = real(beta, "beta")
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta, got {beta}")
    return reduce_losses(_smooth(input, target, beta), reduction)


@in_float32
def _smooth(input: Tensor, target: Tensor, beta: float) -> Tensor:
    d = (input - target).abs()
    return d if beta == 0 else where(d < beta, d * d * (0.5 / beta), d - 0.5 * beta)


def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """d^2 / 2 where d = |input - target| is at most delta, delta (d - delta / 2) elsewhere.

    With a weight for each element, "mean" still divides by the number of elements, as in torch.
    """
    reduction = chosen_reduction(None, None, reduction)
    _warn_of_broadcast(input, target)
    _check_floating("huber_loss", input, target)
    delta = real(delta, "delta")
    if delta <= 0:
        raise RuntimeError(f"huber_loss does not support non-positive values for delta, got {delta}")
    losses = _huber(input, target, delta)
    if weight is not None:
        _check_weight(weight, input)
        losses = losses * weight
    return reduce_losses(losses, reduction)


@in_float32
def _huber(input: Tensor, target: Tensor, delta: float) -> Tensor:
    d = (input - target).abs()
    return where(d <= delta, 0.5 * d * d, delta * (d - 0.5 * delta))


offer(
    "nn.functional",
    binary_cross_entropy, binary_cross_entropy_with_logits, cross_entropy, gaussian_nll_loss, huber_loss, kl_div,
    l1_loss, mse_loss, nll_loss, poisson_nll_loss, smooth_l1_loss,
)  # fmt: skip
