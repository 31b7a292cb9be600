"""Number types, under torch's names. They are NumPy's own dtypes, and promotion follows torch's rules.

torch sorts types into bool < integer < float. Tensors with axes decide; a 0-d tensor counts only where it is of a
higher category than those, a Python number only where it is of a higher category than both, and then as the default
type of its kind (bool, int64, float32). (https://docs.pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc)
"""

from __future__ import annotations

import ctypes
import gc
from typing import Any

import numpy as np

float16 = half = np.dtype(np.float16)
float32 = np.dtype(np.float32)
float64 = double = np.dtype(np.float64)
uint8 = np.dtype(np.uint8)
int8 = np.dtype(np.int8)
int16 = short = np.dtype(np.int16)
int32 = np.dtype(np.int32)
int64 = long = np.dtype(np.int64)
bool_ = np.dtype(np.bool_)


def _answer_torchs_questions() -> None:
    """Gives NumPy's types torch's attributes: x.dtype.is_floating_point, is_complex, is_signed.

    np.dtype takes neither subclasses nor attributes from Python, so they go into the dict of the class itself, which is what
    the garbage collector finds behind its read-only `__dict__`.
    """
    questions = {
        "is_floating_point": lambda self: self.kind == "f",
        "is_complex": lambda self: self.kind == "c",
        "is_signed": lambda self: self.kind in "ifc",
    }
    (attributes,) = gc.get_referents(np.dtype.__dict__)
    for name, answer in questions.items():
        attributes.setdefault(name, property(answer))
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(np.dtype))


_answer_torchs_questions()


class NotBuilt:
    """The name of a type that no tensor here has. It can be compared with, and is an error where a type is needed."""

    is_signed = True

    def __init__(self, name: str, itemsize: int) -> None:
        self.__name__, self.itemsize = name, itemsize
        self.is_floating_point, self.is_complex = name == "bfloat16", name != "bfloat16"

    def __repr__(self) -> str:
        return f"minigrad.{self.__name__}"


NOT_BUILT = {
    name: NotBuilt(name, itemsize)
    for name, itemsize in {
        "bfloat16": 2, "complex32": 4, "chalf": 4, "complex64": 8, "cfloat": 8, "complex128": 16, "cdouble": 16,
    }.items()
}  # fmt: skip
"""Types of torch's that no tensor here has: NumPy has no bfloat16, and complex numbers are not built."""


def as_dtype(dtype: Any) -> np.dtype:
    """The type that a dtype, a Python or NumPy class, or a name means. NotImplementedError for torch's that are not built."""
    name = str(getattr(dtype, "__name__", dtype)).removeprefix("torch.")
    if name in NOT_BUILT:
        raise NotImplementedError(f"tensors of {name} are not built: float16, float32 and float64 are")
    return np.dtype(dtype)


_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2}
_NUMBER = {bool: bool_, int: int64, float: float32}


def category(dtype: np.dtype) -> int:
    """0 for bool, 1 for integers, 2 for floats."""
    return _CATEGORY[dtype.kind]


def is_floating_point(dtype: np.dtype) -> bool:
    """Whether numbers of this type can have gradients."""
    return dtype.kind == "f"


def promote_types(type1: np.dtype, type2: np.dtype) -> np.dtype:
    """The smallest type that torch lets hold both; an integer with a float gives the float."""
    if type1 == type2:
        return type1
    if category(type1) == category(type2):
        return np.promote_types(type1, type2)
    return type1 if category(type1) > category(type2) else type2


def _combine(higher: np.dtype | None, lower: np.dtype | None) -> np.dtype | None:
    """`higher` has priority: `lower` counts only where its category is above."""
    if higher is None or lower is None:
        return higher if lower is None else lower
    return higher if category(higher) >= category(lower) else promote_types(higher, lower)


def result_type(*operands: Any) -> np.dtype:
    """The type of an element-wise op's result. Operands are Tensors (anything with .dtype and .ndim) or Python numbers."""
    with_axes: np.dtype | None = None
    without: np.dtype | None = None
    numbers: np.dtype | None = None
    for operand in operands:
        if isinstance(operand, (bool, int, float)):
            dtype = _NUMBER[type(operand)]
            numbers = dtype if numbers is None else promote_types(numbers, dtype)
        elif operand.ndim:
            with_axes = operand.dtype if with_axes is None else promote_types(with_axes, operand.dtype)
        else:
            without = operand.dtype if without is None else promote_types(without, operand.dtype)
    result = _combine(with_axes, _combine(without, numbers))
    assert result is not None, "result_type needs an operand"
    return result
