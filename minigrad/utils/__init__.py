"""minigrad.utils: activation checkpoints under torch's names, and the files that `save` and `load` share with torch."""

from minigrad.utils import checkpoint

__all__ = ["checkpoint"]
