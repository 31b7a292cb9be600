"""Attention against torch's, and against its definition where torch's random numbers are its own."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np
import pytest
import torch

import minigrad
from minigrad import backends
from minigrad.autograd import grad
from minigrad.autograd.graph import saved_bytes
from minigrad.nn import functional as F
from minigrad.ops.attention import merge_heads, split_heads
from minigrad.tensor import Tensor
from tests.cases import Table
from tests.checking import Given, check

NAME = "nn.functional.scaled_dot_product_attention"
MASK = np.array([[True, False, True, True, False], [False] * 5, [True] * 5])
ADDED = np.where(MASK, np.linspace(-1, 1, 15).reshape(3, 5), -np.inf)

T = Table()
for shapes, kwargs in (
    (((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 6)), {}),  # the probabilities are the smaller thing to keep
    (((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 2)), {}),  # the output and the log sum exp are
    (((1, 3, 4, 2), (1, 3, 4, 2), (1, 3, 4, 2)), {"is_causal": True, "seed": 1}),
    (((1, 3, 4, 8), (1, 3, 6, 8), (1, 3, 6, 8)), {"is_causal": True}),
    (((1, 1, 5, 2), (1, 1, 3, 2), (1, 1, 3, 2)), {"is_causal": True, "scale": 0.3}),
    (((3, 4), (5, 4), (5, 2)), {}),
    (((2, 3, 4), (2, 5, 4), (2, 5, 7)), {"scale": 1.5}),
    (((2, 2, 2, 3, 4), (2, 2, 2, 5, 4), (2, 2, 2, 5, 2)), {}),
    (((2, 3, 3, 4), (1, 3, 5, 4), (2, 1, 5, 2)), {}),
    (((1, 2, 3, 4), (1, 2, 5, 4), (1, 2, 5, 2), Given(MASK)), {}),
    (((1, 2, 3, 4), (1, 2, 5, 4), (1, 2, 5, 7), Given(MASK)), {}),
    (((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 2), Given(MASK[None, None].repeat(2, 0))), {}),
    (((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 7), (3, 5)), {}),
    (((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 2), (2, 1, 3, 5)), {}),
    (((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 2), (2, 2, 1, 5)), {}),
    (((2, 3, 4), (2, 5, 4), (2, 5, 2), (3, 5)), {}),
    (((3, 4), (5, 4), (5, 2), (3, 5)), {}),
    (((1, 2, 3, 4), (1, 2, 5, 4), (1, 2, 5, 2), Given(ADDED)), {"differences": False}),
    (((0, 2, 3, 4), (0, 2, 5, 4), (0, 2, 5, 2)), {}),
    (((1, 2, 3, 4), (1, 2, 0, 4), (1, 2, 0, 2)), {}),
    (((1, 1, 400, 4), (1, 1, 300, 4), (1, 1, 300, 4)), {"order": 1, "layouts": False, "differences": False}),
    (((1, 3, 70, 4), (1, 3, 400, 4), (1, 3, 400, 4)), {"order": 1, "is_causal": True, "layouts": False}),
):
    T.case(NAME, *shapes, **kwargs)


def _math(*args: Any, **kwargs: Any) -> Any:
    """torch's own definition: its fast kernels have no second gradient, and give NaN for some of these cases."""
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return torch.nn.functional.scaled_dot_product_attention(*args, **kwargs)


@pytest.mark.parametrize("key", T.cases)
def test_as_torch(key: str, device: str) -> None:
    T.run(key, device)


@pytest.mark.parametrize("values", [2, 8])
def test_every_need_alone(values: int, device: str) -> None:
    """Each gradient by itself is what it is with the others."""
    random = np.random.default_rng(0)
    arrays = [random.normal(size=s) for s in ((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, values), (3, 5))]
    tensors = [minigrad.from_numpy(a).to(device) for a in arrays]
    weight = minigrad.from_numpy(random.normal(size=(2, 2, 3, values))).to(device)

    def gradients(*which: int) -> list[np.ndarray]:
        inputs = [t.detach().requires_grad_(i in which) for i, t in enumerate(tensors)]
        y = F.scaled_dot_product_attention(*inputs)
        return [g.numpy(force=True) for g in grad((y * weight).sum(), [inputs[i] for i in which])]

    together = gradients(0, 1, 2, 3)
    for i in range(4):
        np.testing.assert_allclose(gradients(i)[0], together[i], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("keys, values, kept", [(5, 8, "p"), (9, 8, "p"), (10, 8, "lse")])
def test_the_least_is_kept(keys: int, values: int, kept: str) -> None:
    """The probabilities where they are no more than the output and a number a row, else those."""
    q, k = minigrad.randn(2, 1, 3, 4, requires_grad=True), minigrad.randn(2, 1, keys, 4)
    node = F.scaled_dot_product_attention(q, k, minigrad.randn(2, 1, keys, values)).grad_fn
    assert (node.p is None, node.lse is None) == (kept == "lse", kept == "p")
    assert (node._output is None) == (kept == "p")
    if kept == "p":
        assert node.p.size <= 2 * 3 * (values + 1)


def test_nothing_is_kept_without_gradients() -> None:
    with minigrad.no_grad():
        q = minigrad.randn(1, 1, 3, 4, requires_grad=True)
        assert F.scaled_dot_product_attention(q, q, q).grad_fn is None


@pytest.mark.parametrize("values", [2, 8])
def test_dropout(values: int, device: str) -> None:
    """The seed decides; the fast path, its gradients and second gradients are the definition's; the mean is kept."""
    shapes = ((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, values))
    random = np.random.default_rng(1)
    arrays = [random.normal(size=s) for s in shapes]
    weight = minigrad.from_numpy(random.normal(size=(2, 2, 3, values))).to(device)

    def run() -> list[np.ndarray]:
        inputs = [minigrad.from_numpy(a).to(device).detach().requires_grad_() for a in arrays]
        y = F.scaled_dot_product_attention(*inputs, dropout_p=0.4, generator=minigrad.Generator(3))
        first = grad((y * weight).sum(), inputs, create_graph=True)
        second = grad(sum((g * g).sum() for g in first), inputs)
        plain = grad(
            (F.scaled_dot_product_attention(*inputs, dropout_p=0.4, generator=minigrad.Generator(3)) * weight).sum(),
            inputs,
        )
        return [t.numpy(force=True) for t in (y, *first, *second, *plain)]

    fast = run()
    with minigrad.definitions():
        slow = run()
    for a, b in zip(fast, slow, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    for a, b in zip(fast[1:4], fast[7:], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_dropout_keeps_the_mean() -> None:
    q, v = minigrad.zeros(1, 1, 4000, 2), minigrad.ones(1, 1, 8, 1)
    y = F.scaled_dot_product_attention(
        q, minigrad.zeros(1, 1, 8, 2), v, dropout_p=0.25, generator=minigrad.Generator(0)
    )
    assert abs(float(y.mean()) - 1) < 0.02
    assert float(y.std()) == pytest.approx(math.sqrt(0.25 / 0.75 / 8), rel=0.05)
    none = F.scaled_dot_product_attention(q, minigrad.zeros(1, 1, 8, 2), v, dropout_p=1.0)
    assert float(none.abs().max()) == 0


def test_large_scores_do_not_overflow(device: str) -> None:
    x = minigrad.tensor([[[[1e4, 0.0], [0.0, 1e4]]]], dtype=minigrad.float32, device=device)
    y = F.scaled_dot_product_attention(x, x, minigrad.tensor([[[[1.0], [2.0]]]], device=device))
    assert y.numpy(force=True).ravel().tolist() == [1.0, 2.0]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("shape", [(5, 2), (1, 6)])
def test_blocks_and_threads(shape: tuple[int, int], threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the work is cut, the results are those of one block."""
    room = importlib.import_module("minigrad.backends.cpu.attention")
    random = np.random.default_rng(2)
    q, k, v, gy = (random.normal(size=(*shape, *s)) for s in ((7, 4), (9, 4), (9, 3), (7, 3)))
    mask, dropped = random.normal(size=(7, 9)), (random.random((*shape, 7, 9)) > 0.3) / 0.7
    cpu = backends.get("cpu")

    def run() -> list[Any]:
        y, p, lse = cpu.attention(q, k, v, mask, dropped, causal=True, scale=0.5, keep_probabilities=True)
        args, options = (gy, q, k, v, mask, dropped), {"causal": True, "scale": 0.5, "needs": (True,) * 4}
        return [
            y,
            p,
            lse,
            *cpu.attention_backward(*args, None, p, None, **options),
            *cpu.attention_backward(*args, y, None, lse, **options),
        ]

    whole, before = run(), cpu.get_num_threads()
    monkeypatch.setattr(room, "BLOCK", 40)
    cpu.set_num_threads(threads)
    try:
        for a, b in zip(whole, run(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
    finally:
        cpu.set_num_threads(before)


def _arrays(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    return [np.zeros(s) for s in shapes]


Q, K, V = (1, 1, 3, 4), (1, 1, 5, 4), (1, 1, 5, 2)
for arrays, kwargs in (
    (_arrays(Q, K, (1, 1, 3, 2)), {}),
    (_arrays(Q, (1, 1, 5, 3), V), {}),
    (_arrays((4,), K, V), {}),
    ([np.zeros(Q, np.float32), *_arrays(K, V)], {}),
    ([np.zeros(s, np.int64) for s in (Q, K, V)], {}),
    (_arrays(Q, K, V, (3, 4)), {}),
    ([*_arrays(Q, K, V), np.zeros((3, 5), np.int64)], {}),
    (_arrays(Q, K, V, (3, 5)), {"is_causal": True}),
    (_arrays((2, 1, 3, 4), (3, 1, 5, 4), V), {}),
):
    T.refusal(NAME, *arrays, **kwargs)


@pytest.mark.parametrize("key", T.refusals)
def test_refused_as_by_torch(key: str, device: str) -> None:
    T.refuse(key, device)


GROUPED: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    (((2, 4, 3, 4), (2, 2, 5, 4), (2, 2, 5, 6)), {}),
    (((2, 6, 3, 4), (2, 3, 5, 4), (2, 2, 5, 6), (6, 3, 5)), {}),
    (((1, 4, 3, 4), (1, 1, 3, 4), (1, 1, 3, 2)), {"is_causal": True}),
    (((4, 3, 4), (2, 5, 4), (2, 5, 4)), {"scale": 0.3}),
    (((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 4)), {}),
]


@pytest.mark.parametrize("i", range(len(GROUPED)))
def test_grouped_queries(i: int, device: str) -> None:
    """Several heads of the query share one of the keys and values."""
    inputs, kwargs = GROUPED[i]
    check(NAME, *inputs, device=device, torch_call=_math, layouts=False, enable_gqa=True, **kwargs)


@pytest.mark.parametrize(
    "shapes",
    [((1, 4, 3, 4), (1, 3, 5, 4), (1, 4, 5, 4)), ((1, 2, 3, 4), (1, 4, 5, 4), (1, 4, 5, 4)), ((3, 4), (5, 4), (5, 4))],
)
def test_groups_that_do_not_fit(shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises((RuntimeError, IndexError)) as theirs:
        torch.nn.functional.scaled_dot_product_attention(*map(torch.zeros, shapes), enable_gqa=True)
    with pytest.raises(theirs.type, match="heads"):
        F.scaled_dot_product_attention(*(minigrad.zeros(*s) for s in shapes), enable_gqa=True)


def test_a_mask_of_single_precision(device: str) -> None:
    """torch takes float32 masks with any query."""
    mask = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    shapes = (2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 2)
    check(NAME, *shapes, Given(mask), device=device, torch_call=_math, layouts=False, float32=False, differences=False)


@pytest.mark.parametrize("dropout_p", [0.0, 0.1])
@pytest.mark.parametrize("length, samples", [(64, 8), (16, 32)], ids=["global", "windows"])
def test_bytes_kept(length: int, samples: int, dropout_p: float) -> None:
    """q, k and v, in the memory that they share, and the probabilities or y and a number a query; a byte a mask's number."""
    packed = minigrad.randn(samples, length, 3 * 192).requires_grad_() * 1  # SimpleViT's 4 heads of 48 numbers
    y = F.scaled_dot_product_attention(*split_heads(packed, 3, 4), dropout_p=dropout_p)
    probabilities = samples * 4 * length * length * 4
    least = min(probabilities, y.array.nbytes + samples * 4 * length * 4)
    mask = probabilities // 4 if dropout_p else 0
    assert saved_bytes(y) == packed.array.nbytes + least + mask
    node = y.grad_fn
    y.sum().backward()
    assert node.p is None and node.lse is None and node.kept is None  # freed with the rest


def test_heads_of_one_product_are_views(device: str) -> None:
    """split_heads copies nothing; merge_heads neither, of what attention returns; gradients are packed again."""
    packed = minigrad.randn(2, 3, 3 * 8, dtype=minigrad.float64).to(device).detach().requires_grad_()
    x = packed * 1
    parts = split_heads(x, 3, 4)
    host = packed.numpy(force=True).reshape(2, 3, 3, 4, 2)
    for i, part in enumerate(parts):
        assert part.shape == (2, 4, 3, 2)
        np.testing.assert_array_equal(part.numpy(force=True), host[:, :, i].swapaxes(1, 2))
    y = F.scaled_dot_product_attention(*parts)
    merged = merge_heads(y)
    np.testing.assert_array_equal(merged.numpy(force=True), y.numpy(force=True).swapaxes(1, 2).reshape(2, 3, 8))
    if device == "cpu":
        assert all(np.shares_memory(part.array, x.array) for part in parts)
        assert np.shares_memory(merged.array, y.array)
    weights = [minigrad.randn(2, 4, 3, 2, dtype=minigrad.float64).to(device) for _ in parts]
    total = sum((part * w).sum() for part, w in zip(parts, weights, strict=True))
    (g,) = grad(total, packed)
    expected = np.stack([w.numpy(force=True).swapaxes(1, 2) for w in weights], 2).reshape(2, 3, 24)
    np.testing.assert_array_equal(g.numpy(force=True), expected)


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_gradients_of_split_heads(parts: int, device: str) -> None:
    def torchs(x: torch.Tensor) -> list[torch.Tensor]:
        return [part.transpose(1, 2) for part in x.unflatten(2, (parts, 2, 2)).unbind(2)]

    def ours(x: Tensor) -> tuple[Tensor, ...]:
        return split_heads(x, parts, 2)

    check("split_heads", (2, 3, parts * 4), device=device, minigrad_call=ours, torch_call=torchs)


def test_split_heads_notices_changes() -> None:
    """The parts share their memory with the packed tensor, and the count of its changes."""
    x = minigrad.randn(2, 3, 12, requires_grad=True) * 1
    q, k, v = split_heads(x, 3, 2)
    y = F.scaled_dot_product_attention(q, k, v)
    x.detach().mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    with pytest.raises(RuntimeError, match="heads"):
        split_heads(x, 3, 5)


@pytest.mark.parametrize("chance", [0.3, 1.0])
def test_dropout_is_torchs_with_the_same_mask(chance: float, device: str) -> None:
    """The mask that the docstring names, drawn again: values and gradients by torch's primitives."""
    random = np.random.default_rng(1)
    arrays = [random.normal(size=s) for s in ((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 6), (2, 2, 3, 6))]
    ours = [minigrad.from_numpy(a).to(device).detach().requires_grad_() for a in arrays[:3]]
    y = F.scaled_dot_product_attention(*ours, dropout_p=chance, generator=minigrad.Generator(3))
    y.backward(minigrad.from_numpy(arrays[3]).to(device))
    q, k, v = (torch.from_numpy(a.copy()).requires_grad_() for a in arrays[:3])
    kept = torch.from_numpy(minigrad.Generator(3).uniform(0, 1, (2, 2, 3, 5), np.float32) >= chance)
    p = torch.softmax(q @ k.mT / 2, -1) * kept * (0 if chance == 1 else 1 / (1 - chance))
    (p @ v).backward(torch.from_numpy(arrays[3]))
    np.testing.assert_allclose(y.numpy(force=True), (p @ v).detach().numpy(), rtol=1e-10, atol=1e-12)
    for ours_x, theirs in zip(ours, (q, k, v), strict=True):
        np.testing.assert_allclose(ours_x.grad.numpy(force=True), theirs.grad.numpy(), rtol=1e-10, atol=1e-12)
