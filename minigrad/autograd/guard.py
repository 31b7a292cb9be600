"""The guard: an array that was saved for a gradient, and changed from outside, is caught.

Every change that minigrad itself makes in place is counted, always: ops like x.add_, x[0] = 1, optimizer steps, nn.init. A
saved tensor whose count has moved is an error of the backward pass. What cannot be counted are changes past minigrad:
through t.array in NumPy or CuPy, through .data, through the array that a tensor was made from. Under `guard()` every saved
array gets a fingerprint when it is saved, which is compared when the backward pass reads it.

    with minigrad.autograd.guard():
        loss = model(x).sum()
    x.array *= 2
    loss.backward()  # RuntimeError: names the op that saved x, its line, and this one
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from minigrad.arrays import is_array
from minigrad.autograd.observer import OneOfAKind, recorded, user_line
from minigrad.grad_mode import AtOnce, Bare, state
from minigrad.op import Op, called_at
from minigrad.tensor import Tensor

Fingerprint = tuple[Any, ...]


class guard(Bare, OneOfAKind):
    """Within it, arrays that are saved for a gradient are fingerprinted; mode=False: they are not.

    The check is made by the backward pass, wherever that runs. It costs one pass over each saved array when it is saved and
    one when it is read: on the CPU a CRC-32, on a GPU a sum of mixed words and the wait for it. A training step of
    SimpleNet takes 1.15 times as long; a small op, forward and backward, twice. For debugging.
    """

    looks_inside = True

    def __init__(self, mode: bool = True) -> None:
        self.mode = bool(mode)

    def after_forward(self, node: Op, inputs: tuple[Any, ...], outputs: list[Tensor]) -> None:
        if recorded(node, outputs):
            node.made_at = user_line()
            node.seals = Seals(node)


class set_guard(AtOnce, guard):
    """The guard switched on or off for this thread, until it is switched again; as a context, until that ends."""


def is_guard_enabled() -> bool:
    """Whether this thread's ops are guarded."""
    return any(isinstance(observer, guard) for observer in state.observers)


class Seals:
    """The fingerprints of everything that a node holds for its gradient."""

    def __init__(self, node: Op) -> None:
        for saved in node._saved:
            if type(saved) is tuple:
                saved[0].memory.holders += 1  # the fingerprint is one of this array, in this order
        # Saved inputs and the result are looked at when they are read: not every backward pass reads them all.
        self.saved = {
            id(saved[0]): (i, fingerprint(saved[0].array))
            for i, saved in enumerate(node._saved)
            if type(saved) is tuple
        }
        self.output = None if node._output is None else fingerprint(node._output[0])
        self.others = {what: fingerprint(array) for what, array in _others(node)}

    def check_saved(self, node: Op, x: Tensor) -> None:
        """Raises if a saved tensor is not what it was."""
        place, before = self.saved.get(id(x), (0, None))
        if before is not None and fingerprint(x.array) != before:
            raise _changed_outside(node, f"its saved tensor {place}", x.array)

    def check_output(self, node: Op, array: Any) -> None:
        """Raises if the saved result is not what it was."""
        if self.output is not None and fingerprint(array) != self.output:
            raise _changed_outside(node, "its result", array)

    def check(self, node: Op) -> None:
        """Raises if any other array that the node holds (indices, targets, masks) is not what it was."""
        for what, array in _others(node):
            if what in self.others and fingerprint(array) != self.others[what]:
                raise _changed_outside(node, f"its {what}", array)


def _others(node: Op) -> list[tuple[str, Any]]:
    """The arrays among a node's attributes, and in tuples there; in its ctx, for an op of the user's."""
    attributes = {**vars(node), **vars(getattr(node, "ctx", node))}
    found = []
    for name, value in attributes.items():
        for x in value if isinstance(value, (tuple, list)) else (value,):
            x = x.array if isinstance(x, Tensor) else x
            if is_array(x):
                found.append((name, x))
    return found


def fingerprint(array: Any) -> Fingerprint:
    """(shape, type, a number that all elements and their places go into)."""
    form = array.shape, str(array.dtype)
    if not array.size:
        return form
    if isinstance(array, np.ndarray):
        # In the order of memory, so that no layout has to be copied unless it has gaps.
        order = sorted(range(array.ndim), key=lambda d: -abs(array.strides[d]))
        return *form, tuple(order), zlib.crc32(np.ascontiguousarray(array.transpose(order)).data)
    return *form, _mixed_sum(array)


def _mixed_sum(array: Any) -> int:
    """The sum, modulo 2^64, of each byte group mixed with its place: on the device, a block at a time, one number read."""
    from minigrad import backends

    xp = backends.of(array).xp
    words = xp.ascontiguousarray(array).reshape(-1).view(f"u{array.dtype.itemsize}")
    total = xp.zeros((), np.uint64)
    with np.errstate(over="ignore"):
        for start in range(0, words.size, 1 << 24):
            block = words[start : start + (1 << 24)].astype(np.uint64)
            places = xp.arange(start, start + block.size, dtype=np.uint64)
            mixed = block * np.uint64(0x9E3779B97F4A7C15) + places
            mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
            total = total + (mixed ^ (mixed >> np.uint64(32))).sum()
    return int(total)


def _changed_outside(node: Op, what: str, array: Any) -> RuntimeError:
    return RuntimeError(
        f"a tensor needed for gradient computation has been modified from outside: {what} of {node.name()}, {array.dtype} of "
        f"shape {tuple(array.shape)}{called_at(node)}, is no longer what it was when it was saved; found by the backward pass "
        f"at {user_line()}. No minigrad op changed it: look for writes through .array, .data, NumPy or CuPy. "
        "Change a clone() instead, or change it before it is used."
    )
