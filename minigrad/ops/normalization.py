"""Normalisation: y = (x - mean) / sqrt(var + eps) * w + b, each kind over elements of its own choice.

For images (N, C, H, W): batch norm takes mean and variance of a channel over the batch and all places, instance norm over
the places of one image, group norm over the places of a group of channels of one image, layer norm over the last axes.

Sources: S. Ioffe, C. Szegedy, Batch Normalization (2015); J. Ba, J. Kiros, G. Hinton, Layer Normalization (2016);
D. Ulyanov, A. Vedaldi, V. Lempitsky, Instance Normalization (2016); Y. Wu, K. He, Group Normalization (2018);
B. Zhang, R. Sennrich, Root Mean Square Layer Normalization (2019); A. Krizhevsky, I. Sutskever, G. Hinton, ImageNet
Classification with Deep Convolutional Neural Networks (2012), 3.3, for local response normalisation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import backends
from minigrad.backends import Array
from minigrad.fused import FusedOp
from minigrad.op import HALF, in_float32
from minigrad.ops.common import integer, quiet, real
from minigrad.ops.late import functional
from minigrad.ops.public import offer
from minigrad.ops.reduction import exact_sum
from minigrad.tensor import Tensor, describe


def _per_channel(v: Tensor, ndim: int) -> Tensor:
    """(C) as (1, C, 1, ...), to broadcast over (N, C, ...)."""
    return v.reshape((1, -1) + (1,) * (ndim - 2))


class BatchNorm(FusedOp):
    """y = (x - mean) r w + b with r = 1 / sqrt(var + eps), mean and biased var of each channel of this batch.

    With xh = (x - mean) r:  gw = sum gy xh,  gb = sum gy,  gx = r w (gy - gb/m - xh gw/m) over m elements a channel.
    Leaves the batch's statistics in `mean` and `var`, arrays (C).
    """

    fresh = True
    saves = {0: None, 1: None}
    keeps = ("invstd",)

    def __init__(
        self, eps: float, running: Sequence[Any] = (None, None), momentum: float = 0.0, unbias: float = 1.0
    ) -> None:
        """running: the arrays that follow the batch's mean and variance in the first forward pass, and no other."""
        self.eps, self.running, self.momentum, self.unbias = eps, running, momentum, unbias

    def definition(self, x: Tensor, w: Tensor | None, b: Tensor | None) -> Tensor:
        over = (0, *range(2, x.ndim))
        mean = x.mean(over, keepdim=True)
        var = ((x - mean) ** 2).mean(over, keepdim=True)
        self.mean, self.var = mean.array.reshape(-1), var.array.reshape(-1)
        return _affine((x - mean) / (var + self.eps).sqrt(), w, b)

    def forward(self, x: Array, w: Array, b: Array) -> Array:
        running, self.running = self.running, (None, None)
        y, self.mean, self.invstd, self.var = backends.of(x).batch_norm(
            x, w, b, running[0], running[1], eps=self.eps, momentum=self.momentum, unbias=self.unbias
        )
        return y

    def backward_arrays(self, gy: Array) -> Any:
        x, w, _ = self.arrays
        return backends.of(gy).batch_norm_backward(
            gy, x, w, self.mean, self.invstd, training=True, needs=self.asked_for
        )


class BatchNormApply(FusedOp):
    """y = (x - mean) r w + b with given statistics (evaluation);  gx = gy r w."""

    fresh = True
    known_as = "batch_norm"
    saves = {0: 1, 1: None}

    def __init__(self, mean: Any, var: Any, eps: float) -> None:
        self.mean, self.var, self.eps = mean, var, eps

    def definition(self, x: Tensor, w: Tensor | None, b: Tensor | None) -> Tensor:
        mean, var = _per_channel(Tensor(self.mean), x.ndim), _per_channel(Tensor(self.var), x.ndim)
        return _affine((x - mean) / (var + self.eps).sqrt(), w, b)

    def forward(self, x: Array, w: Array, b: Array) -> Array:
        backend = backends.of(x)
        self.invstd = 1 / backend.xp.sqrt(self.var + self.eps)
        return backend.batch_norm_apply(x, w, b, self.mean, self.invstd)

    def backward_arrays(self, gy: Array) -> Any:
        x, w, _ = self.arrays
        return backends.of(gy).batch_norm_backward(
            gy, x, w, self.mean, self.invstd, training=False, needs=self.asked_for
        )


def _affine(xh: Tensor, w: Tensor | None, b: Tensor | None) -> Tensor:
    y = xh if w is None else xh * _per_channel(w, xh.ndim)
    return y if b is None else y + _per_channel(b, xh.ndim)


class LayerNorm(FusedOp):
    """y = (x - mean) r w + b with r = 1 / sqrt(var + eps), mean and biased var over the last `count` axes.

    With z = (x - mean) r, g = gy w, and means over those axes:  gx = r (g - mean(g) - z mean(g z)),  gw = sum gy z,
    gb = sum gy. x (..., *shape); w, b of those axes' shape, or None.
    """

    fresh = True
    widens = True
    saves = {0: None, 1: 0}
    keeps = ("mean", "invstd")

    def __init__(self, count: int, eps: float) -> None:
        self.count, self.eps = count, eps

    def definition(self, x: Tensor, w: Tensor | None, b: Tensor | None) -> Tensor:
        over = tuple(range(-self.count, 0))
        mean = x.mean(over, keepdim=True)
        var = ((x - mean) ** 2).mean(over, keepdim=True)
        y = (x - mean) / (var + self.eps).sqrt()
        y = y if w is None else y * w
        return y if b is None else y + b

    def _rows(self, x: Any) -> Any:
        """x (..., *shape) as (M, D)."""
        length = math.prod(x.shape[x.ndim - self.count :])
        return x.reshape(math.prod(x.shape[: x.ndim - self.count]), length)

    def forward(self, x: Array, w: Array, b: Array) -> Array:
        w, b = (None if v is None else v.reshape(-1) for v in (w, b))
        y, self.mean, self.invstd = backends.of(x).layer_norm(self._rows(x), w, b, eps=self.eps)
        return y.reshape(x.shape)

    def backward_arrays(self, gy: Array) -> Any:
        x, w, _ = self.arrays
        gx, gw, gb = backends.of(gy).layer_norm_backward(
            self._rows(gy),
            self._rows(x),
            None if w is None else w.reshape(-1),
            self.mean,
            self.invstd,
            needs=self.asked_for,
        )
        shape = gy.shape[gy.ndim - self.count :]
        return (
            None if gx is None else gx.reshape(gy.shape),
            None if gw is None else gw.reshape(shape),
            None if gb is None else gb.reshape(shape),
        )


class GroupNorm(FusedOp):
    """y = (x - mean) r w + b with mean and r = 1 / sqrt(var + eps) of each of G groups of channels of each image.

    x (N, C, ...); w, b (C) or None. Rows of the (N G, C/G ...) matrix are normalised as in layer norm.
    """

    fresh = True
    widens = True
    saves = {0: None, 1: 0}
    keeps = ("mean", "invstd")

    def __init__(self, groups: int, eps: float) -> None:
        self.groups, self.eps = groups, eps

    def definition(self, x: Tensor, w: Tensor | None, b: Tensor | None) -> Tensor:
        rows = x.reshape(x.shape[0], self.groups, math.prod(x.shape[1:]) // self.groups)
        mean = rows.mean(2, keepdim=True)
        var = ((rows - mean) ** 2).mean(2, keepdim=True)
        return _affine(((rows - mean) / (var + self.eps).sqrt()).reshape(x.shape), w, b)

    def _rows(self, x: Any) -> Any:
        return x.reshape(x.shape[0] * self.groups, math.prod(x.shape[1:]) // self.groups)

    def forward(self, x: Array, w: Array, b: Array) -> Array:
        self.per_channel = (1, x.shape[1]) + (1,) * (x.ndim - 2)
        y, self.mean, self.invstd = backends.of(x).layer_norm(self._rows(x), None, None, eps=self.eps)
        y = y.reshape(x.shape)
        if w is not None:
            y *= w.reshape(self.per_channel)
        if b is not None:
            y += b.reshape(self.per_channel)
        return y

    def backward_arrays(self, gy: Array) -> Any:
        x, w, _ = self.arrays
        rows, over = self._rows(x), (0, *range(2, x.ndim))
        gx = gw = None
        if self.asked_for[0]:
            g = gy if w is None else gy * w.reshape(self.per_channel)
            backward = backends.of(gy).layer_norm_backward
            gx, _, _ = backward(self._rows(g), rows, None, self.mean, self.invstd, needs=(True, False, False))
            gx = gx.reshape(x.shape)
        if self.asked_for[1]:
            z = ((rows - self.mean[:, None]) * self.invstd[:, None]).reshape(x.shape)
            z *= gy
            gw = exact_sum(z, over)
        return gx, gw, exact_sum(gy, over) if self.asked_for[2] else None


class RMSNorm(FusedOp):
    """y = x r w with r = 1 / sqrt(mean(x^2) + eps) over the last `count` axes.

    With z = x r, g = gy w, and means over those axes:  gx = r (g - z mean(g z)),  gw = sum gy z.
    """

    fresh = True
    widens = True
    saves = {0: None, 1: 0}
    keeps = ("scale",)

    def __init__(self, count: int, eps: float) -> None:
        self.over, self.eps = tuple(range(-count, 0)), eps

    def definition(self, x: Tensor, w: Tensor | None) -> Tensor:
        y = x / ((x * x).mean(self.over, keepdim=True) + self.eps).sqrt()
        return y if w is None else y * w

    def forward(self, x: Array, w: Array) -> Array:
        with quiet():
            self.scale = 1 / backends.of(x).xp.sqrt((x * x).mean(axis=self.over, keepdims=True) + self.eps)
            y = x * self.scale
            if w is not None:
                y *= w
        return y

    def backward_arrays(self, gy: Array) -> Any:
        x, w = self.arrays
        z = x * self.scale
        gx = gw = None
        if self.asked_for[1]:
            gw = exact_sum(gy * z, tuple(range(gy.ndim - len(self.over))))
        if self.asked_for[0]:
            g = gy if w is None else gy * w
            z *= (g * z).mean(axis=self.over, keepdims=True)
            gx = (g - z) * self.scale
        return gx, gw


# -- the functions, as torch names them ---------------------------------------------------------------------------------


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Batch normalisation of input (N, C, ...); weight, bias and running statistics are (C).

    training: with the batch's own statistics, and running = (1 - momentum) running + momentum batch (the variance unbiased),
    outside the graph. Else: with the running statistics. An empty batch comes out as it is, and leaves them alone.
    """
    momentum, eps = real(momentum, "momentum"), real(eps, "eps")
    if (
        input.dtype == HALF
    ):  # weight, bias and running statistics may be float32, as in torch: the result is float16 still
        x, weight, bias = (v if v is None else v.to(np.float32) for v in (input, weight, bias))
        return batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps).to(HALF)  # type: ignore[arg-type]
    if input.ndim < 2 and (input.numel() or weight is not None or bias is not None):
        raise RuntimeError(f"batch_norm expects (N, C, ...), but got {describe(input)}")
    channels = input.shape[1] if input.ndim > 1 else 0
    for name, v in (("running_mean", running_mean), ("running_var", running_var), ("weight", weight), ("bias", bias)):
        if v is not None and v.shape != (channels,):
            raise RuntimeError(f"{name} should contain {channels} elements not {v.numel()}")
    count = math.prod((*input.shape[:1], *input.shape[2:]))
    if training and count == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(input.shape)}")
    if not input.numel():
        return _affine(input.clone(), weight, bias)
    if not training:
        if running_mean is None or running_var is None:
            raise RuntimeError("Expected running_mean and running_var to be defined when training=False")
        mean, var = running_mean.array, running_var.array
        if mean.dtype != input.dtype:
            mean, var = mean.astype(input.dtype), var.astype(input.dtype)
        return BatchNormApply(mean, var, eps)(input, weight, bias)
    running = [None if tensor is None else tensor.array for tensor in (running_mean, running_var)]
    op = BatchNorm(eps, running, momentum, count / (count - 1))
    y = op(input, weight, bias)
    if op.running is running:  # the definition ran
        backends.of(op.mean).follow(
            running[0], running[1], op.mean, op.var, momentum=momentum, unbias=count / (count - 1)
        )
    for tensor in (running_mean, running_var):
        if tensor is not None:
            tensor._bump_version()
    return y


def _follow(
    running_mean: Tensor | None, running_var: Tensor | None, mean: Array, var: Array, momentum: float, unbias: float
) -> None:
    """running = (1 - momentum) running + momentum batch, in place and outside the graph."""
    means = None if running_mean is None else running_mean.array
    variances = None if running_var is None else running_var.array
    backends.of(mean).follow(means, variances, mean, var, momentum=momentum, unbias=unbias)
    for running in (running_mean, running_var):
        if running is not None:
            running._bump_version()


def _check_normalized(x: Tensor, shape: Sequence[int], **parameters: Tensor | None) -> tuple[int, ...]:
    """Raises as torch does where the last axes of x, or a parameter, are not of the normalised shape."""
    shape = tuple([integer(n, "normalized_shape") for n in shape])
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
            "normalized_shape = []"
        )
    for name, v in parameters.items():
        if v is not None and v.shape != shape:
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} {describe(v)} and "
                f"normalized_shape = {list(shape)}"
            )
    if x.ndim < len(shape) or x.shape[x.ndim - len(shape) :] != shape:
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*, {', '.join(map(str, shape))}], but got "
            f"input {describe(x)}"
        )
    _check_floating(x, **parameters)
    return shape


def _check_floating(x: Tensor, **parameters: Tensor | None) -> None:
    """Raises where the input is of no floating-point type, or a parameter of another type."""
    if x.dtype.kind != "f":
        raise NotImplementedError(
            f"normalisation is not implemented for {describe(x)}: it takes floating point numbers"
        )
    for name, v in parameters.items():
        if v is not None and v.dtype != x.dtype:
            raise RuntimeError(
                f"expected {name} to have the input's type, but got {describe(v)} and input {describe(x)}"
            )


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias with mean and biased variance over the last axes of input.

    input (..., *normalized_shape); weight and bias of normalized_shape. Ba, Kiros and Hinton (2016).
    """
    shape = _check_normalized(input, normalized_shape, weight=weight, bias=bias)
    return LayerNorm(len(shape), real(eps, "eps"))(input, weight, bias)


def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight with the mean over the last axes of input (..., *normalized_shape).

    eps: by default the spacing of the type's numbers at 1 (for float16, of float32's). Zhang and Sennrich (2019).
    """
    shape = _check_normalized(input, normalized_shape, weight=weight)
    if eps is None:
        eps = float(np.finfo(np.promote_types(input.dtype, np.float32)).eps)
    return RMSNorm(len(shape), real(eps, "eps"))(input, weight)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and biased variance of each group of channels of each sample.

    input (N, C, ...) with C divisible by num_groups; weight and bias (C). Wu and He (2018).
    """
    if input.ndim < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {input.ndim}")
    channels, num_groups = input.shape[1], integer(num_groups, "num_groups")
    if num_groups < 1 or channels % num_groups:
        raise RuntimeError(
            f"Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(input.shape)} and num_groups={num_groups}"
        )
    if not channels or 0 in input.shape[2:]:
        raise RuntimeError(f"Expected channels and places to be more than 0, but got input {describe(input)}")
    _check_per_channel(channels, weight=weight, bias=bias)
    _check_floating(input, weight=weight, bias=bias)
    if input.shape[0] * channels // num_groups * math.prod(input.shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(input.shape)}")
    return GroupNorm(num_groups, real(eps, "eps"))(input, weight, bias)


def _check_per_channel(channels: int, **vectors: Tensor | None) -> None:
    for name, v in vectors.items():
        if v is not None and v.shape != (channels,):
            raise RuntimeError(f"Expected {name} to be a vector of size {channels}, but got {describe(v)}")


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and biased variance of each channel of each sample.

    input (N, C, L, ...); weight, bias and running statistics (C). use_input_stats: running statistics, where given, become
    (1 - momentum) running + momentum (mean over the batch of the samples' means, and of their unbiased variances), outside
    the graph. Else the running statistics are used. Ulyanov, Vedaldi and Lempitsky (2016).
    """
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats is false")
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    momentum, eps = real(momentum, "momentum"), real(eps, "eps")
    places = math.prod(input.shape[2:])
    if places == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {list(input.shape)}")
    if input.ndim < 2:
        raise RuntimeError(f"instance_norm expects (N, C, L, ...), but got {describe(input)}")
    channels = input.shape[1]
    _check_per_channel(channels, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    _check_floating(input, weight=weight, bias=bias)
    if not input.numel():
        return _affine(input.clone(), weight, bias)
    x = input.array.reshape(*input.shape[:2], -1)
    x = x.astype(np.float32) if x.dtype == HALF else x
    if running_mean is not None or running_var is not None:
        mean, var = x.mean(axis=2).mean(axis=0), x.var(axis=2, ddof=1).mean(axis=0)
        _follow(running_mean, running_var, mean, var, momentum, 1.0)
    return GroupNorm(channels, eps)(input, weight, bias)


@in_float32
def local_response_norm(
    input: Tensor,
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
) -> Tensor:
    """x / (k + alpha mean(x^2))^beta, the mean over `size` neighbouring channels (zeros beyond the first and the last).

    input (N, C, L, ...). Krizhevsky, Sutskever and Hinton (2012), 3.3, with alpha divided by size as torch has it.
    """
    if input.ndim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {input.ndim} dimensions)")
    channels, size, beta = input.shape[1], integer(size, "size"), real(beta, "beta")
    squares = functional.pad(input * input, [0, 0] * (input.ndim - 2) + [size // 2, (size - 1) // 2])
    total = squares.narrow(1, 0, channels)
    for i in range(1, size):
        total = total + squares.narrow(1, i, channels)
    return input / (total * (real(alpha, "alpha") / size) + real(k, "k")) ** beta


offer("minigrad nn.functional", group_norm, layer_norm, rms_norm)
offer("nn.functional", batch_norm, instance_norm, local_response_norm)
