"""What an op is: its forward on arrays, its backward next to it, and what lies between the two.

A **primitive** is an Op whose `backward` is written in ops, so that it can be differentiated again. A **fused op** is
a FusedOp: a `definition` in primitives, and a fast forward and backward on raw arrays that give the same numbers.

    class Mul(Op):
        "z = x y;  gx = gz y,  gy = gz x."
        saves = {0: 1, 1: 0}            # input 0 is kept if input 1 needs a gradient, and the other way round

        def forward(self, x, y):        # arrays
            return x * y

        def backward(self, gz):         # Tensors
            x, y = self.inputs
            return gz * y, gz * x

    z = Mul()(x, y)

An instance of the class is the node of the graph. Parameters of an op that are not Tensors go to its constructor:
`Sum(axes, keepdim)(x)`. Gradients are named as in the maths: gx for dL/dx; gz comes in.

There are no reference cycles: a node knows where its inputs came from (`edges`), never the Tensors that it made. What it
saved is freed as soon as its backward has run.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from minigrad import backends, dtypes
from minigrad.grad_mode import state
from minigrad.hooks import AFTER, BEFORE, RemovableHandle
from minigrad.order import numbers
from minigrad.tensor import Memory, Tensor, describe

HALF = dtypes.float16


def in_float32(call: Callable[..., Any]) -> Callable[..., Any]:
    """`call`, an op or a function of ops, with float16 tensors computed in float32 and the result rounded once.

    So do torch's kernels: a long sum or a square leaves float16's range though the result lies within it. Where other
    floats than float16 decide the result's type, promotion widens as it is.
    """

    @functools.wraps(call)
    def run(*args: Any, **kwargs: Any) -> Any:
        given = (*args, *kwargs.values()) if kwargs else args
        for x in given:
            if isinstance(x, Tensor) and x.array.dtype is HALF:
                return _through_float32(call, args, kwargs)
        return call(*args, **kwargs)

    return run


def _op_in_float32(call: Callable[..., Any]) -> Callable[..., Any]:
    """`in_float32` of an op's __call__. Its tensors are of one type by then, so the first one tells."""

    def run(self: Any, x: Any, *more: Any) -> Any:
        if isinstance(x, Tensor) and x.array.dtype is HALF:
            return _through_float32(call, (self, x, *more), {})
        return call(self, x, *more)

    return run


def _through_float32(call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    floats = [x for x in (*args, *kwargs.values()) if isinstance(x, Tensor) and x.array.dtype.kind == "f"]
    if dtypes.result_type(*floats) != HALF:
        return call(*args, **kwargs)
    result = call(*map(_widened, args), **{k: _widened(x) for k, x in kwargs.items()})
    if not isinstance(result, tuple):
        return _narrowed(result)
    narrow = [_narrowed(x) for x in result]
    return type(result)(*narrow) if hasattr(result, "_fields") else tuple(narrow)


def _widened(x: Any) -> Any:
    return x.to(dtypes.float32) if isinstance(x, Tensor) and x.array.dtype is HALF else x


def _narrowed(x: Any) -> Any:
    return x.to(HALF) if isinstance(x, Tensor) and x.array.dtype == dtypes.float32 else x


class Op:
    """One op, and once called one node of the graph."""

    __slots__ = (
        "_output", "_output_forms", "_saved", "asked_for", "edges", "freed", "hooks", "made_at", "needs", "order", "outputs"
    )  # fmt: skip
    # Written into the instance by whoever watches the op (minigrad.autograd); seldom, so that they cost nothing otherwise.
    packed: Any = None  # what restores the saved arrays before the backward pass comes by (saved_tensors_hooks)
    seals: Any = None  # fingerprints of the saved arrays (guard)

    saves: ClassVar[dict[int, int | None]] = {}
    """Inputs that the gradient needs: {input: the input whose gradient needs it, or None for any}."""
    saves_output: bool = False
    """Whether the gradient needs the (first) output. `forward` may decide it, and `is_view`."""
    is_view: bool = False
    """Whether the output shares the first input's memory."""
    keeps: ClassVar[tuple[str, ...]] = ()
    """Attributes set in `forward` that hold arrays for the gradient: freed with the rest."""
    fresh: ClassVar[bool] = False
    """Whether each gradient that `backward` returns is an array of its own, which nothing else holds: not gz itself, nor a
    view of it or of what was saved. The engine adds other gradients into such an array, and a leaf keeps it as its .grad."""
    elementwise: ClassVar[bool] = False
    """Whether `forward` works element by element (its arrays may come with their axes in another order): the result lies in
    memory as the inputs do. NumPy sees to that by itself, CuPy does not (`backends.keeping_layout`)."""
    widens: ClassVar[bool] = False
    """Whether float16 is computed in float32 (`in_float32`): every op that adds up, or takes more steps than one."""
    differentiable_outputs: ClassVar[int | None] = None
    """How many of several outputs have gradients; None for all."""

    needs: tuple[bool, ...]
    """Which inputs need a gradient."""
    asked_for: tuple[bool, ...]
    """Which of those the backward pass that is under way asks for."""
    hooks: dict[int, dict[int, Callable[..., Any]]] | None
    edges: tuple[tuple[Op, int] | Tensor | None, ...]
    made_at: str
    _saved: list[Any]
    _output: tuple[Any, Memory, int] | None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.__dict__.get("widens"):
            cls.__call__ = _op_in_float32(cls.__call__)  # type: ignore[method-assign]

    def forward(self, *inputs: Any) -> Any:
        """The op on arrays (None and Python numbers pass through). Returns an array, or a tuple of them."""
        raise NotImplementedError

    def backward(self, *gradients: Tensor) -> Tensor | None | tuple[Tensor | None, ...]:
        """A gradient for each input, in ops, from one for each output. None where it is not `asked_for`."""
        raise NotImplementedError

    # -- calling ------------------------------------------------------------------------------------------------------

    def __call__(self, *inputs: Any) -> Any:
        """Runs the op on Tensors (None and Python numbers pass through), and records it if a gradient may be asked for."""
        recording, arrays, asked = state.grad, [], []
        for x in inputs:
            if isinstance(x, Tensor):
                arrays.append(x.array)
                asked.append(recording and x._requires_grad)
            else:
                arrays.append(x)
                asked.append(False)
        self.needs = self.asked_for = needs = tuple(asked)
        observers = state.observers
        for observer in observers:
            observer.before_forward(self, inputs)
        try:
            if self.elementwise and type(arrays[0]) is not np.ndarray:
                result = backends.keeping_layout(self.forward, *arrays)
            else:
                result = self.forward(*arrays)
        except (ValueError, TypeError, MemoryError) as error:
            raise _explain(self, error, inputs) from error
        several = type(result) is tuple
        outputs = [Tensor._wrap(array) for array in result] if several else [Tensor._wrap(result)]
        if self.is_view:
            outputs[0]._share(inputs[0], self)
        if True in needs:
            self._record(inputs, outputs)
        for observer in observers[::-1]:  # as contexts nest: the one entered last comes first
            observer.after_forward(self, inputs, outputs)
        return tuple(outputs) if several else outputs[0]

    def _record(self, inputs: tuple[Any, ...], outputs: list[Tensor]) -> None:
        """Makes this instance the node behind `outputs`: notes where the inputs came from and what must be kept."""
        needs, saves = self.needs, self.saves
        self.edges = tuple([x._edge() if need else None for x, need in zip(inputs, needs, strict=True)])
        self._saved = [
            x if not isinstance(x, Tensor)
            else (x, x.version) if i in saves and ((j := saves[i]) is None or needs[j])
            else None
            for i, x in enumerate(inputs)
        ]  # fmt: skip
        self.order = next(numbers)
        self.freed = False
        self.hooks = None
        self.outputs = len(outputs) if self.differentiable_outputs is None else self.differentiable_outputs
        for i in range(self.outputs):
            output = outputs[i]
            output._requires_grad, output._node, output._index = True, self, i
        if self.outputs > 1:
            self._output_forms = [(x.array.shape, x.dtype, x.device) for x in outputs]
        if self.saves_output:
            memory = outputs[0].memory
            self._output = (outputs[0].array, memory, memory.changes)
        else:
            self._output = None

    def again(self, *inputs: Any) -> Any:
        """The same op with the same parameters, run anew: another node."""
        node = copy.copy(self)
        node.packed = node.seals = None
        return node(*inputs)

    # -- what was saved -----------------------------------------------------------------------------------------------

    @property
    def inputs(self) -> list[Any]:
        """The saved inputs in their places: Tensors of the graph, numbers; None for what was not saved."""
        return [self._unchanged(*s) if type(s) is tuple else s for s in self._saved]

    @property
    def output(self) -> Tensor:
        """The saved output, as a Tensor of the graph."""
        assert self._output is not None
        array, memory, changes = self._output
        if memory.changes != changes:
            raise changed(self, "its result", array, changes, memory.changes)
        if self.seals is not None:
            self.seals.check_output(self, array)
        output = Tensor._wrap(array)
        output._memory = memory
        if state.grad:
            output._requires_grad, output._node, output._index = True, self, 0
        return output

    def _unchanged(self, tensor: Tensor, changes: int) -> Tensor:
        if tensor.version != changes:
            raise changed(self, "an input", tensor.array, changes, tensor.version)
        if self.seals is not None:
            self.seals.check_saved(self, tensor)
        return tensor

    def refuse_if_freed(self) -> None:
        """RuntimeError where a backward pass has been by, and what it needs is gone."""
        if self.freed:
            raise RuntimeError(
                f"Trying to go backward through {self.name()} a second time, but what it had saved was freed by the first "
                "backward pass. Pass retain_graph=True to the first call of backward() or grad() to go through twice."
            )

    def free(self) -> None:
        """Drops what was saved. Nodes that saved nothing can be gone through again, as in torch."""
        if self.keeps or self._output is not None or any([type(s) is tuple for s in self._saved]):
            self.freed = True
            self._saved, self._output = [], None
            if self.packed is not None:
                self.packed = None
            for name in self.keeps:
                setattr(self, name, None)

    def zero_gradient(self, i: int) -> Tensor:
        """Stands in for the gradient of an output that nothing was computed from."""
        return zeros(*self._output_forms[i])

    # -- as a node that people look at --------------------------------------------------------------------------------

    def name(self) -> str:
        """The op's name in messages."""
        return type(self).__name__

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """Where the gradients go, one pair an input: (node, which of its outputs), an AccumulateGrad for a leaf, None."""
        return tuple([
            edge if isinstance(edge, tuple) else (None if edge is None else AccumulateGrad(edge), 0) for edge in self.edges
        ])  # fmt: skip

    def register_prehook(self, hook: Callable[[tuple[Tensor | None, ...]], Any]) -> RemovableHandle:
        """Calls hook(gradients of the outputs) before this node's backward; what it returns, if anything, replaces them."""
        return self._register(BEFORE, hook)

    def register_hook(self, hook: Callable[[tuple[Any, ...], tuple[Any, ...]], Any]) -> RemovableHandle:
        """Calls hook(gradients of the inputs, gradients of the outputs) after this node's backward.

        What it returns, if anything, replaces the gradients of the inputs.
        """
        return self._register(AFTER, hook)

    def _register(self, key: int, hook: Any) -> RemovableHandle:
        if self.hooks is None:
            self.hooks = {}
        return RemovableHandle(self.hooks.setdefault(key, {}), hook)

    def __repr__(self) -> str:
        return f"<{self.name()}>"


class AccumulateGrad:
    """Where a gradient ends: it is added to the .grad of `variable`, a leaf."""

    def __init__(self, variable: Tensor) -> None:
        self.variable = variable
        self.next_functions: tuple[tuple[Any, int], ...] = ()

    def name(self) -> str:
        """What messages and graphs call it, as torch does."""
        return "AccumulateGrad"

    def __repr__(self) -> str:
        return "<AccumulateGrad>"


def zeros(shape: tuple[int, ...], dtype: Any, device: Any) -> Tensor:
    """Zeros that take no memory: one number seen through a broadcast."""
    xp = backends.get(device.backend).xp
    return Tensor._wrap(xp.broadcast_to(xp.zeros((), dtype), shape))


# -- errors -------------------------------------------------------------------------------------------------------------


def called_at(node: Op) -> str:
    """The words ", called at file:line" where that was noted (under a guard, a profile or detect_anomaly), else none."""
    made_at = getattr(node, "made_at", None)
    return f", called at {made_at}" if made_at else ""


def changed(node: Op, what: str, array: Any, saved: int, now: int) -> RuntimeError:
    return RuntimeError(
        f"one of the variables needed for gradient computation has been modified by an inplace operation: {what} of "
        f"{node.name()}, {array.dtype} of shape {tuple(array.shape)}, is at version {now}, but version {saved} was saved"
        f"{called_at(node) or ' (minigrad.autograd.guard() around the forward pass names the line)'}. "
        "Change a clone() of it instead, or change it before it is used."
    )


def _explain(node: Op, error: Exception, inputs: tuple[Any, ...]) -> Exception:
    """An array library's error, with what the user needs to see: the op and every input's shape, dtype and device."""
    tensors = [x for x in inputs if isinstance(x, Tensor)]
    listed = ", ".join(describe(x) for x in inputs)
    if len({x.device for x in tensors}) > 1:
        return RuntimeError(
            f"Expected all tensors to be on the same device, but {node.name()} was given {listed}. "
            "Move them with .to(device) first."
        )
    if isinstance(error, MemoryError):
        return error
    kind = RuntimeError if isinstance(error, ValueError) else type(error)
    return kind(f"{node.name()}: {error} (given {listed})")
