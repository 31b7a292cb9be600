"""Initialisation: functions that fill a tensor in place and return it. Not recorded for the backward pass.

Random ones draw from `generator`, or from the default one that `minigrad.manual_seed` seeds; always on the host, so
that every device starts from the same numbers.

fan_in is the number of inputs that one output is computed from (in_features; in_channels/groups * KH * KW), fan_out the
number of outputs that one input goes to, both read off the weight's shape (out, in, ...).
"""

from __future__ import annotations

import functools
import math
import warnings
from typing import Any

import numpy as np

from minigrad.arguments import integer, number, real
from minigrad.errors import explain_missing as _explain_missing
from minigrad.grad_mode import no_grad
from minigrad.random import Generator, default_generator
from minigrad.tensor import Tensor


def _fill(tensor: Tensor, values: np.ndarray) -> Tensor:
    with no_grad():
        return tensor.copy_(Tensor(np.asarray(values)))


def _or_default(generator: Generator | None) -> Generator:
    return default_generator if generator is None else generator


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    if tensor.ndim < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    receptive_field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * receptive_field, tensor.shape[0] * receptive_field


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    if mode.lower() not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return fan_in if mode.lower() == "fan_in" else fan_out


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance through a nonlinearity.

    1 for linear, conv1d ... conv_transpose3d and sigmoid; 5/3 for tanh; sqrt(2) for relu; sqrt(2 / (1 + slope^2)) for
    leaky_relu (slope `param`, 0.01 by default); 3/4 for selu. ValueError for any other.
    """
    gains = {"sigmoid": 1.0, "linear": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2.0), "selu": 3 / 4}
    gains.update({f"conv{kind}{n}d": 1.0 for kind in ("", "_transpose") for n in (1, 2, 3)})
    if nonlinearity in gains:
        return gains[nonlinearity]
    if nonlinearity != "leaky_relu":
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    slope = 0.01 if param is None else number(param)
    if isinstance(slope, bool) or not isinstance(slope, (int, float)):
        raise ValueError(f"negative_slope {param} not a valid number")
    return math.sqrt(2.0 / (1 + slope**2))


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Numbers from U(a, b)."""
    return _fill(tensor, _or_default(generator).uniform(a, b, tuple(tensor.shape), tensor.dtype))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Numbers from N(mean, std^2)."""
    return _fill(tensor, _or_default(generator).normal(mean, std, tuple(tensor.shape), tensor.dtype))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Numbers from N(mean, std^2), drawn again until they lie in [a, b] (in units of the numbers, not of std)."""
    mean, std, a, b = (real(x) for x in (mean, std, a, b))
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=2,
        )
    generator = _or_default(generator)
    dtype = tensor.dtype

    def cdf(x: float) -> float:
        return (1 + math.erf((x - mean) / (std * math.sqrt(2)))) / 2

    inside = cdf(b) - cdf(a)
    low, high = dtype.type(a), dtype.type(b)  # as the tensor can hold them, so that no number can round past them
    mode = max(a, min(mean, b))

    def propose(n: int) -> tuple[np.ndarray, np.ndarray]:
        """n numbers, and which of them to keep."""
        if inside > 0.3:
            x = generator.normal(mean, std, (n,), dtype)
            return x, (low <= x) & (x <= high)
        # Few draws would land inside: draw evenly between the bounds, keep in proportion to the density.
        x = generator.uniform(a, b, (n,), dtype)
        log_density = ((mode - mean) ** 2 - (x.astype(np.float64) - mean) ** 2) / (2 * std**2)
        u = generator.uniform(0.0, 1.0, (n,), np.dtype(np.float64))
        return x, u < np.exp(log_density)

    values = np.empty(tensor.numel(), dtype)
    missing = np.arange(values.size)
    while missing.size:
        x, keep = propose(missing.size)
        values[missing[keep]] = x[keep]
        missing = missing[~keep]
    return _fill(tensor, values.reshape(tensor.shape))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """One number everywhere."""
    with no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return constant_(tensor, 0.0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix; the tensor must have two axes."""
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    return _fill(tensor, np.eye(*tensor.shape, dtype=tensor.dtype))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """A convolution's weight (out, in/groups, ...) that hands its input on: 1 in the middle, from channel i to i."""
    if tensor.ndim not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    groups = integer(groups, "groups")
    if tensor.shape[0] % groups:
        raise ValueError("dim 0 must be divisible by groups")
    values = np.zeros(tensor.shape, tensor.dtype)
    out_per_group = tensor.shape[0] // groups
    middle = tuple(n // 2 for n in tensor.shape[2:])
    for group in range(groups):
        for i in range(min(out_per_group, tensor.shape[1])):
            values[(group * out_per_group + i, i, *middle)] = 1
    return _fill(tensor, values)


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """N(0, std^2), with a share `sparsity` of each column set to zero at random (Martens 2010); two axes."""
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows, columns = tensor.shape
    source = _or_default(generator)
    values = source.normal(0.0, std, (rows, columns), tensor.dtype)
    for column in range(columns):
        values[source.permutation(rows)[: math.ceil(sparsity * rows)], column] = 0
    return _fill(tensor, values)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """U(-a, a) with a = gain sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16)."""
    bound = gain * math.sqrt(6.0 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """N(0, std^2) with std = gain sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 12)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_calculate_fan_in_and_fan_out(tensor))), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """U(-k, k) with k = gain sqrt(3 / fan), gain for a leaky ReLU of slope a (He et al. 2015, eq. 10 and 14)."""
    if tensor.numel() == 0:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / _calculate_correct_fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """N(0, std^2) with std = gain / sqrt(fan), gain for a leaky ReLU of slope a (He et al. 2015, eq. 10 and 14)."""
    if tensor.numel() == 0:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    std = calculate_gain(nonlinearity, a) / math.sqrt(_calculate_correct_fan(tensor, mode))
    return normal_(tensor, 0.0, std, generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """A matrix (out, the rest) with orthonormal rows or columns, whichever are fewer, times gain (Saxe et al. 2013)."""
    if tensor.ndim < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0:
        return tensor
    rows = tensor.shape[0]
    columns = tensor.numel() // rows
    normal = _or_default(generator).normal(0.0, 1.0, (rows, columns), tensor.dtype)
    q, r = np.linalg.qr(normal.T if rows < columns else normal)
    q = q * np.sign(np.diag(r))  # makes it uniform over all such matrices: https://arxiv.org/abs/math-ph/0609050
    return _fill(tensor, real(gain, "gain") * (q.T if rows < columns else q).reshape(tensor.shape))


def default_(weight: Tensor, bias: Tensor | None, generator: Generator | None = None) -> None:
    """How Linear and the convolutions start, as in torch: weight and bias from U(-k, k), k = 1 / sqrt(fan_in)."""
    kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)
    if bias is not None:
        fan_in, _ = _calculate_fan_in_and_fan_out(weight)
        bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
        uniform_(bias, -bound, bound, generator)


def _former(name: str) -> Any:
    """A function under the name that torch gave it before version 0.4."""
    function = globals()[name + "_"]

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Tensor:
        warnings.warn(f"`nn.init.{name}` is now deprecated in favor of `nn.init.{name}_`.", FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    return call


uniform, normal, constant, eye, dirac = map(_former, ("uniform", "normal", "constant", "eye", "dirac"))
xavier_uniform, xavier_normal = map(_former, ("xavier_uniform", "xavier_normal"))
kaiming_uniform, kaiming_normal = map(_former, ("kaiming_uniform", "kaiming_normal"))
orthogonal, sparse = _former("orthogonal"), _former("sparse")

_no_grad_uniform_, _no_grad_normal_, _no_grad_trunc_normal_ = uniform_, normal_, trunc_normal_
_no_grad_fill_, _no_grad_zero_ = constant_, zeros_
"""torch's names of them within its own file, which some code borrows."""

_explain_missing(__name__)
