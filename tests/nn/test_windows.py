"""WindowAttention against torchvision's ShiftedWindowAttention: the same keys, start, values and gradients."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.models.swin_transformer import ShiftedWindowAttention

import minigrad
from minigrad import nn
from minigrad.autograd import grad


@pytest.mark.parametrize(
    "size, window, shift, biases",
    [((8, 8), [4, 4], [2, 2], True), ((5, 7), [2, 3], [1, 0], False), ((3, 4), [7, 7], [3, 3], True)],
)
def test_layer_is_torchvisions(size: tuple[int, int], window: Any, shift: Any, biases: bool, device: str) -> None:
    torch.manual_seed(0)
    theirs = ShiftedWindowAttention(12, window, shift, 3, qkv_bias=biases, proj_bias=biases).double()
    ours = nn.WindowAttention(12, window, shift, 3, biases, biases).double().to(device)
    keys = {key: tuple(value.shape) for key, value in theirs.state_dict().items()}
    assert {key: value.shape for key, value in ours.state_dict().items()} == keys
    index = ours.relative_position_index.numpy(force=True)
    assert np.array_equal(index, theirs.relative_position_index.numpy()) and index.dtype == np.int64
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    x = np.random.default_rng(1).normal(size=(2, *size, 12))
    cotangent = np.random.default_rng(2).normal(size=x.shape)
    a = minigrad.from_numpy(x).to(device).requires_grad_()
    b = torch.from_numpy(x).requires_grad_()
    found = grad(ours(a), [a, *ours.parameters()], minigrad.from_numpy(cotangent).to(device))
    expected = torch.autograd.grad(theirs(b), [b, *theirs.parameters()], torch.from_numpy(cotangent))
    named = dict(zip(["x", *(name for name, _ in ours.named_parameters())], found, strict=True))
    reference = dict(zip(["x", *(name for name, _ in theirs.named_parameters())], expected, strict=True))
    assert named.keys() == reference.keys()
    for name, gradient in reference.items():
        difference = np.abs(named[name].numpy(force=True) - gradient.numpy()).max()
        assert difference <= 1e-10 * gradient.abs().max(), name
    np.testing.assert_allclose(ours(a).numpy(force=True), theirs(b).detach().numpy(), rtol=1e-10, atol=1e-12)


def test_arguments_are_torchvisions() -> None:
    found = list(inspect.signature(nn.WindowAttention).parameters.values())
    expected = list(inspect.signature(ShiftedWindowAttention).parameters.values())
    assert [(p.name, p.default) for p in found[: len(expected)]] == [(p.name, p.default) for p in expected]


def test_the_table_starts_in_a_truncated_normal_distribution() -> None:
    minigrad.manual_seed(0)
    table = nn.WindowAttention(64, (14, 14), (0, 0), 16).relative_position_bias_table.numpy(force=True)
    assert table.shape == (27 * 27, 16)
    assert table.std() == pytest.approx(0.02, rel=0.05) and abs(table.mean()) < 1e-3


def test_without_relative_positions() -> None:
    layer = nn.WindowAttention(8, (4, 4), (0, 0), 2, relative_positions=False)
    assert list(layer.state_dict()) == ["qkv.weight", "qkv.bias", "proj.weight", "proj.bias"]
    assert layer.relative_position_bias() is None
    assert repr(layer).startswith("WindowAttention(\n  window_size=(4, 4), shift_size=(0, 0), num_heads=2, ")


def test_permuting_the_tokens_permutes_the_result(device: str) -> None:
    """Within a window, attention without positions knows no places. A wrong merge of heads mixes tokens: it fails here."""
    random = np.random.default_rng(0)
    layer = nn.WindowAttention(12, (4, 4), (0, 0), 3, relative_positions=False).double().to(device)
    x = random.normal(size=(2, 4, 4, 12))
    order = random.permutation(16)

    def permuted(x: np.ndarray) -> np.ndarray:
        return x.reshape(2, 16, 12)[:, order].reshape(2, 4, 4, 12)

    y = layer(minigrad.from_numpy(x).to(device)).numpy(force=True)
    z = layer(minigrad.from_numpy(permuted(x)).to(device)).numpy(force=True)
    np.testing.assert_allclose(z, permuted(y), rtol=1e-12, atol=1e-14)
    assert np.abs(z - y).max() > 1e-3


def test_dropout_draws_from_the_generator_and_stops_in_evaluation() -> None:
    def run(seed: int, training: bool = True) -> np.ndarray:
        layer.generator = minigrad.Generator(seed)
        return layer.train(training)(x).numpy(force=True)

    layer = nn.WindowAttention(8, (2, 2), (1, 1), 2, attention_dropout=0.3, dropout=0.2)
    x = minigrad.rand(2, 4, 4, 8)
    assert np.array_equal(run(1), run(1)) and not np.array_equal(run(1), run(2))
    assert np.array_equal(run(1, training=False), run(2, training=False))
    assert (run(1) == 0).mean() == pytest.approx(0.2, abs=0.1)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((8, [4], [0, 0], 2), r"must be of length 2, but got \(4,\) and \(0, 0\)"),
        ((8, [4, 4], [0], 2), r"must be of length 2, but got \(4, 4\) and \(0,\)"),
        ((8, [4, 0], [0, 0], 2), r"a window has at least one token, but got window_size \(4, 0\)"),
        ((8, [4, 4], [0, 0], 3), "num_heads must divide dim, but got 3 heads and dim 8"),
        ((8, [4, 4], [0, 0], 0), "num_heads must divide dim, but got 0 heads and dim 8"),
    ],
)
def test_errors(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nn.WindowAttention(*arguments)
