"""Normalisation against torch: a line a case (see tests/checking.py for what a line checks)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import minigrad
from minigrad.nn import functional as F
from tests import emulator
from tests.cases import Table
from tests.checking import Drawn, Given, check

T = Table("nn.functional.")
case, refusal = T.case, T.refusal

for shape, normalized in (((4, 6), [6]), ((2, 3, 4), [4]), ((2, 3, 4), [3, 4]), ((5,), [5]), ((2, 3, 4, 5), [3, 4, 5])):
    case("layer_norm", shape, normalized, tuple(normalized), tuple(normalized))
    case("layer_norm", shape, normalized)
    case("rms_norm", shape, normalized, tuple(normalized))
    case("rms_norm", shape, normalized)
case("layer_norm", (4, 6), [6], (6,))
case("layer_norm", (4, 6), [6], (6,), (6,), eps=0.1)
case("layer_norm", (300, 70), [70], (70,), (70,), order=1)
case("layer_norm", Drawn((4, 50), 99.0, 101.0), [50], (50,), (50,), single=False)
case("layer_norm", Given(np.full((2, 3), 7.0)), [3], (3,), (3,), differences=False, order=1)
case("layer_norm", (0, 6), [6], (6,), (6,))
case("layer_norm", (4, 1), [1], (1,), (1,), differences=False, order=1)
case("layer_norm", Given([[1.0, float("inf"), 2.0], [float("nan"), 0.0, 1.0], [1.0, 2.0, 4.0]]), [3], order=0)
case("rms_norm", (4, 6), [6], (6,), eps=0.1)
case("rms_norm", (0, 6), [6], (6,))
case("rms_norm", Given(np.zeros((2, 3))), [3], differences=False, order=1)
for shape, groups in (((2, 6), 3), ((2, 6, 5), 3), ((2, 4, 3, 2), 2), ((3, 4, 2, 2), 1), ((2, 4, 3, 2), 4)):
    case("group_norm", shape, groups, (shape[1],), (shape[1],))
    case("group_norm", shape, groups)
case("group_norm", (2, 4, 3), 2, (4,))
case("group_norm", (2, 4, 3), 2, (4,), (4,), 0.1)
case("group_norm", (0, 4, 3), 2, (4,), (4,))
for shape in ((2, 3, 5), (2, 3, 4, 3), (1, 2, 2, 3, 2)):
    case("instance_norm", shape)
case("local_response_norm", (2, 5, 4), 3)
case("local_response_norm", (2, 5, 4, 3), 2, alpha=0.5, beta=0.6, k=2.0)
case("local_response_norm", (2, 3, 2, 2, 2), 5, alpha=0.1)


@pytest.mark.parametrize("use_input_stats", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(2, 3, 5), (3, 2, 4, 3)])
def test_instance_norm_running(shape: tuple[int, ...], affine: bool, use_input_stats: bool, device: str) -> None:
    """Values and gradients, and what becomes of the running statistics."""
    channels = shape[1]
    mean, var = np.linspace(-1, 1, channels), np.linspace(0.5, 2, channels)

    def call(framework: Any, as_input: Any) -> Any:
        def f(x: Any, w: Any = None, b: Any = None) -> Any:
            dtype = np.float32 if "32" in str(x.dtype) else np.float64
            m, v = as_input(mean.astype(dtype)), as_input(var.astype(dtype))
            return framework.nn.functional.instance_norm(x, m, v, w, b, use_input_stats, 0.3, 1e-3), m, v

        return f

    check(
        "instance_norm", shape, *([(channels,), (channels,)] if affine else []), device=device,
        minigrad_call=call(minigrad, lambda a: minigrad.from_numpy(a.copy()).to(device)),
        torch_call=call(torch, lambda a: torch.from_numpy(a.copy())),
    )  # fmt: skip


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (3, 4, 3, 2)])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm(shape: tuple[int, ...], training: bool, affine: bool, device: str) -> None:
    channels = shape[1]
    mean, var = np.linspace(-1, 1, channels), np.linspace(0.5, 2, channels)

    def call(framework: Any, as_input: Any) -> Any:
        def f(x: Any, w: Any = None, b: Any = None) -> Any:
            dtype = np.float32 if "32" in str(x.dtype) else np.float64
            m, v = as_input(mean.astype(dtype)), as_input(var.astype(dtype))
            y = framework.nn.functional.batch_norm(x, m, v, w, b, training, 0.3, 1e-3)
            return y, m, v

        return f

    check(
        "batch_norm", shape, *([(channels,), (channels,)] if affine else []), device=device,
        minigrad_call=call(minigrad, lambda a: minigrad.from_numpy(a.copy()).to(device)),
        torch_call=call(torch, lambda a: torch.from_numpy(a.copy())),
    )  # fmt: skip


def test_layer_norm_keeps_its_input_and_two_numbers_a_row() -> None:
    """x itself, no normalised copy of it."""
    x = minigrad.randn(64, 32, requires_grad=True)
    node = F.layer_norm(x, (32,), minigrad.ones(32), minigrad.zeros(32)).grad_fn
    assert node.arrays[0] is x.array
    assert node.mean.shape == node.invstd.shape == (64,)


@pytest.mark.parametrize("order", emulator.ORDERS)
def test_the_order_of_threads_does_not_matter(order: str) -> None:
    """Rows longer than a warp, more rows than a block takes: no barrier is missing from the kernels."""
    if emulator.real_cupy() is not None:
        pytest.skip("a GPU picks its own order")
    with emulator.thread_order(order):
        check("nn.functional.layer_norm", (7, 300), [300], (300,), (300,), device="gpu", order=1, layouts=False)


X, W = np.zeros((2, 4)), np.zeros(4)
for name, inputs, kwargs in (
    ("layer_norm", (X, [3]), {}),
    ("layer_norm", (X, []), {}),
    ("layer_norm", (X, [4], W[:3]), {}),
    ("layer_norm", (X, [4], W, W[:2]), {}),
    ("layer_norm", (W, [2, 4]), {}),
    ("layer_norm", (X, [4], W.astype(np.float32)), {}),
    ("layer_norm", (X.astype(np.int64), [4]), {}),
    ("rms_norm", (X, [3]), {}),
    ("rms_norm", (X, [4], W[:3]), {}),
    ("rms_norm", (X.astype(np.int64), [4]), {}),
    ("group_norm", (X, 3), {}),
    ("group_norm", (W, 2), {}),
    ("group_norm", (X, 2, W[:2]), {}),
    ("group_norm", (X[:1], 4), {}),
    ("instance_norm", (X,), {}),
    ("instance_norm", (X[:, :, None],), {}),
    ("instance_norm", (np.zeros((2, 4, 3)), None, None), {"use_input_stats": False}),
    ("instance_norm", (np.zeros((2, 4, 3)), W[:2]), {}),
    ("local_response_norm", (X, 2), {}),
    ("batch_norm", (X[:1], W, W), {"training": True}),
    ("batch_norm", (X, W[:2], W), {}),
    ("batch_norm", (X, None, None), {}),
):
    refusal(name, *inputs, **kwargs)


@pytest.mark.parametrize("key", T.cases)
def test_as_torch(key: str, device: str) -> None:
    T.run(key, device)


@pytest.mark.parametrize("key", T.refusals)
def test_refused_as_by_torch(key: str, device: str) -> None:
    T.refuse(key, device)
