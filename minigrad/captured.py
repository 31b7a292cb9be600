"""CapturedStep: a training step, or any other, as a CUDA graph, one launch where there were some hundred."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from minigrad import backends
from minigrad.tensor import Tensor


class CapturedStep:
    """A training step as a CUDA graph: captured once, and launched as one from then on.

        step = minigrad.cuda.CapturedStep(forward_and_backward, optimizer)
        loss = step(images, labels)            # and so on: each call is a whole step

    `function(*inputs)` computes the loss and its gradients (zero_grad, forward, backward, clipping) and returns a Tensor or a
    tuple of them; the optimizer's step follows it. It may read nothing from the device: no item(), no print, no `if` on a
    Tensor. The first `warmup` calls run it as it is, the next one captures it, and from then on each call copies the inputs into
    the arrays that the graph reads, draws the random masks anew, brings the optimizer's rates and corrections up to date, and
    launches the graph. The numbers are those of the uncaptured step, bit for bit.

    The results are the same Tensors at each call: a call overwrites what the one before has returned. So are the gradients, which
    must not be set to None between calls. Inputs of another shape or type than the captured ones (a last, smaller batch), and
    steps that cannot be captured, run as they are, and a warning says so, once.

    Without an optimizer it is any function of its inputs, such as a forward pass that is to be measured. The graph reads the
    weights where they lay when it was captured: they may change in place (steps, load_state_dict), but not be replaced.

    On a CPU every call runs the function as it is.
    """

    def __init__(self, function: Callable[..., Any], optimizer: Any = None, warmup: int = 3) -> None:
        self.function, self.optimizer, self.warmup = function, optimizer, warmup
        self.calls = 0
        self.uncaptured: str | None = None
        if optimizer is not None and not type(optimizer).__module__.startswith("minigrad.optim."):
            self.uncaptured = f"the step of {type(optimizer).__name__} may compute what is not known here"
        self._capture: Any = None
        self._inputs: list[Any] = []
        self._result: Any = None
        self._said: set[str] = set()

    @property
    def is_captured(self) -> bool:
        """Whether calls launch a graph by now."""
        return self._capture is not None and self._capture.graph is not None

    def __call__(self, *inputs: Tensor) -> Any:
        """One step on these inputs; what the function returns."""
        where = next(iter([p.array for p in self._parameters] or [x.array for x in inputs]))
        if backends.of(where) is backends.get("cpu") or self.uncaptured:
            if self.uncaptured:
                self._say(f"the step is not captured: {self.uncaptured}")
            return self._eager(inputs)
        if self._capture is None:
            self._capture = backends.get("gpu").Capture()  # type: ignore[attr-defined]
        with self._capture.here():
            if self.calls < self.warmup:
                self.calls += 1
                return self._eager(inputs)
            if not self.is_captured:
                return self._record(inputs)
            if [(x.shape, x.dtype) for x in inputs] != [(x.shape, x.dtype) for x in self._inputs]:
                self._say(
                    f"a step on inputs of {_shapes(inputs)} is not captured, those of {_shapes(self._inputs)} are"
                )
                return self._beside(inputs)
            for mine, given in zip(self._inputs, inputs, strict=True):
                _fill(mine, given)
            self._capture.renew(self._step)
            self._capture.launch()
        return self._result

    def close(self) -> None:
        """Give back the graph and its memory; the next calls warm up and capture anew."""
        if self._capture is not None:
            self._capture.close()
        self._capture, self._inputs, self._result, self.calls = None, [], None, 0

    def _eager(self, inputs: tuple[Tensor, ...]) -> Any:
        result = self.function(*[x.to(self._device(inputs)) for x in inputs])
        self._step()
        return result

    def _beside(self, inputs: tuple[Tensor, ...]) -> Any:
        """A step as it is, whose gradients must not take the place of those that the graph writes into."""
        kept = [p.grad for p in self._parameters]
        try:
            return self._eager(inputs)
        finally:
            for parameter, gradient in zip(self._parameters, kept, strict=True):
                parameter.grad = gradient

    def _step(self) -> None:
        if self.optimizer is not None:
            self.optimizer.step()

    @property
    def _parameters(self) -> list[Tensor]:
        """The optimizer's."""
        return [] if self.optimizer is None else [p for group in self.optimizer.param_groups for p in group["params"]]

    def _device(self, inputs: tuple[Tensor, ...]) -> Any:
        return next(iter([*self._parameters, *inputs])).device

    def _record(self, inputs: tuple[Tensor, ...]) -> Any:
        """Capture the step on arrays of its own, and launch it for the first time."""
        self._inputs = [x.to(self._device(inputs)).clone() for x in inputs]
        begun = False

        def step() -> None:
            nonlocal begun
            begun = True
            self._step()

        try:
            self._result = self._capture.record(lambda: self.function(*self._inputs), step)
        except (RuntimeError, NotImplementedError, TypeError) as error:
            if begun:
                raise
            self.uncaptured = " ".join(str(error).split())
            self._say(f"the step is not captured: {self.uncaptured}")
            return self._eager(inputs)
        self._capture.launch()
        return self._result

    def _say(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            warnings.warn(what, RuntimeWarning, stacklevel=4)


def _shapes(tensors: Any) -> str:
    return ", ".join(str(list(x.shape)) for x in tensors)


def _fill(mine: Tensor, given: Tensor) -> None:
    """The captured input becomes the given one: copied from the host, or within the device."""
    if backends.of(given.array) is backends.get("cpu"):
        host = given.array
        order = sorted(range(host.ndim), key=lambda axis: (-abs(mine.array.strides[axis]), axis))
        backends.get("gpu").copy_in(mine.array.transpose(order), host.transpose(order))  # type: ignore[attr-defined]
    else:
        mine.array[...] = given.array
