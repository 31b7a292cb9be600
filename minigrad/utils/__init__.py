"""minigrad.utils: activation checkpoints under torch's names, and the files that `save` and `load` share with torch."""

from minigrad.errors import explain_missing as _explain_missing
from minigrad.utils import checkpoint

__all__ = ["checkpoint"]

_explain_missing(__name__)
