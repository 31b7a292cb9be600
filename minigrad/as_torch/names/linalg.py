"""torch.linalg beyond norms and products: values by the array library; inv, det and solve have gradients."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

import minigrad as mg
from minigrad import backends
from minigrad.autograd import Function

__all__ = [
    "LinAlgError", "cholesky", "det", "eigh", "eigvalsh", "inv", "matrix_power", "matrix_rank", "multi_dot", "pinv", "qr",
    "slogdet", "solve", "svd", "svdvals",
]  # fmt: skip
LinAlgError = np.linalg.LinAlgError


def _values(name: str, A: Any, *given: Any, **options: Any) -> Any:
    """The array library's function of this name, of a matrix (..., M, N) that needs no gradient."""
    if A.requires_grad and mg.is_grad_enabled():
        raise NotImplementedError(f"linalg.{name} has no gradient in minigrad: detach() the matrix, or use no_grad()")
    found = getattr(backends.of(A.array).xp.linalg, name)(A.array, *given, **options)
    return tuple(map(mg.as_tensor, found)) if isinstance(found, tuple) else mg.as_tensor(found)


def svd(A: Any, full_matrices: bool = True) -> Any:
    """(U, S, Vh) with A = U diag(S) Vh; the signs of the vectors are the array library's."""
    return namedtuple("svd", "U S Vh")(*_values("svd", A, full_matrices=full_matrices))


def svdvals(A: Any) -> Any:
    """Singular values (..., min(M, N)), the largest first."""
    return _values("svd", A, compute_uv=False)


def eigh(A: Any, UPLO: str = "L") -> Any:
    """(eigenvalues (..., N), eigenvectors (..., N, N)) of symmetric matrices."""
    return namedtuple("eigh", "eigenvalues eigenvectors")(*_values("eigh", A, UPLO))


def eigvalsh(A: Any, UPLO: str = "L") -> Any:
    """Eigenvalues of symmetric matrices, the smallest first."""
    return _values("eigvalsh", A, UPLO)


def qr(A: Any, mode: str = "reduced") -> Any:
    """(Q, R) with A = Q R."""
    return namedtuple("qr", "Q R")(*_values("qr", A, mode))


def slogdet(A: Any) -> Any:
    """(sign, log |det A|)."""
    return namedtuple("slogdet", "sign logabsdet")(*_values("slogdet", A))


def cholesky(A: Any) -> Any:
    """The lower triangle L with A = L L^T."""
    return _values("cholesky", A)


def pinv(A: Any, rcond: float = 1e-15) -> Any:
    """The pseudo-inverse (..., N, M)."""
    return _values("pinv", A, rcond)


def matrix_rank(A: Any, tol: Any = None) -> Any:
    """How many singular values are above tol."""
    return _values("matrix_rank", A, tol)


class _Inverse(Function):
    """B = A^-1; the gradient of A is -B^T g B^T."""

    @staticmethod
    def forward(ctx: Any, A: Any) -> Any:
        B = _values("inv", A.detach())
        ctx.save_for_backward(B)
        return B

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        turned = ctx.saved_tensors[0].mT
        return -(turned @ gradient @ turned)


class _Determinant(Function):
    """d = det A; the gradient of A is g d A^-T."""

    @staticmethod
    def forward(ctx: Any, A: Any) -> Any:
        ctx.save_for_backward(A)
        return _values("det", A.detach())

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        (A,) = ctx.saved_tensors
        return (gradient * det(A))[..., None, None] * inv(A).mT


def inv(A: Any) -> Any:
    """A^-1 of matrices (..., N, N)."""
    return _Inverse.apply(A)


def det(A: Any) -> Any:
    """The determinants (...)."""
    return _Determinant.apply(A)


def solve(A: Any, B: Any) -> Any:
    """X with A X = B, for B (..., N, K) or (N)."""
    return inv(A) @ B


def matrix_power(A: Any, n: int) -> Any:
    """A A ... A; of its inverse if n < 0; the identity if n = 0."""
    if n < 0:
        return matrix_power(inv(A), -n)
    found = mg.eye(A.shape[-1], dtype=A.dtype, device=A.device).expand(A.shape)
    for _ in range(n):
        found = found @ A
    return found


def multi_dot(tensors: Any) -> Any:
    """The product of the matrices, from left to right."""
    found = tensors[0]
    for matrix in tensors[1:]:
        found = found @ matrix
    return found
