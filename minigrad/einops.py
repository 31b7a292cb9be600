"""einops on minigrad's tensors: its backend, and its layers Rearrange, Reduce and EinMix.

    from einops import rearrange, reduce, repeat           # work on minigrad's tensors as they are
    from minigrad.einops import Rearrange                  # a layer of minigrad.nn

einops looks a tensor's library up among the subclasses of its AbstractBackend; this module is loaded with einops.
"""

from __future__ import annotations

from typing import Any

from einops._backends import AbstractBackend
from einops.layers import RearrangeMixin, ReduceMixin
from einops.layers._einmix import _EinmixMixin

import minigrad
from minigrad import nn


class MinigradBackend(AbstractBackend):
    """What einops asks of a library."""

    framework_name = "minigrad"

    def is_appropriate_type(self, tensor: Any) -> bool:
        return isinstance(tensor, minigrad.Tensor)

    def from_numpy(self, x: Any) -> Any:
        y = minigrad.tensor(x)
        return y.requires_grad_() if self.is_float_type(y) else y

    def to_numpy(self, x: Any) -> Any:
        return x.detach().numpy(force=True)

    def arange(self, start: int, stop: int) -> Any:
        return minigrad.arange(start, stop)

    def reduce(self, x: Any, operation: str, axes: Any) -> Any:
        if operation in ("min", "max"):
            return getattr(x, f"a{operation}")(dim=tuple(axes))
        if operation in ("sum", "mean"):
            return getattr(x, operation)(dim=tuple(axes))
        for d in sorted(axes, reverse=True):
            x = getattr(x, operation)(dim=d)
        return x

    def transpose(self, x: Any, axes: Any) -> Any:
        return x.permute(tuple(axes))

    def stack_on_zeroth_dimension(self, tensors: list[Any]) -> Any:
        return minigrad.stack(tensors)

    def add_axis(self, x: Any, new_position: int) -> Any:
        return x.unsqueeze(new_position)

    def add_axes(self, x: Any, n_axes: int, pos2len: dict[int, int]) -> Any:
        for d in pos2len:
            x = x.unsqueeze(d)
        return x.expand([pos2len.get(d, -1) for d in range(n_axes)])

    def tile(self, x: Any, repeats: Any) -> Any:
        return x.repeat(repeats)

    def concat(self, tensors: list[Any], axis: int) -> Any:
        return minigrad.cat(tensors, dim=axis)

    def is_float_type(self, x: Any) -> bool:
        return x.is_floating_point()

    def einsum(self, pattern: str, *x: Any) -> Any:
        return minigrad.einsum(pattern, *x)

    def layers(self) -> Any:
        return minigrad.einops  # type: ignore[attr-defined]


class Rearrange(RearrangeMixin, nn.Module):
    """einops.rearrange as a layer."""

    def forward(self, input: Any) -> Any:
        return self._apply_recipe(input)


class Reduce(ReduceMixin, nn.Module):
    """einops.reduce as a layer."""

    def forward(self, input: Any) -> Any:
        return self._apply_recipe(input)


class EinMix(_EinmixMixin, nn.Module):
    """A linear layer between any axes: einsum of the input with a weight, and a bias, between two rearrangements."""

    def _create_parameters(self, weight_shape: Any, weight_bound: float, bias_shape: Any, bias_bound: float) -> None:
        def drawn(shape: Any, bound: float) -> Any:
            return nn.Parameter(minigrad.empty(shape).uniform_(-bound, bound))

        self.weight = drawn(weight_shape, weight_bound)
        self.register_parameter("bias", None if bias_shape is None else drawn(bias_shape, bias_bound))

    def _create_rearrange_layers(self, before: Any, before_lengths: Any, after: Any, after_lengths: Any) -> None:
        self.pre_rearrange = None if before is None else Rearrange(before, **before_lengths)
        self.post_rearrange = None if after is None else Rearrange(after, **after_lengths)

    def forward(self, input: Any) -> Any:
        x = input if self.pre_rearrange is None else self.pre_rearrange(input)
        y = minigrad.einsum(self.einsum_pattern, x, self.weight)
        y = y if self.bias is None else y + self.bias
        return y if self.post_rearrange is None else self.post_rearrange(y)
