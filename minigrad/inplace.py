"""Changes in place, and views: how a change that one tensor makes reaches the gradients of all that share its memory.

A view knows its base, the ops that lead to it from there, and how often the memory had been changed when its node was made.

    x = a * 1
    v = x[0]
    v.mul_(2)    # x's node is a WriteThrough now: x as it was, with v * 2 written into it
    v.grad_fn    # the view of the x of now: taken again, when it is asked for, by the ops that led to v

What an op saved of the old values is copied before they are overwritten. `install` makes the functions that take `self` first
methods of Tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import ref

from minigrad import backends
from minigrad.dtypes import category
from minigrad.grad_mode import enable_grad, no_grad, state
from minigrad.op import Op
from minigrad.ops.choice import where
from minigrad.order import now
from minigrad.tensor import Tensor, describe

Views = tuple[Op, ...]
"""The ops that lead from a base to a view of it."""


def replay(views: Views, x: Tensor) -> Tensor:
    """The view of x that these ops lead to."""
    for op in views:
        x = op.again(x)
    return x


class WriteThrough(Op):
    """y = base with v written into the part that a chain of views shows, in base's own memory.

    gv = that part of gy;  gbase = gy with zeros there. No views: v replaces all of base.
    """

    def __init__(self, views: Views, part: Any) -> None:
        self.views, self.part = views, part

    def forward(self, base: Any, v: Any) -> Any:
        self.part[...] = v
        self.part = None
        return base

    def backward(self, gy: Tensor) -> tuple[Tensor | None, ...]:
        for_base, for_v = self.asked_for
        return (
            where(self._written(gy), 0.0, gy) if for_base else None,
            replay(self.views, gy) if for_v else None,
        )

    def _written(self, gy: Tensor) -> Tensor:
        """Where v lies in the base: a view's adjoint puts what it is given in the view's place, among zeros."""
        with no_grad():
            form = replay(self.views, gy).array
            place = Tensor._wrap(backends.of(form).xp.ones(form.shape, form.dtype))
            for op in reversed(self.views):
                place = op.backward(place)  # type: ignore[assignment]
            return place != 0


# -- views --------------------------------------------------------------------------------------------------------------


def _share(self: Tensor, base: Tensor, op: Op | None = None) -> None:
    """Notes that this tensor is a view of `base`, made by `op`."""
    if base._base is None:
        self._base, self._views = base, None if op is None else (op,)
    else:
        self._base = base._base
        self._views = None if op is None or base._views is None else (*base._views, op)
    self._memory = memory = base.memory
    memory.holders += 1
    self._viewed_at = memory.changes
    root = self._base
    if state.grad and not root._requires_grad:
        views = root._dependents
        if views is None:
            views = root._dependents = []
        elif len(views) >= 8 and len(views) & (len(views) - 1) == 0:  # now and then, forget those that are gone
            views[:] = [view for view in views if view() is not None]
        views.append(ref(self))


def _root(self: Tensor) -> Tensor:
    """The base of a view, which moves up where it is turned in place; of a tensor that is no view itself."""
    root = self
    while root._base is not None:
        root = root._base
    if self._base is not None:
        self._base = root
    return root


def _refresh(self: Tensor) -> None:
    """Takes a view again, if what it shares memory with was changed in place since: its gradient goes through that."""
    if self._base is None or self._viewed_at == self.memory.changes or not self._requires_grad:
        return
    if self._views is None:
        raise RuntimeError(
            f"{describe(self)} is a view of a tensor that was changed in place after the view was taken, so its "
            "gradient would be that of the old values. Take the view again after the change."
        )
    with enable_grad():
        self._node = replay(self._views, self._root())._node
    self._index, self._viewed_at = 0, self.memory.changes


def _alias(self: Tensor) -> Tensor:
    """This tensor as it is now: what is done in place to self afterwards leaves the alias's place in the graph."""
    tensor = Tensor._wrap(self.array)
    tensor._requires_grad, tensor._node, tensor._index = self._requires_grad, self._node, self._index
    tensor._memory = self.memory
    return tensor


# -- changes ------------------------------------------------------------------------------------------------------------


def _check_in_place(self: Tensor) -> None:
    """Raises where an in-place change would go to several elements at once, or could not be differentiated."""
    array, base = self.array, None if self._base is None else self._root()
    if self.memory.copied:
        raise RuntimeError(
            f"an in-place change of {describe(self)}: view() has copied its elements into another order, so the change "
            "would not be seen on both sides. Use reshape() in place of view(), or change it before it is viewed."
        )
    repeated = 0 in array.strides and array.size  # (of no elements, none has two places)
    if repeated and any([s == 0 and n > 1 for s, n in zip(array.strides, array.shape, strict=True)]):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            f"Please clone() the tensor before performing the operation. ({describe(self)})"
        )
    if not state.grad:
        return
    if (self._requires_grad and self.grad_fn is None) or (base is not None and base._requires_grad and base.is_leaf):
        raise RuntimeError(
            f"a {'' if base is None else 'view of a '}leaf Variable that requires grad is being used in an in-place "
            f"operation: {describe(self)}. Change it within minigrad.no_grad(), or use the op that returns a new tensor."
        )
    if base is not None and base._requires_grad and not self._requires_grad:
        raise RuntimeError(
            f"A view was created in no_grad mode and is being modified inplace with grad mode enabled: {describe(self)}"
        )


def _in_place(self: Tensor, op: Callable[..., Tensor], *others: Any) -> Tensor:
    """self = op(self, *others), written into self's own memory; recorded as any op is.

    The change of a view is recorded as one of its base, and the view is then taken from that base again.
    """
    self._check_in_place()
    started = now()
    result = _fitted(op(self._alias(), *others), self)
    if not state.grad or not (self._requires_grad or result._requires_grad):
        self.array[...] = result.array
        self._bump_version()
        return self
    _keep_old_values(self, _made_since(started, result._node))
    changed, base = _written(self, result), self._root()
    base._bump_version()
    base._node, base._index, base._requires_grad = changed._node, changed._index, True
    for view in base._dependents or ():
        alive = view()
        if alive is not None:
            alive._requires_grad = True
    base._dependents = None
    self._requires_grad = True
    return self


def _turn(self: Tensor, op: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """self = op(self), which is a view of it: the elements stay where they are, under other axes.

    What the tensor was before becomes the base of it, and of the views that were taken of it.
    """
    if state.grad and self._requires_grad:
        self._check_in_place()
    before = self._alias()
    if self._base is None:
        before._dependents = self._dependents
    else:
        before._base, before._views, before._viewed_at = self._root(), self._views, self._viewed_at
    result = op(before, *args, **kwargs)
    self.array = result.array
    self._bump_version()
    alone = self._base is None and self._dependents is None and self._node is None
    if result is before or alone:
        return self
    root = result._base
    assert root is not None
    self._node, self._index, self._views, self._base = result._node, result._index, result._views, root
    self._viewed_at, self._dependents = self.memory.changes, None
    if not root._requires_grad:
        root._dependents = [*(root._dependents or ()), ref(self)]
    return self


def _fitted(result: Tensor, self: Tensor) -> Tensor:
    """The result in self's type. RuntimeError where it has another shape, or would lose its kind of number."""
    if result.shape != self.shape:
        raise RuntimeError(
            f"output with shape {list(self.shape)} doesn't match the broadcast shape {list(result.shape)}"
        )
    if category(result.dtype) > category(self.dtype):
        raise RuntimeError(f"result type {result.dtype} can't be cast to the desired output type {self.dtype}")
    return result if result.dtype == self.dtype else result.to(self.dtype)


def _written(self: Tensor, result: Tensor) -> Tensor:
    """Writes the result into self's memory: what the base, or self where it has none, is from now on."""
    base, views = self._root(), () if self._base is None else self._views
    if views is None:
        raise NotImplementedError(
            f"an in-place change of {describe(self)}, a view that a hook or an autograd.Function returned, is not built. "
            "Use the op that returns a new tensor."
        )
    if base is not self or result._node is None:
        return WriteThrough(views, self.array)(base._alias(), result)
    self.array[...] = result.array
    return result


def _keep_old_values(self: Tensor, nodes: list[Op]) -> None:
    """Copies what these nodes saved, whole or in part, of the values that are about to be overwritten."""
    for node in nodes:
        for i, saved in enumerate(node._saved):
            if type(saved) is tuple and saved[0]._memory is self.memory:
                kept = saved[0]._alias()
                kept.array, kept._memory = kept.array.copy(), None
                node._saved[i] = (kept, 0)


def _made_since(number: int, node: Op | None) -> list[Op]:
    """The nodes made after that number that lead to `node`, itself included."""
    found, stack = {}, [node]
    while stack:
        node = stack.pop()
        if node is not None and node.order > number and node.order not in found:
            found[node.order] = node
            stack.extend([edge[0] for edge in node.edges if type(edge) is tuple])
    return list(found.values())


def install() -> None:
    """Makes these functions methods of Tensor."""
    for method in (_share, _root, _refresh, _alias, _check_in_place, _in_place, _turn):
        setattr(Tensor, method.__name__, method)
