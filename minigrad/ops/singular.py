"""Singular values: A = U diag(s) V^T of matrices, by the array library.

The gradients of the factors are those of J. Townsend, Differentiating the Singular Value Decomposition (2016). They need
singular values that differ from each other, and from 0 where A is not square; the values alone have gradients everywhere.
"""

from __future__ import annotations

from minigrad import backends
from minigrad.backends import Array
from minigrad.op import Op
from minigrad.ops.choice import where
from minigrad.ops.creation import eye
from minigrad.tensor import Tensor


class SingularValues(Op):
    """s of A = U diag(s) V^T, largest first;  gA = U diag(gs) V^T. A (..., M, N), s (..., K) with K = min(M, N)."""

    saves = {0: None}

    def forward(self, a: Array) -> Array:
        return backends.of(a).xp.linalg.svd(a, compute_uv=False)

    def backward(self, gs: Tensor) -> Tensor:
        u, _, vt = Svd()(*self.inputs)
        return (u * gs.unsqueeze(-2)) @ vt


class Svd(Op):
    """U (..., M, K), s (..., K) and V^T (..., K, N) of A = U diag(s) V^T.

    gA = U (F(U^T gU) diag(s) + diag(s) F(V^T gV) + diag(gs)) V^T + (1 - U U^T) gU diag(1/s) V^T + U diag(1/s) gV^T (1 - V V^T)
    with F(X)_ij = (X - X^T)_ij / (s_j^2 - s_i^2), 0 on the diagonal.
    """

    saves = {0: None}

    def forward(self, a: Array) -> Array:
        return tuple(backends.of(a).xp.linalg.svd(a, full_matrices=False))

    def backward(self, gu: Tensor, gs: Tensor, gvt: Tensor) -> Tensor:
        u, s, vt = Svd()(*self.inputs)
        rows, columns = s.unsqueeze(-1), s.unsqueeze(-2)
        diagonal = eye(s.shape[-1], dtype=s.dtype, device=s.device)
        apart = where(diagonal == 1, 1.0, columns * columns - rows * rows)
        turned, turned_v = u.mT @ gu, vt @ gvt.mT
        inner = columns * ((turned - turned.mT) / apart) + rows * ((turned_v - turned_v.mT) / apart)
        ga = u @ (inner + diagonal * gs.unsqueeze(-1)) @ vt
        if u.shape[-2] > s.shape[-1]:
            gu = gu / columns
            ga = ga + (gu - u @ (u.mT @ gu)) @ vt
        if vt.shape[-1] > s.shape[-1]:
            gvt = gvt / rows
            ga = ga + u @ (gvt - (gvt @ vt.mT) @ vt)
        return ga
