"""Functions of torch's that minigrad itself does without, composed of those that it has."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations as _combinations
from itertools import product
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.as_torch.names import linalg
from minigrad.as_torch.names.linalg import cholesky, det, matrix_power, slogdet

inverse, pinverse, ger = linalg.inv, linalg.pinv, mg.outer
__all__ = [
    "asarray", "block_diag", "cartesian_prod", "chain_matmul", "cholesky", "combinations", "conj", "cross", "det", "diagflat",
    "fork_rng", "ger", "histc", "inverse", "is_inference_mode_enabled", "matrix_power", "pinverse", "qr", "quantile", "range",
    "real", "slogdet", "svd", "trapezoid", "trapz",
]  # fmt: skip


SVD = namedtuple("SVD", "U S V")


def svd(input: Any, some: bool = True, compute_uv: bool = True) -> Any:
    """(U, S, V) with input = U diag(S) V^T: the old form of linalg.svd, which gives V^T."""
    U, S, Vh = linalg.svd(input, not some)
    V = Vh.mT
    return SVD(U, S, V) if compute_uv else SVD(U * 0, S, V * 0)


def qr(input: Any, some: bool = True) -> Any:
    """(Q, R) with input = Q R."""
    return linalg.qr(input, "reduced" if some else "complete")


def real(input: Any) -> Any:
    """The tensor itself: there are no complex numbers."""
    return input


conj = real


def asarray(obj: Any, *, dtype: Any = None, device: Any = None, copy: Any = None, requires_grad: bool = False) -> Any:
    """A tensor of numbers, lists, arrays or tensors, which shares their memory where it can unless copy."""
    found = mg.as_tensor(obj, dtype=dtype, device=device)
    return (found.clone() if copy else found).requires_grad_(requires_grad or found.requires_grad)


def range(start: float = 0, end: Any = None, step: float = 1, **options: Any) -> Any:
    """start, start + step ... with the end itself, in float32: torch's old arange."""
    start, end = (0, start) if end is None else (start, end)
    number = int(np.floor((end - start) / step)) + 1
    return (mg.arange(number, dtype=mg.float64) * step + start).to(options.get("dtype") or mg.float32)


def cartesian_prod(*tensors: Any) -> Any:
    """Every choice of an element from each, (N, number of tensors)."""
    if len(tensors) == 1:
        return tensors[0]
    return mg.stack([x.reshape(-1) for x in mg.meshgrid(*tensors, indexing="ij")], 1)


def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Any:
    """Every choice of r elements, (N, r)."""
    n = len(input)
    places = (p for p in product(np.arange(n), repeat=r) if list(p) == sorted(p))
    chosen = list(places) if with_replacement else list(_combinations(np.arange(n), r))
    return input[mg.tensor(np.array(chosen, np.int64).reshape(-1, r))]


def block_diag(*tensors: Any) -> Any:
    """The matrices along the diagonal of one, zeros beside them."""
    found, width = [mg.atleast_2d(x) for x in tensors], 0
    columns = sum(x.shape[1] for x in found)
    for k, x in enumerate(found):
        found[k] = mg.nn.functional.pad(x, (width, columns - width - x.shape[1]))
        width += x.shape[1]
    return mg.cat(found)


def diagflat(input: Any, offset: int = 0) -> Any:
    """A matrix with the elements on its diagonal."""
    return mg.diag(input.reshape(-1), offset)


def cross(input: Any, other: Any, dim: Any = None) -> Any:
    """a x b along an axis of size 3: by default the first one, in linalg.cross the last."""
    a, b = mg.broadcast_tensors(input, other)
    dim = next(d for d, n in enumerate(a.shape) if n == 3) if dim is None else dim
    return a.roll(-1, dim) * b.roll(-2, dim) - a.roll(-2, dim) * b.roll(-1, dim)


def chain_matmul(*matrices: Any) -> Any:
    """The product of the matrices."""
    return linalg.multi_dot(matrices)


def trapezoid(y: Any, x: Any = None, *, dx: float = 1, dim: int = -1) -> Any:
    """The integral of y over an axis by the trapezoidal rule: sum of (y_k + y_(k+1)) / 2 times the step."""
    y = y.movedim(dim, -1)
    step = dx if x is None else (x if x.ndim == 1 else x.movedim(dim, -1)).diff()
    return ((y[..., 1:] + y[..., :-1]) * step).sum(-1) / 2


trapz = trapezoid


def quantile(input: Any, q: Any, dim: Any = None, keepdim: bool = False, *, interpolation: str = "linear") -> Any:
    """The value below which a share q lies, between two elements by `interpolation`; (len(q), ...) for several q."""
    if interpolation not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise RuntimeError("quantile() interpolation must be one of linear, lower, higher, midpoint or nearest")
    x = (input.reshape(-1) if dim is None else input.movedim(dim, -1)).sort(-1)[0]
    x = mg.where(x[..., -1:].isnan(), mg.nan, x)  # NaN is sorted to the end
    q = mg.as_tensor(q, dtype=x.dtype)
    if not ((q >= 0) & (q <= 1)).all():
        raise RuntimeError("quantile() q values must be in the range [0, 1]")
    rank = q * (x.shape[-1] - 1)
    low, high = rank.floor(), rank.ceil()
    weight = {"linear": rank - low, "lower": 0 * low, "higher": 0 * low + 1, "midpoint": 0 * low + 0.5,
              "nearest": rank.round() - low}[interpolation]  # fmt: skip
    found = mg.lerp(x[..., low.long()], x[..., high.long()], weight)
    found = found.movedim(-1, 0) if q.ndim else found
    if keepdim:
        shape = (
            [1] * input.ndim if dim is None else [1 if d == dim % input.ndim else n for d, n in enumerate(input.shape)]
        )
        found = found.reshape(*q.shape, *shape)
    return found


def histc(input: Any, bins: int = 100, min: float = 0, max: float = 0) -> Any:
    """How many elements lie in each of `bins` equal parts of [min, max]; of the range of the values if both are 0."""
    values = input.detach().numpy(force=True)
    limits = (min, max) if min != max else (values.min(), values.max())
    return mg.tensor(np.histogram(values, bins, limits)[0].astype(values.dtype), device=input.device)


def is_inference_mode_enabled() -> bool:
    """Whether no graph is made: inference_mode is no_grad here."""
    return False


@contextmanager
def fork_rng(*devices: Any, enabled: bool = True, **options: Any) -> Iterator[None]:
    """What is drawn within leaves the generator as it was."""
    before = mg.get_rng_state()
    try:
        yield
    finally:
        if enabled:
            mg.set_rng_state(before)
