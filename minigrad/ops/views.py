"""An in-place change of a view, as part of the graph of the tensor whose memory it shares."""

from __future__ import annotations

from typing import Any

from minigrad import backends
from minigrad.grad_mode import no_grad
from minigrad.op import Op
from minigrad.ops.choice import where
from minigrad.tensor import Tensor


def replay(views: tuple[Op, ...], x: Tensor) -> Tensor:
    """The view of x that these ops lead to."""
    for op in views:
        x = op.again(x)
    return x


class WriteThrough(Op):
    """y = base with v written into the part that a chain of views shows, in base's own memory.

    gv = that part of gy;  gbase = gy with zeros there. No views: v replaces all of base.
    """

    def __init__(self, views: tuple[Op, ...], part: Any) -> None:
        self.views, self.part = views, part

    def forward(self, base: Any, v: Any) -> Any:
        self.part[...] = v
        self.part = None
        return base

    def backward(self, gy: Tensor) -> tuple[Tensor | None, ...]:
        needs_base, needs_v = self.needs
        return (
            where(self._written(gy), 0.0, gy) if needs_base else None,
            replay(self.views, gy) if needs_v else None,
        )

    def _written(self, gy: Tensor) -> Tensor:
        """Where v lies in the base: a view's adjoint puts what it is given in the view's place, among zeros."""
        with no_grad():
            form = replay(self.views, gy).array
            place = Tensor._wrap(backends.of(form).xp.ones(form.shape, form.dtype))
            for op in reversed(self.views):
                place = op.backward(place)  # type: ignore[assignment]
            return place != 0
