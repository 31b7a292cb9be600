"""An op of your own, written as for torch: code for `torch.autograd.Function` ports by changing the import.

    class Exp(Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, gy):
            (y,) = ctx.saved_tensors
            return gy * y

    y = Exp.apply(x)

docs/custom_function.md is a worked example. The engine's own ops are written in another style, on arrays: `minigrad.Op`.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable
from typing import Any

from minigrad.grad_mode import no_grad, state
from minigrad.op import Op
from minigrad.ops.common import sum_to
from minigrad.tensor import Tensor, describe


class Context:
    """What `forward` leaves for `backward`: the first argument of both. Any attribute may be set on it."""

    needs_input_grad: tuple[bool, ...]
    """Which arguments of forward need a gradient, in this pass."""

    def __init__(self, node: Node) -> None:
        # The node holds this context, which may not hold it in turn: the two would keep each other alive.
        self._node = weakref.ref(node)
        self._to_save: tuple[Any, ...] = ()
        self._not_differentiable: tuple[Any, ...] = ()
        self._materialize = True
        self.needs_input_grad = node.needs

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keeps inputs, outputs or other tensors. Only so is a change of them in place noticed, and memory freed early."""
        for i, x in enumerate(tensors):
            if x is not None and not isinstance(x, Tensor):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument {i} is of type {type(x).__name__}. "
                    "Set it as an attribute of ctx instead."
                )
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What was saved, in its order. RuntimeError if one was changed since, or freed by an earlier backward pass."""
        node = self._node()
        if node is None or not node.is_recorded:
            return self._to_save
        node.refuse_if_freed()
        return tuple(node.inputs)

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """These outputs have no gradient: they will not require one, and backward is given zeros for them."""
        self._not_differentiable = outputs

    def set_materialize_grads(self, value: bool) -> None:
        """False: backward is given None, not zeros, for outputs that nothing was computed from."""
        self._materialize = bool(value)

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Not built: forward may not change its inputs in place."""
        raise NotImplementedError(
            "ctx.mark_dirty is not built: return a new tensor, rather than an input changed in place"
        )


class Node(Op):
    """The node of the graph behind one call of `Function.apply`."""

    def __init__(self, op: type[Function], needs: tuple[bool, ...]) -> None:
        self.op, self.needs, self.asked_for = op, needs, needs
        self.is_recorded = False
        self.ctx = Context(self)

    def name(self) -> str:
        return self.op.__name__ + "Backward"

    def again(self, *inputs: Any) -> Any:
        return self.op.apply(*inputs)

    def keep(self, inputs: tuple[Any, ...], results: tuple[Any, ...], outputs: list[Tensor]) -> None:
        """Makes this the node behind `outputs`: those of forward's results that are Tensors."""
        ctx = self.ctx
        self._record(inputs, outputs)
        self.forms = [(x.shape, x.dtype, x.device) if isinstance(x, Tensor) else None for x in inputs]
        self.places = [i for i, x in enumerate(results) if isinstance(x, Tensor)]
        self.results = len(results)
        for place, output in zip(self.places, outputs, strict=True):
            if output.dtype.kind != "f" or any(results[place] is x for x in ctx._not_differentiable):
                output._requires_grad, output._node = False, None
        # An output holds this node, which may not hold it in turn: its array and version are kept, outside the graph.
        self.saved_outputs = {}
        self._saved = []
        for k, x in enumerate(ctx._to_save):
            for i, place in enumerate(self.places):
                if x is results[place]:
                    self.saved_outputs[k] = i
                    x = outputs[i].detach()
                    break
            self._saved.append(None if x is None else (x, x.version))
        ctx._to_save = ctx._not_differentiable = ()
        self.is_recorded = True

    @property
    def inputs(self) -> list[Any]:
        saved = super().inputs
        if state.grad:
            for k, i in self.saved_outputs.items():
                saved[k] = saved[k]._alias()
                saved[k]._requires_grad, saved[k]._node, saved[k]._index = True, self, i
        return saved

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What the op saved, as `ctx.saved_tensors` gives it."""
        return self.ctx.saved_tensors

    def zero_gradient(self, i: int) -> Tensor:
        return super().zero_gradient(i) if self.ctx._materialize else None  # type: ignore[return-value]

    def backward(self, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        given: list[Tensor | None] = [None] * self.results
        for place, gradient in zip(self.places, gradients, strict=True):
            given[place] = gradient
        self.ctx.needs_input_grad = self.asked_for
        found = self.op.backward(self.ctx, *given)
        found = found if isinstance(found, tuple) else tuple(found) if isinstance(found, list) else (found,)
        count = len(self.forms)
        if len(found) < count or any(g is not None for g in found[count:]):
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected {count}, got {len(found)}): "
                f"one for each argument of {self.op.__name__}.apply, None for those that have none"
            )
        for i, (g, form) in enumerate(zip(found, self.forms, strict=False)):
            if g is not None and form is None:
                raise RuntimeError(
                    f"function {self.name()} returned a gradient different than None at position {i + 1}, but the "
                    "corresponding forward input was not a Tensor"
                )
        return tuple([self._fitted(i, found[i]) if need else None for i, need in enumerate(self.asked_for)])

    def _fitted(self, i: int, gradient: Any) -> Tensor | None:
        """The gradient in its input's shape and type, if it can be brought to them."""
        if gradient is None:
            return None
        if not isinstance(gradient, Tensor):
            raise TypeError(
                f"expected Tensor or None (got {type(gradient).__name__}) as the gradient at index {i} from {self.name()}"
            )
        shape, dtype, device = self.forms[i]  # type: ignore[misc]
        invalid = f"Function {self.name()} returned an invalid gradient at index {i} - "
        if gradient.device != device:
            raise RuntimeError(f"{invalid}expected device {device} but got {gradient.device}")
        if gradient.dtype.kind != "f":
            raise RuntimeError(f"{invalid}expected type {dtype} but got {describe(gradient)}")
        if gradient.shape != shape:
            if not _expands(shape, gradient.shape):
                raise RuntimeError(
                    f"{invalid}got {list(gradient.shape)} but expected shape compatible with {list(shape)}"
                )
            gradient = sum_to(gradient, shape)
        return gradient if gradient.dtype == dtype else gradient.to(dtype)


class Function:
    """An op with its gradient. Subclass it with static methods `forward` and `backward`, and call `apply`.

    forward(ctx, *args): the op, on Tensors, unrecorded. Returns a Tensor, or a tuple that holds Tensors. Or, as in newer
    torch code, forward(*args) and setup_context(ctx, inputs, output).
    backward(ctx, *gradients): from a gradient for each output, one for each argument of forward (None where there is
    none). It may be differentiated again if it is written in ops; see once_differentiable.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError(
            f"{type(self).__name__} is not to be instantiated: its methods are static. Call {type(self).__name__}.apply(...)"
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """The op."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Context, inputs: tuple[Any, ...], output: Any) -> None:
        """What backward needs, kept apart from forward."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Context, *gradients: Any) -> Any:
        """The gradients of forward's arguments."""
        raise NotImplementedError(
            "You must implement the backward method for your custom autograd.Function to use it with backward mode AD."
        )

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Runs the op, and records it if an argument requires a gradient and recording is on."""
        separate = cls.setup_context is not Function.setup_context
        if kwargs:
            args = _positional(cls.forward, args, kwargs, separate)
        needs = tuple([state.grad and isinstance(x, Tensor) and x._requires_grad for x in args])
        node = Node(cls, needs)
        observers = state.observers
        for observer in observers:
            observer.before_forward(node, args)
        with no_grad():
            if separate:
                result = cls.forward(*args)
                cls.setup_context(node.ctx, args, result)
            else:
                result = cls.forward(node.ctx, *args)
        several = isinstance(result, tuple)
        results = result if several else (result,)
        led = _outputs(cls, args, results)
        outputs = [x for x in led if isinstance(x, Tensor)]
        if True in needs and outputs:
            node.keep(args, results, outputs)
        for observer in observers[::-1]:
            observer.after_forward(node, args, outputs)
        return tuple(led) if several else led[0]


def recorded_forward(op: type[Function], *args: Any) -> Any:
    """op.forward(*args) as a plain function, its own ops recorded: differentiated without op.backward."""
    if op.setup_context is not Function.setup_context:
        return op.forward(*args)
    return op.forward(Context(Node(op, (False,) * len(args))), *args)


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a backward that cannot be differentiated again: to try is then an error, rather than a wrong number."""

    @functools.wraps(backward)
    def wrapped(ctx: Context, *gradients: Any) -> Any:
        with no_grad():
            found = backward(ctx, *gradients)
        if not state.grad:
            return found
        # What the gradients depend on is led into the op that refuses, so that no way back passes it by.
        origins = [x for x in (*gradients, *ctx.saved_tensors) if x is not None and x.requires_grad]
        several = isinstance(found, tuple)
        led = tuple([g if g is None else Once()(g.detach(), *origins) for g in (found if several else (found,))])
        return led if several else led[0]

    return wrapped


class Once(Op):
    """y = x, whatever else is given; the gradient is an error."""

    is_view = True

    def forward(self, x: Any, *origins: Any) -> Any:
        return x.view()

    def backward(self, *gradients: Tensor) -> Any:
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")


def _outputs(op: type[Function], args: tuple[Any, ...], results: tuple[Any, ...]) -> list[Any]:
    """forward's results as tensors of their own: an input that is returned, or a tensor returned twice, as a view of it."""
    led: list[Any] = []
    for x in results:
        if isinstance(x, list):
            raise TypeError(f"{op.__name__}.forward returned a list: return a Tensor, or a tuple of Tensors")
        if isinstance(x, Tensor) and (x._requires_grad or any(x is y for y in (*args, *led))):
            base, x = x, Tensor._wrap(x.array.view())
            x._share(base)
        led.append(x)
    return led


def _positional(
    forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], separate: bool
) -> tuple[Any, ...]:
    """Arguments given by name, in their places."""
    bound = (
        inspect.signature(forward).bind(*args, **kwargs)
        if separate
        else inspect.signature(forward).bind(None, *args, **kwargs)
    )
    bound.apply_defaults()
    return bound.args if separate else bound.args[1:]


def _expands(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether a tensor of `shape` broadcasts to the shape `wanted`."""
    if len(shape) > len(wanted):
        return False
    return all(n in (1, m) for n, m in zip(shape[::-1], wanted[::-1], strict=False))
