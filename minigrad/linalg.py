"""torch.linalg's names: norms, and products of matrices."""

from minigrad.ops.matmul import matmul
from minigrad.ops.norm import linalg_norm as norm
from minigrad.ops.norm import matrix_norm, vector_norm

__all__ = ["matmul", "matrix_norm", "norm", "vector_norm"]
