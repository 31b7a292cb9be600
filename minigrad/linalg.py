"""torch.linalg's names: norms, and products of matrices."""

from minigrad.aliases import numpys_names as _numpys_names
from minigrad.ops.matmul import matmul
from minigrad.ops.norm import linalg_norm as norm
from minigrad.ops.norm import matrix_norm, vector_norm

__all__ = ["matmul", "matrix_norm", "norm", "vector_norm"]

for _name in __all__:
    globals()[_name] = _numpys_names(globals()[_name], __name__)
