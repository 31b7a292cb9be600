"""The convolution written by hand in PyTorch, against PyTorch's own: values, both orders of gradients, modules, memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import models.reference
from models.reference import unfold_conv
from models.reference.unfold_conv import UnfoldConv2d, unfold_conv2d, use_unfold_convolutions

torch.set_num_threads(1)

# (x, w, arguments): every rectangle, where the original only took square outputs.
GEOMETRIES: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "1x1": ((2, 3, 4, 5), (4, 3, 1, 1), {}),
    "3x3 padded": ((2, 3, 5, 5), (4, 3, 3, 3), {"padding": 1}),
    "the stem": ((1, 3, 14, 14), (4, 3, 7, 7), {"stride": 2, "padding": 3}),
    "wide image": ((2, 2, 4, 9), (3, 2, 3, 3), {"padding": 1}),
    "tall image, stride 2": ((2, 2, 9, 4), (3, 2, 3, 3), {"stride": 2, "padding": 1}),
    "flat kernel": ((1, 2, 5, 6), (3, 2, 1, 4), {}),
    "tall kernel": ((1, 2, 6, 5), (3, 2, 4, 1), {"padding": (2, 0)}),
    "kernel 2x3": ((2, 2, 7, 6), (3, 2, 2, 3), {"stride": (3, 2), "padding": (0, 1)}),
    "stride beyond the kernel": ((1, 2, 8, 7), (3, 2, 2, 2), {"stride": (3, 4)}),
    "rows that no window sees": ((1, 2, 6, 8), (2, 2, 3, 3), {"stride": 2}),
    "dilation": ((2, 2, 7, 9), (3, 2, 3, 2), {"dilation": (2, 3)}),
    "dilation, stride, padding": (
        (1, 2, 9, 8),
        (3, 2, 2, 3),
        {"dilation": (3, 2), "stride": (2, 1), "padding": (1, 2)},
    ),
    "two groups": ((2, 4, 5, 6), (6, 2, 3, 2), {"groups": 2, "padding": 1}),
    "depthwise": ((2, 3, 5, 4), (3, 1, 3, 3), {"groups": 3, "padding": 1, "stride": (1, 2)}),
    "depthwise, two kernels a channel": ((1, 3, 5, 4), (6, 1, 2, 2), {"groups": 3, "dilation": 2}),
    "same": ((1, 2, 5, 6), (3, 2, 3, 3), {"padding": "same"}),
    "same, even kernel": ((1, 2, 5, 6), (3, 2, 2, 4), {"padding": "same", "dilation": (1, 3)}),
    "valid": ((1, 2, 5, 6), (3, 2, 3, 3), {"padding": "valid", "stride": 2}),
    "one place": ((2, 2, 3, 4), (3, 2, 3, 4), {}),
    "no batch axis": ((2, 5, 6), (3, 2, 3, 3), {"stride": (2, 1)}),
    "stride as a list of one": ((1, 2, 5, 6), (3, 2, 2, 2), {"stride": [2], "padding": [1]}),
    "an empty batch": ((0, 2, 5, 6), (3, 2, 3, 3), {"padding": 1}),
}
KEEP = [False, True]


@pytest.fixture(autouse=True, params=["one image at a time", "all at once"])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "one image at a time":
        monkeypatch.setattr(unfold_conv, "CHUNK", 1)


def drawn(name: str, bias: bool = True) -> tuple[list[torch.Tensor], dict[str, Any]]:
    x, w, arguments = GEOMETRIES[name]
    random = torch.Generator().manual_seed(1)
    shapes = [x, w, w[:1]] if bias else [x, w]
    return [torch.randn(s, generator=random, dtype=torch.float64).requires_grad_() for s in shapes], arguments


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    scale = max([1.0, *expected.detach().abs().flatten().tolist()])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10 * scale)


@pytest.mark.parametrize("keep", KEEP)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_values_and_gradients_are_torchs(name: str, bias: bool, keep: bool) -> None:
    """In float64: y, then gradients under a random cotangent, then their gradients under random directions."""
    inputs, arguments = drawn(name, bias)
    results = []
    for conv in (F.conv2d, lambda *a, **k: unfold_conv2d(*a, **k, keep_columns=keep)):
        random = torch.Generator().manual_seed(2)
        y = conv(*inputs, **arguments)
        gy = torch.randn(y.shape, generator=random, dtype=y.dtype).requires_grad_()
        first = torch.autograd.grad(y, inputs, gy, create_graph=True)
        total = sum((g * torch.randn(g.shape, generator=random, dtype=g.dtype)).sum() for g in first)
        plain = torch.autograd.grad(conv(*inputs, **arguments), inputs, gy.detach())
        second = torch.autograd.grad(total, [gy, *inputs], allow_unused=True, materialize_grads=True)
        results.append([y, *first, *plain, *second])
    for expected, found in zip(*results, strict=True):
        assert found.shape == expected.shape and found.dtype == expected.dtype
        assert_close(found, expected)


@pytest.mark.parametrize(
    "name, keep",
    [("dilation, stride, padding", False), ("same, even kernel", False), ("depthwise, two kernels a channel", True)],
)
def test_finite_differences(name: str, keep: bool) -> None:
    inputs, arguments = drawn(name)
    call = lambda *tensors: unfold_conv2d(*tensors, **arguments, keep_columns=keep)  # noqa: E731
    assert torch.autograd.gradcheck(call, inputs)
    assert torch.autograd.gradgradcheck(call, inputs)


@pytest.mark.parametrize("wanted", range(3))
def test_one_gradient_alone(wanted: int) -> None:
    """Inputs that need no gradient get none; the others are right."""
    inputs, arguments = drawn("two groups")
    inputs = [t.detach().requires_grad_(i == wanted) for i, t in enumerate(inputs)]
    unfold_conv2d(*inputs, **arguments).square().sum().backward()
    assert [t.grad is not None for t in inputs] == [i == wanted for i in range(3)]
    found, inputs[wanted].grad = inputs[wanted].grad, None
    F.conv2d(*inputs, **arguments).square().sum().backward()
    assert_close(found, inputs[wanted].grad)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.bfloat16, 0.1)])
def test_memory_formats_and_dtypes(dtype: torch.dtype, tolerance: float) -> None:
    random = torch.Generator().manual_seed(3)
    x, w = (
        torch.randn(s, generator=random).to(dtype, memory_format=torch.channels_last)
        for s in [(2, 4, 6, 5), (3, 4, 3, 3)]
    )
    found, expected = unfold_conv2d(x, w, padding=1), F.conv2d(x, w, padding=1)
    assert found.dtype == dtype and found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "x, w, b, arguments, error, words",
    [
        ((1, 3, 5, 5), (4, 2, 3, 3), None, {}, RuntimeError, r"x \[1, 3, 5, 5\], w \[4, 2, 3, 3\]"),
        ((1, 4, 5, 5), (3, 2, 3, 3), None, {"groups": 2}, RuntimeError, "O divisible by groups"),
        ((1, 2, 5, 5), (3, 2, 3, 3), None, {"groups": 0}, RuntimeError, "groups 0"),
        ((1, 2, 5, 5), (3, 2, 3), None, {}, RuntimeError, "expected x"),
        ((1, 2, 5, 5), (3, 2, 3, 3), (4,), {}, RuntimeError, r"expected b \(O,\)"),
        ((1, 2, 5, 5), (3, 2, 3, 3), None, {"padding": "full"}, ValueError, "'full'"),
        ((1, 2, 5, 5), (3, 2, 3, 3), None, {"padding": "same", "stride": 2}, ValueError, "stride 1"),
        ((1, 2, 2, 5), (3, 2, 3, 3), None, {}, RuntimeError, "sliding blocks|output"),
    ],
)
def test_errors(x: Any, w: Any, b: Any, arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        unfold_conv2d(torch.ones(x), torch.ones(w), None if b is None else torch.ones(b), **arguments)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", [(1, 2), "same"])
def test_the_module_is_conv2d(mode: str, padding: Any) -> None:
    torch.manual_seed(0)
    theirs = nn.Conv2d(2, 4, (3, 2), padding=padding, dilation=(1, 2), groups=2, padding_mode=mode).double()
    ours = UnfoldConv2d(2, 4, (3, 2), padding=padding, dilation=(1, 2), groups=2, padding_mode=mode).double()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 2, 6, 7, dtype=torch.float64)
    assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("keep", KEEP)
def test_a_model_is_switched_in_place(keep: bool) -> None:
    """SimpleNet-BN: the same keys, the same parameter objects, the same loss and gradients; hooks stay."""
    torch.manual_seed(0)
    model = models.reference.create("simplenet-bn", 7).double()
    x, target = torch.randn(2, 3, 21, 18, dtype=torch.float64), torch.tensor([1, 5])
    state, parameters = list(model.state_dict()), list(model.parameters())

    def gradients() -> list[torch.Tensor]:
        loss = F.cross_entropy(model(x), target)
        return [loss, *torch.autograd.grad(loss, parameters)]

    expected = gradients()
    seen = []
    model.features[0].register_forward_hook(lambda module, inputs, output: seen.append(type(output.grad_fn).__name__))
    assert use_unfold_convolutions(model, keep) is model
    assert list(model.state_dict()) == state
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    assert {(type(m), m.keep_columns) for m in model.modules() if isinstance(m, nn.Conv2d)} == {(UnfoldConv2d, keep)}
    for found, value in zip(gradients(), expected, strict=True):
        assert_close(found, value)
    assert seen == ["UnfoldConvolutionBackward"]


def test_columns_are_kept_only_where_asked_for() -> None:
    """The bytes that the graph holds on to: x and w, and with keep_columns the columns too (9 times x)."""
    x = torch.randn(2, 4, 8, 8)
    w = torch.randn(3, 4, 3, 3).requires_grad_()
    for keep, expected in ((False, [x.shape, w.shape]), (True, [x.shape, w.shape, (2, 1, 36, 64)])):
        saved: list[Any] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, saved=saved: saved.append(t.shape) or t, lambda t: t):
            unfold_conv2d(x, w, padding=1, keep_columns=keep)
        assert saved == expected


def test_a_subclass_with_its_own_forward_is_left_alone() -> None:
    class Other(nn.Conv2d):
        pass

    model = use_unfold_convolutions(nn.Sequential(Other(1, 1, 1), nn.Conv2d(1, 1, 1)))
    assert [type(module) for module in model] == [Other, UnfoldConv2d]


def test_numpy_integers() -> None:
    (x, w, b), _ = drawn(next(iter(GEOMETRIES)))
    one = np.int64(1)
    assert_close(unfold_conv2d(x, w, b, one, one, (one, one)), unfold_conv2d(x, w, b, 1, 1, (1, 1)))
