"""minigrad.linalg: norms and products of matrices, under torch.linalg's names."""

from minigrad.errors import explain_missing as _explain_missing
from minigrad.ops import matmul, norm  # noqa: F401 - what they offer
from minigrad.ops.public import functions

_functions = functions("linalg")
globals().update(_functions)

__all__ = sorted(_functions)

_explain_missing(__name__)
