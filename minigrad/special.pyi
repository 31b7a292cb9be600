# Written by tools/stubs.py out of minigrad/ops: change the ops, and run it again.

import builtins
from typing import Any, overload

from minigrad.ops.reduction import Dim
from minigrad.tensor import Tensor

__all__ = ['erf', 'erfc', 'exp2', 'expit', 'expm1', 'log1p', 'log_softmax', 'logit', 'logsumexp', 'round', 'softmax', 'xlogy']

def erf(input: Tensor) -> Tensor:
    """The error function: 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to input."""
def erfc(input: Tensor) -> Tensor:
    """1 - erf(input), exact where erf(input) is nearly 1."""
def exp2(input: Tensor) -> Tensor:
    """2^input."""
def expit(input: Tensor) -> Tensor:
    """1 / (1 + e^-input)."""
def expm1(input: Tensor) -> Tensor:
    """e^input - 1, exact near 0."""
def log1p(input: Tensor) -> Tensor:
    """ln(1 + input), exact near 0."""
def log_softmax(input: Tensor, dim: builtins.int | None = None, dtype: Any = None, *, axis: builtins.int | None = ...) -> Tensor:
    """x - log sum e^x along `dim`."""
def logit(input: Tensor, eps: builtins.float | None = None) -> Tensor:
    """ln(p / (1 - p)) of p = input, clamped to [eps, 1 - eps] if eps is given: the inverse of sigmoid."""
@overload
def logsumexp(input: Tensor, dim: Dim, keepdim: builtins.bool = False, *, keepdims: builtins.bool = ...) -> Tensor:
    """log sum e^x over `dim`, without overflow. The sum of nothing is 0, its logarithm -inf."""
@overload
def logsumexp(input: Tensor, *, axis: Dim, keepdim: builtins.bool = False, keepdims: builtins.bool = ...) -> Tensor:
    """log sum e^x over `dim`, without overflow. The sum of nothing is 0, its logarithm -inf."""
def round(input: Tensor, *, decimals: builtins.int = 0) -> Tensor:
    """input to that many decimals (negative: to tens, hundreds ...), halves to even. Integers only with decimals = 0."""
def softmax(input: Tensor, dim: builtins.int | None = None, dtype: Any = None, *, axis: builtins.int | None = ...) -> Tensor:
    """e^x / sum e^x along `dim` (None: torch's old rule, axis 1 for 2-D and 4-D tensors and more, else 0)."""
def xlogy(input: Any, other: Any) -> Tensor:
    """input ln(other), 0 where input is 0 (but NaN where other is)."""
