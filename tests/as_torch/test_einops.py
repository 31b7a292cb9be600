"""einops works on minigrad's tensors, whichever of the two is imported first, and its layers are minigrad's."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg

einops = pytest.importorskip("einops")

CASES = {
    "rearrange": lambda x: einops.rearrange(x, "b c (h p) w -> b (c p) h w", p=2),
    "reduce max": lambda x: einops.reduce(x, "b c h w -> b c", "max"),
    "reduce mean": lambda x: einops.reduce(x, "b c (h p) (w q) -> b c h w", "mean", p=2, q=2),
    "reduce prod": lambda x: einops.reduce(x, "b c h w -> b h", "prod"),
    "repeat": lambda x: einops.repeat(x, "b c h w -> b c (h k) w r", k=2, r=3),
    "pack": lambda x: einops.pack([x, x[:, :1]], "b * w h")[0] if x.shape[2] == x.shape[3] else None,
    "einsum": lambda x: einops.einsum(x, x, "b c h w, b d h w -> b c d"),
    "list": lambda x: einops.rearrange([x, x * 2], "k b c h w -> b (k c) h w"),
}


@pytest.mark.parametrize("name", CASES)
def test_as_with_torch(name: str) -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (2, 3, 4, 4))
    found = []
    for library in (torch, mg):
        x = library.tensor(values, requires_grad=True)
        y = CASES[name](x)
        (y * library.tensor(np.random.default_rng(1).uniform(-1, 1, tuple(y.shape)))).sum().backward()
        found.append((y.detach().numpy(), x.grad.numpy()))
    for expected, got in zip(*found, strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_layers() -> None:
    from einops.layers import torch as torchs

    from minigrad import einops as layers

    values = np.random.default_rng(0).uniform(-1, 1, (2, 3, 4, 4))
    for make in (
        lambda m: m.Rearrange("b c h w -> b (h w) c"),
        lambda m: m.Reduce("b c h w -> b c", "sum"),
        lambda m: m.EinMix("b c h w -> b d h w", weight_shape="c d", bias_shape="d", c=3, d=5),
    ):
        theirs: Any = make(torchs).double()
        ours: Any = make(layers).double()
        assert isinstance(ours, mg.nn.Module)
        ours.load_state_dict({k: mg.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
        expected = theirs(torch.tensor(values)).detach().numpy()
        np.testing.assert_allclose(ours(mg.tensor(values)).detach().numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("order", ["import einops, minigrad as mg", "import minigrad as mg, einops"])
def test_the_order_of_imports_does_not_matter(order: str) -> None:
    code = f"{order}; print(einops.rearrange(mg.ones(2, 3), 'a b -> (b a)').shape)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "(6,)", done.stderr
