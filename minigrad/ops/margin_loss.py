"""Losses of margins: nothing to pay where the right answer leads by enough, what is missing elsewhere.

Sources: R. Hadsell, S. Chopra, Y. LeCun, Dimensionality Reduction by Learning an Invariant Mapping (2006), for the hinge on
embeddings; V. Balntas et al., Learning Shallow Convolutional Feature Descriptors with Triplet Losses (2016); K. Crammer,
Y. Singer, On the Algorithmic Implementation of Multiclass Kernel-based Vector Machines (2001).
"""

from __future__ import annotations

from minigrad import backends
from minigrad.ops.choice import clamp_min, minimum, where
from minigrad.ops.exponential import logaddexp
from minigrad.ops.indexing import gather
from minigrad.ops.loss import TINY, chosen_reduction, reduce_losses
from minigrad.ops.pairs import pairwise_distance
from minigrad.ops.public import offer
from minigrad.tensor import Tensor, describe


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos where target is 1, max(0, cos - margin) where it is -1; cos of the angle between the rows of two inputs.

    input1 and input2 (N, D) with target (N), or (D) with target ().
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    given = f"{describe(input1)}, {describe(input2)} and target {describe(target)}"
    if target.ndim > 1:
        raise RuntimeError(f"0D or 1D target tensor expected, multi-target not supported, got {given}")
    if input1.ndim != target.ndim + 1 or input2.ndim != target.ndim + 1:
        raise RuntimeError(f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found {given}")
    norms = ((input1 * input1).sum(-1) + TINY) * ((input2 * input2).sum(-1) + TINY)
    cosine = (input1 * input2).sum(-1) / norms.sqrt()
    apart = where(target == -1, clamp_min(cosine - margin, 0), 0.0)
    return reduce_losses(where(target == 1, 1 - cosine, 0.0) + apart, reduction)


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, -target (input1 - input2) + margin): target 1 says that input1 should be the larger, -1 input2."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got "
            f"{describe(input1)}, {describe(input2)}, {describe(target)}"
        )
    return reduce_losses(clamp_min(-target * (input1 - input2) + margin, 0), reduction)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """input where target is 1, max(0, margin - input) where it is -1."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    apart = where(target != 1, clamp_min(margin - input, 0), 0.0)
    return reduce_losses(apart + where(target != -1, input, 0.0), reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d the p-norm of the difference along the last axis.

    swap: d(positive, negative) in place of d(anchor, negative) where that is less. Balntas et al. (2016).
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got "
            f"{describe(anchor)}, {describe(positive)}, {describe(negative)}"
        )
    near, far = pairwise_distance(anchor, positive, p, eps), pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = minimum(far, pairwise_distance(positive, negative, p, eps))
    return reduce_losses(clamp_min(margin + near - far, 0), reduction)


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + e^(-target input)), target 1 or -1."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    return reduce_losses(logaddexp(-target * input, input.new_zeros(())), reduction)


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """sum over the other classes c of max(0, margin - x[target] + x[c])^p weight[target] / C, p = 1 or 2.

    input (N, C) with target (N); (C) or () is a batch of one, whose target is () or (1). RuntimeError for a
    target that is no class.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    if p not in (1, 2):
        raise ValueError(f"only p == 1 and p == 2 supported, got {p}")
    rows = input.reshape(1, -1) if input.ndim < 2 else input
    if rows.ndim > 2 or not rows.shape[1] or target.ndim > 1 or target.numel() != rows.shape[0]:
        raise RuntimeError(f"inconsistent target size: target {describe(target)} for input {describe(input)}")
    classes = rows.shape[1]
    if weight is not None and weight.ndim != 1:
        raise ValueError(f"weight must be one-dimensional, but got {describe(weight)}")
    if weight is not None and weight.shape != (classes,):
        raise RuntimeError(f"inconsistent weight size, expected {classes} but got {describe(weight)}")
    message = f"target {{}} is out of range: there are {classes} classes, 0 to {classes - 1}"
    kernels = backends.of(target.array)
    kernels.check_indices(target.array, high=classes, error=RuntimeError, message=message)
    index = target.reshape(-1, 1)
    missing = clamp_min(margin - gather(rows, 1, index) + rows, 0)
    missing = missing * missing if p == 2 else missing
    own = Tensor._wrap(index.array == kernels.xp.arange(classes))
    losses = (where(own, 0.0, missing).sum(1) / classes).reshape(target.shape)
    return reduce_losses(losses if weight is None else losses * weight[target], reduction)


offer(
    "nn.functional",
    cosine_embedding_loss, hinge_embedding_loss, margin_ranking_loss, multi_margin_loss, soft_margin_loss,
    triplet_margin_loss,
)  # fmt: skip
