# Written by tools/stubs.py out of minigrad/ops: change the ops, and run it again.

import builtins
from typing import Any, overload

from minigrad.ops.norm import Dim
from minigrad.tensor import Tensor

__all__ = ['matmul', 'matrix_norm', 'norm', 'vector_norm']

def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product. Vectors count as a row on the left and a column on the right; leading axes broadcast."""
def matrix_norm(input: Tensor, ord: Any = 'fro', dim: Any = ..., keepdim: builtins.bool = False, *, dtype: Any = None, axis: Any = ..., keepdims: builtins.bool = ...) -> Tensor:
    """'fro': the root of the sum of squares; 1, -1, inf, -inf: the largest or smallest sum of |input| along columns or rows; 2, -2: the largest or smallest singular value; 'nuc': their sum."""
def norm(input: Tensor, ord: Any = None, dim: Any = None, keepdim: builtins.bool = False, *, dtype: Any = None, axis: Any = ..., keepdims: builtins.bool = ...) -> Tensor:
    """vector_norm of all elements (ord and dim None), of a vector or along one axis; matrix_norm of two axes."""
def vector_norm(input: Any = None, ord: builtins.float = 2, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None, x: Any = None, axis: Dim = ..., keepdims: builtins.bool = ...) -> Tensor:
    """(sum |input|^ord)^(1/ord) over `dim` (None: over all elements); ord = 0, inf and -inf as in the class Norm."""
