"""Size: the lengths of a tensor's axes."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from operator import index
from typing import Any


class Size(tuple[int, ...]):
    """A tuple of lengths that knows how many elements they make. Slices, sums and multiples of it are Sizes too.

    print(x.shape) and error messages show it as a tuple, its repr as torch does.
    """

    __slots__ = ()

    def __new__(cls, sizes: Iterable[Any] = ()) -> Size:
        return tuple.__new__(cls, [index(n) for n in sizes])

    def numel(self) -> int:
        """The number of elements: the product of the lengths, 1 of none."""
        return prod(self)

    def __getitem__(self, key: Any) -> Any:
        part = tuple.__getitem__(self, key)
        return part if type(part) is int else _size(Size, part)

    def __add__(self, other: Any) -> Any:
        return _size(Size, tuple.__add__(self, other)) if isinstance(other, tuple) else NotImplemented

    def __radd__(self, other: Any) -> Any:
        return _size(Size, tuple.__add__(other, self)) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, times: Any) -> Any:
        return _size(Size, tuple.__mul__(self, times))

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"minigrad.Size({list(self)})"

    def __str__(self) -> str:
        return tuple.__repr__(self)


_size: Any = tuple.__new__
"""_size(Size, lengths): without a look at what they are."""
