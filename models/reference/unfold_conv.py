"""Convolution written by hand in PyTorch: unfold, a matrix product, and its gradient, as the textbook has them.

Notation: x (N, C, H, W) images; w (O, C/G, KH, KW) kernels in G groups; b (O); y (N, O, OH, OW); L = OH OW places, and
OH = (H + 2 ph - dh (KH - 1) - 1) // sh + 1, likewise OW. The columns U = unfold(x), (N, G, C/G KH KW, L), are the pixels
that each place sees; W is w as matrices (G, O/G, C/G KH KW). A group at a time, with gY for dL/dY:

    Y = W U + b
    gW = the sum over the batch of gY U^T,    gX = fold(W^T gY),    gb = the sum of gY

U is KH KW / (sh sw) times the size of x. Kept from forward to backward, as it is easily written and as the experiment did
that this repeats, the columns of all layers are in memory at once (SimpleNet at batch 256: 1.64 GiB), which doubled it.
Here x alone is kept, which is in memory anyway; U is made for a few images at a time, and made again when the gradient is
due. `keep_columns=True` is the original's way, so that the two can be measured against each other:
`python -m compare speed --custom-conv`.

Source: K. Chellapilla, S. Puri, P. Simard, High Performance Convolutional Neural Networks for Document Processing (2006).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Pair = tuple[int, int]
CHUNK = 2**22  # bytes of columns at a time: they stay in the cache


class Window(NamedTuple):
    """How kernels slide over images; pairs are (height, width)."""

    kernel: Pair
    dilation: Pair
    padding: Pair
    stride: Pair
    groups: int

    def places(self, x: Tensor) -> Pair:
        """(OH, OW) for images x (N, C, H, W)."""
        height, width = (
            (x.shape[2 + i] + 2 * self.padding[i] - self.dilation[i] * (self.kernel[i] - 1) - 1) // self.stride[i] + 1
            for i in (0, 1)
        )
        return height, width

    def parts(self, x: Tensor) -> list[slice]:
        """The batch of x (N, C, H, W) in slices, each with columns of CHUNK bytes or of one image."""
        height, width = self.places(x)
        bytes_of_one = x.shape[1] * self.kernel[0] * self.kernel[1] * height * width * x.element_size()
        count = max(1, CHUNK // max(1, bytes_of_one))
        return [slice(i, i + count) for i in range(0, max(1, x.shape[0]), count)]

    def unfold(self, x: Tensor) -> Tensor:
        """x (N, C, H, W) as columns U (N, G, C/G KH KW, L)."""
        u = F.unfold(x, self.kernel, self.dilation, self.padding, self.stride)
        return u.unflatten(1, (self.groups, u.shape[1] // self.groups))

    def fold(self, u: Tensor, size: Pair) -> Tensor:
        """Images (N, C, *size), each pixel the sum of what the columns U have for it: the transpose of unfold."""
        return F.fold(u.flatten(1, 2), size, self.kernel, self.dilation, self.padding, self.stride)


class UnfoldConvolution(torch.autograd.Function):
    """Y = W U + b with U = unfold(x). The gradients are in ops of torch's, so that they can be differentiated again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, b: Tensor | None, window: Window, keep_columns: bool) -> Tensor:
        y = x.new_empty(x.shape[0], w.shape[0], *window.places(x))  # no view: a ReLU may change it in place
        for part in [slice(None)] if keep_columns else window.parts(x):
            u = window.unfold(x[part])
            torch.matmul(by_kernel(w, window.groups), u, out=by_place(y[part], window.groups))
        if b is not None:
            y += b[:, None, None]
        ctx.save_for_backward(x, w, u if keep_columns else None)
        ctx.window = window
        return y

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor | None, ...]:
        x, w, kept = ctx.saved_tensors
        window: Window = ctx.window
        needs_x, needs_w, needs_b, *_ = ctx.needs_input_grad
        gx = x.new_empty(x.shape) if needs_x else None
        gw = torch.zeros_like(w) if needs_w else None
        for part in window.parts(x) if kept is None else [slice(None)]:
            g = by_place(gy[part], window.groups)
            if gw is not None:
                # A second gradient goes through U to x, so what was kept without that way will not do.
                u = window.unfold(x[part]) if kept is None or torch.is_grad_enabled() else kept
                gw += (g @ u.mT).sum(0).reshape(w.shape)
            if gx is not None:
                gx[part] = window.fold(by_kernel(w, window.groups).mT @ g, x.shape[2:])
        gb = gy.sum((0, 2, 3)) if needs_b else None
        return gx, gw, gb, None, None


def by_kernel(w: Tensor, groups: int) -> Tensor:
    """Kernels w (O, C/G, KH, KW) as matrices (G, O/G, C/G KH KW)."""
    return w.flatten(1).unflatten(0, (groups, w.shape[0] // groups))


def by_place(y: Tensor, groups: int) -> Tensor:
    """Images y (N, O, OH, OW) as matrices (N, G, O/G, L)."""
    return y.flatten(2).unflatten(1, (groups, y.shape[1] // groups))


def unfold_conv2d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    keep_columns: bool = False,
) -> Tensor:
    """torch.nn.functional.conv2d by unfolding: x (N, C, H, W) or (C, H, W), w (O, C/groups, KH, KW), b (O) or None.

    y[n, o, i, j] = b[o] + sum over c, u, v of w[o, c, u, v] x[n, c, i sh + u dh - ph, j sw + v dw - pw].
    padding: numbers, "valid" (none) or "same" (y has the size of x; stride 1 only). keep_columns: keep U for the backward
    pass rather than make it again. RuntimeError, with the shapes, where they do not fit; ValueError for another padding.
    """
    if x.ndim == 3:
        return unfold_conv2d(x.unsqueeze(0), w, b, stride, padding, dilation, groups, keep_columns).squeeze(0)
    shapes = f"x {list(x.shape)}, w {list(w.shape)}, b {None if b is None else list(b.shape)}, groups {groups}"
    if x.ndim != 4 or w.ndim != 4 or groups < 1 or x.shape[1] != w.shape[1] * groups or w.shape[0] % groups:
        raise RuntimeError(
            f"expected x (N, C, H, W), w (O, C/groups, KH, KW) and O divisible by groups, but got {shapes}"
        )
    if b is not None and b.shape != w.shape[:1]:
        raise RuntimeError(f"expected b (O,), but got {shapes}")
    kernel, steps, spread = (w.shape[2], w.shape[3]), pair(stride), pair(dilation)
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"padding should be numbers, 'same' or 'valid', not {padding!r}")
        if padding == "same" and steps != (1, 1):
            raise ValueError(f"padding='same' works with stride 1 only, not {steps}")
        total = [spread[i] * (kernel[i] - 1) if padding == "same" else 0 for i in (0, 1)]
        if total[0] % 2 or total[1] % 2:  # what does not come in pairs goes to the right and below
            x = F.pad(x, (0, total[1] % 2, 0, total[0] % 2))
        padding = (total[0] // 2, total[1] // 2)
    return UnfoldConvolution.apply(x, w, b, Window(kernel, spread, pair(padding), steps, groups), keep_columns)


def pair(value: int | Sequence[int]) -> Pair:
    """One number for both axes, or one for each."""
    if hasattr(value, "__index__"):
        return int(value), int(value)
    first, second = value if len(value) == 2 else (value[0], value[0])
    return int(first), int(second)


class UnfoldConv2d(nn.Conv2d):
    """torch.nn.Conv2d by unfold_conv2d: the same arguments, parameters and results."""

    keep_columns = False

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = 0
        return unfold_conv2d(input, weight, bias, self.stride, padding, self.dilation, self.groups, self.keep_columns)


def use_unfold_convolutions(model: nn.Module, keep_columns: bool = False) -> nn.Module:
    """Make every Conv2d of a model an UnfoldConv2d, in place: parameters, keys, hooks stay as they are. Returns the model.

    Subclasses of Conv2d are left alone: they may have a forward of their own.
    """
    module: Any
    for module in model.modules():
        if type(module) in (nn.Conv2d, UnfoldConv2d):
            module.__class__ = UnfoldConv2d  # the same module, which now computes in another way
            module.keep_columns = keep_columns
    return model
