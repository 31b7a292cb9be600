"""How an array lies in memory changes no number: any walk of transposes, steps and flips before an op."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad.autograd import grad
from tests.properties.strategies import drawn, tries

F = minigrad.nn.functional

OPS: dict[str, Callable[[Any], Any]] = {
    "exp": lambda x: x.exp(),
    "gelu": F.gelu,
    "relu": lambda x: x.relu(),
    "x x.mT": lambda x: x @ x.mT,
    "sum": lambda x: x.sum((0, -1)),
    "std": lambda x: x.std(1),
    "cumsum": lambda x: x.cumsum(-1),
    "sort": lambda x: x.sort(1).values,
    "max": lambda x: x.max(2).values,
    "softmax": lambda x: F.softmax(x, 1),
    "log_softmax": lambda x: F.log_softmax(x, -1),
    "reshape": lambda x: x.reshape(-1) * 2,
    "index": lambda x: x[minigrad.tensor([0, -1, 0]), 1:],
    "cat": lambda x: minigrad.cat([x, x], 1),
    "flip": lambda x: x.flip(0, 2),
    "where": lambda x: minigrad.where(x > 0, x, 0.1 * x),
    "conv2d": lambda x: F.conv2d(x, minigrad.from_numpy(drawn((2, x.shape[1], 2, 2), 5)), None, 1, 1),
    "max_pool2d": lambda x: F.max_pool2d(x, 2, 1),
    "avg_pool2d": lambda x: F.avg_pool2d(x, 2, 1, 1),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, (2, 1)),
    "unfold": lambda x: F.unfold(x, 2),
    "batch_norm": lambda x: F.batch_norm(x, None, None, training=True),
    "layer_norm": lambda x: F.layer_norm(x, x.shape[-2:]),
    "group_norm": lambda x: F.group_norm(x, 1),
    "pad": lambda x: F.pad(x, (1, 2, 0, 1), mode="replicate"),
    "interpolate": lambda x: F.interpolate(x, size=(3, 5), mode="bilinear"),
    "attention": lambda x: F.scaled_dot_product_attention(x, x, x),
    "linear": lambda x: F.linear(x, minigrad.from_numpy(drawn((3, x.shape[-1]), 6))),
    "cross_entropy": lambda x: F.cross_entropy(x, minigrad.zeros(x.shape[0], *x.shape[2:], dtype=minigrad.int64)),
}

WALKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "transpose": lambda a: a.transpose(0, 2, 3, 1),
    "swap": lambda a: a.swapaxes(0, 1),
    "flip": lambda a: a[:, ::-1],
    "flip last": lambda a: a[..., ::-1],
    "second": lambda a: a[..., ::2] if a.shape[-1] > 3 else a,
    "second row": lambda a: a[:, :, 1::2] if a.shape[2] > 3 else a,
    "repeat": lambda a: np.broadcast_to(a[:1], a.shape),
    "channels last": lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
}


@tries(200)
@given(
    name=st.sampled_from(sorted(OPS)),
    walk=st.lists(st.sampled_from(sorted(WALKS)), min_size=1, max_size=4),
    definition=st.booleans(),
)
def test_strides(name: str, walk: list[str], definition: bool) -> None:
    laid = drawn((3, 4, 5, 6))
    for step in walk:
        laid = WALKS[step](laid)
    results = []
    for array in (laid, np.ascontiguousarray(laid)):
        x = minigrad.from_numpy(array).requires_grad_()
        with minigrad.definitions() if definition else nullcontext():
            y = OPS[name](x)
        # The cotangent lies as the array does where it has its shape.
        cotangent = minigrad.from_numpy(array.copy(order="K") if y.shape == x.shape else drawn(y.shape, 3))
        (g,) = grad(y, [x], cotangent.requires_grad_(), create_graph=True)
        more = grad((g * g).sum(), [x], allow_unused=True, materialize_grads=True)[0] if g.requires_grad else g
        results.append([y.detach().numpy(), g.detach().numpy(), more.detach().numpy()])
    for a, b in zip(*results, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-11 * max(1.0, np.abs(b).max(initial=0.0)))
