"""minigrad.special: ops under torch.special's names."""

from minigrad.errors import explain_missing as _explain_missing
from minigrad.ops import activation, exponential, reduction, rounding  # noqa: F401 - what they offer
from minigrad.ops.public import functions

_functions = functions("special")
globals().update(_functions)

__all__ = sorted(_functions)

_explain_missing(__name__)
