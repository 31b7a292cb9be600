"""Window attention against torchvision's, and against its definition window by window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torchvision.models.swin_transformer import shifted_window_attention

import minigrad
from minigrad.nn import functional as F
from tests.cases import Table
from tests.checking import Given, check

HEADS, CHANNELS = 2, 4
FUNCTIONS = {minigrad: F.shifted_window_attention, torch: shifted_window_attention}

# (B, H, W), window, shift, biases of the linear layers, logit_scale of Swin v2
CASES: list[tuple[tuple[int, int, int], list[int], list[int], bool, bool]] = [
    ((2, 4, 4), [2, 2], [0, 0], True, False),
    ((1, 4, 6), [2, 3], [0, 0], False, False),
    ((2, 4, 4), [2, 2], [1, 1], True, False),
    ((1, 4, 6), [2, 3], [1, 0], True, False),
    ((1, 4, 6), [2, 3], [0, 2], True, False),
    ((1, 6, 6), [3, 3], [1, 2], False, False),
    ((2, 5, 3), [2, 2], [1, 1], True, False),  # padding
    ((1, 3, 5), [2, 3], [0, 0], True, False),
    ((2, 3, 3), [4, 4], [2, 2], True, False),  # a window larger than the image: padding, and no shift
    ((1, 4, 3), [2, 4], [1, 2], True, False),  # the same along one axis
    ((1, 4, 4), [2, 2], [3, 5], True, False),  # shifts that torchvision takes too, odd as they are
    ((1, 4, 4), [2, 2], [-1, 0], True, False),
    ((1, 4, 4), [2, 2], [-1, 2], True, False),
    ((2, 4, 4), [2, 2], [1, 1], True, True),
    ((1, 3, 2), [2, 2], [0, 0], False, True),
    ((0, 4, 4), [2, 2], [1, 1], True, False),
]


def call(function: Any, i: int, **kwargs: Any) -> Any:
    """The function with the case's windows, taking tensors alone: the last are the biases and logit_scale, if any."""
    _, window, shift, biases, cosine = CASES[i]

    def called(x: Any, qkv: Any, proj: Any, relative: Any, *more: Any) -> Any:
        names = (["qkv_bias", "proj_bias"] if biases else []) + (["logit_scale"] if cosine else [])
        given = dict(zip(names, more, strict=True))
        return function(x, qkv, proj, relative, window, HEADS, shift, **given, **kwargs)

    return called


def shapes(i: int) -> list[tuple[int, ...]]:
    size, (h, w), _, biases, cosine = CASES[i]
    found: list[tuple[int, ...]] = [(*size, CHANNELS), (3 * CHANNELS, CHANNELS), (CHANNELS, CHANNELS)]
    found.append((1, HEADS, h * w, h * w))
    return found + ([(3 * CHANNELS,), (CHANNELS,)] if biases else []) + ([(HEADS, 1, 1)] if cosine else [])


T = Table()
NAME = "nn.functional.shifted_window_attention"
for i in range(len(CASES)):
    T.case(
        NAME,
        *shapes(i),
        call=lambda framework, *tensors, i=i, **more: call(FUNCTIONS[framework], i, **more)(*tensors),
        layouts=i == 6,
        order=1
        if i == 14
        else 2,  # the length of a padding's key has no second derivative at 0: torch's is NaN, ours 0
        single=False,
        attention_dropout=0.4,
        dropout=0.3,
        training=False,
    )


@pytest.mark.parametrize("key", T.cases)
def test_as_torchvision(key: str, device: str) -> None:
    """Values, gradients of everything, second gradients; dropout outside of training does nothing."""
    T.run(key, device)


@pytest.mark.parametrize("i", [2, 6, 8, 13])
def test_float32_is_no_further_from_float64_than_twice_torchvisions(i: int, device: str) -> None:
    """Over the values and all gradients of 16 images together: the error of a few numbers is a matter of luck."""
    random = np.random.default_rng(i)
    image, *weights = shapes(i)
    image = (16, *image[1:])
    arrays = [random.normal(size=s).astype(np.float32) for s in (image, *weights)]
    cotangent = random.normal(size=image).astype(np.float32)

    def theirs(dtype: Any) -> list[np.ndarray]:
        tensors = [torch.from_numpy(a.astype(dtype)).requires_grad_() for a in arrays]
        y = call(shifted_window_attention, i)(*tensors)
        gradients = torch.autograd.grad(y, tensors, torch.from_numpy(cotangent.astype(dtype)))
        return [t.detach().numpy() for t in (y, *gradients)]

    tensors = [minigrad.from_numpy(a).to(device).requires_grad_() for a in arrays]
    y = call(F.shifted_window_attention, i)(*tensors)
    gradients = minigrad.autograd.grad(y, tensors, minigrad.from_numpy(cotangent).to(device))
    ours = [t.numpy(force=True) for t in (y, *gradients)]
    exact = theirs(np.float64)

    def error(found: list[np.ndarray]) -> float:
        return sum(float(((a - b) ** 2).sum() / (b**2).sum()) for a, b in zip(found, exact, strict=True)) ** 0.5

    assert all(a.dtype == np.float32 for a in ours)
    assert 0 < error(ours) <= 2 * error(theirs(np.float32))


@pytest.mark.parametrize("i", [2, 6, 13])
def test_dropout_is_torchvisions(i: int, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the masks of the same generator: probabilities first, then the result."""

    def ours(*tensors: Any) -> Any:
        more = {"attention_dropout": 0.4, "dropout": 0.3, "generator": minigrad.Generator(5)}
        return call(F.shifted_window_attention, i, **more)(*tensors)

    def theirs(*tensors: Any) -> Any:
        generator = minigrad.Generator(5)

        def drop(x: torch.Tensor, p: float, training: bool) -> torch.Tensor:
            assert training
            return x * torch.from_numpy(generator.uniform(0, 1, tuple(x.shape)) >= p).to(x.dtype) / (1 - p)

        with monkeypatch.context() as patch:
            patch.setattr(torch.nn.functional, "dropout", drop)
            return call(shifted_window_attention, i, attention_dropout=0.4, dropout=0.3)(*tensors)

    check(NAME, *shapes(i), device=device, minigrad_call=ours, torch_call=theirs, layouts=False, float32=False)


def test_the_scale_of_a_cosine_is_at_most_100(device: str) -> None:
    i, random = 13, np.random.default_rng(0)
    inputs = [Given(random.normal(size=s)) for s in shapes(i)[:-1]] + [Given([[[4.5]], [[5.5]]])]
    ours, theirs = call(F.shifted_window_attention, i), call(shifted_window_attention, i)
    check(NAME, *inputs, device=device, minigrad_call=ours, torch_call=theirs, layouts=False, float32=False, order=1)


def test_without_a_relative_bias_nothing_is_added(device: str) -> None:
    random = np.random.default_rng(0)
    x, qkv, proj = (minigrad.from_numpy(random.normal(size=s)).to(device) for s in shapes(5)[:3])
    none = minigrad.zeros(1, HEADS, 9, 9, dtype=minigrad.float64, device=device)
    for shift in ((0, 0), (1, 1)):
        expected = F.shifted_window_attention(x, qkv, proj, none, (3, 3), HEADS, shift)
        found = F.shifted_window_attention(x, qkv, proj, None, (3, 3), HEADS, shift)
        np.testing.assert_allclose(found.numpy(force=True), expected.numpy(force=True), rtol=1e-13, atol=1e-14)


def test_a_bias_for_each_window(device: str) -> None:
    """What torchvision's broadcasting takes as well."""
    more = shapes(2)
    more[3] = (8, 1, 4, 4)
    i = 2
    check(
        NAME,
        *more,
        device=device,
        minigrad_call=call(F.shifted_window_attention, i),
        torch_call=call(shifted_window_attention, i),
        layouts=False,
        float32=False,
    )


def test_tokens_see_their_window_alone() -> None:
    """The gradient of one token's result reaches the tokens of its window in the moved image, and no others."""
    x = minigrad.rand(1, 8, 8, CHANNELS, dtype=minigrad.float64, requires_grad=True)
    qkv, proj = (minigrad.rand(n, CHANNELS, dtype=minigrad.float64) for n in (3 * CHANNELS, CHANNELS))
    for shift, seen in (((0, 0), slice(0, 4)), ((2, 2), slice(2, 6))):
        y = F.shifted_window_attention(x, qkv, proj, None, (4, 4), HEADS, shift)
        gradient = minigrad.autograd.grad(y[0, 3, 3].sum(), x)[0].abs().amax(-1)[0].numpy()
        reached = np.zeros((8, 8), bool)
        reached[seen, seen] = True
        assert ((gradient > 1e-30) == reached).all()


def pieces(x: np.ndarray, h: int, w: int) -> np.ndarray:
    """The windows of x, cut out one by one."""
    _, height, width, _ = x.shape
    corners = [(i, j) for i in range(0, height, h) for j in range(0, width, w)]
    return np.stack([image[i : i + h, j : j + w] for image in x for i, j in corners])


@pytest.mark.parametrize("window, shift", [((2, 3), 0), (2, 0), (4, 1), ((3, 4), (1, 2)), ((1, 7), 0), ((9, 9), 0)])
def test_partition_and_reverse(window: Any, shift: Any, device: str) -> None:
    x = np.random.default_rng(0).normal(size=(2, 4, 6, 3))
    h, w = (window, window) if isinstance(window, int) else window
    down, right = (shift, shift) if isinstance(shift, int) else shift
    padded = np.pad(x, ((0, 0), (0, -4 % h), (0, -6 % w), (0, 0)))
    moved = np.roll(padded, (-down, -right), (1, 2))
    windows = F.window_partition(minigrad.from_numpy(x).to(device), window, shift)
    assert windows.shape == (len(pieces(moved, h, w)), h, w, 3)
    assert np.array_equal(windows.numpy(force=True), pieces(moved, h, w))
    assert np.array_equal(F.window_reverse(windows, window, 4, 6, shift).numpy(force=True), x)


@pytest.mark.parametrize("window, shift", [((2, 3), (0, 0)), ((3, 4), (1, 2))])
def test_gradients_of_partition_and_reverse(window: tuple[int, int], shift: tuple[int, int]) -> None:
    x = minigrad.rand(2, 4, 5, 2, dtype=minigrad.float64, requires_grad=True)
    minigrad.autograd.gradcheck(lambda x: F.window_partition(x, window, shift), x)
    windows = F.window_partition(x, window, shift).detach().requires_grad_()
    minigrad.autograd.gradcheck(lambda y: F.window_reverse(y, window, 4, 5, shift), windows)


def test_a_window_of_the_whole_image_is_a_view() -> None:
    x = minigrad.rand(2, 4, 6, 3)
    windows = F.window_partition(x, (4, 6))
    assert np.shares_memory(windows.array, x.array)
    assert np.shares_memory(F.window_reverse(windows, (4, 6), 4, 6).array, x.array)


def test_errors() -> None:
    x = minigrad.zeros(2, 4, 4, 4)
    with pytest.raises(RuntimeError, match=r"expected an input \(B, H, W, C\), but got .*4, 4, 4"):
        F.window_partition(x[0], 2)
    with pytest.raises(RuntimeError, match=r"expected an input \(B, H, W, C\), but got .*4, 4, 4"):
        F.shifted_window_attention(x[0], x, x, None, [2, 2], 2, [0, 0])
    with pytest.raises(ValueError, match=r"at least one token, but got window_size \(2, 0\)"):
        F.window_partition(x, (2, 0))
    with pytest.raises(ValueError, match=r"at least one token, but got window_size \(0, 2\)"):
        F.shifted_window_attention(x, minigrad.zeros(12, 4), minigrad.zeros(4, 4), None, [0, 2], 2, [0, 0])
    with pytest.raises(ValueError, match=r"a pair \(height, width\), but got \(1, 2, 3\)"):
        F.window_partition(x, (1, 2, 3))
    with pytest.raises(RuntimeError, match=r"3 heads cannot share the channels of .*\[2, 4, 4, 4\]"):
        F.shifted_window_attention(x, minigrad.zeros(12, 4), minigrad.zeros(4, 4), None, [2, 2], 3, [0, 0])
    windows = F.window_partition(x, 2)
    with pytest.raises(RuntimeError, match=r"expected windows \(B \* 2 \* 2, 2, 2, C\) for an image of 4 x 4"):
        F.window_reverse(windows[:-1], 2, 4, 4)
