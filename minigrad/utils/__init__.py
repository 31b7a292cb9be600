"""What torch has under torch.utils."""

from minigrad.utils import checkpoint

__all__ = ["checkpoint"]
