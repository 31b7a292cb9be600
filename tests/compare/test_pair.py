"""compare.layerwise: anybody's pair of networks, under any names; the layer with a planted error is the one that is named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import compare
import minigrad as mg
from minigrad.errors import MinigradError

BATCH = np.random.default_rng(0).standard_normal((5, 6))


def network(library: Any, names: str, scale: float = 1.0) -> Any:
    """A small network of two branches, its layers under these names, its second layer wrong by `scale`."""
    first, norm, second, head = names.split()
    nn = library.nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            setattr(self, first, nn.Linear(6, 7))
            setattr(self, norm, nn.LayerNorm(7))
            setattr(self, second, nn.Linear(7, 7))
            setattr(self, head, nn.Linear(7, 3))
            self.shift = nn.Parameter(library.zeros(7))

        def forward(self, x: Any) -> Any:
            x = getattr(self, norm)(getattr(self, first)(x)).tanh()
            return getattr(self, head)(x + getattr(self, second)(x * scale) + self.shift)

    return Net()


@pytest.mark.parametrize("names", ["a b c d", "stem norm deep head"])
def test_a_right_network_is_pytorchs(names: str) -> None:
    ours, theirs = network(mg, names), network(torch, "stem norm deep head")
    before = {key: value.numpy().copy() for key, value in ours.state_dict().items()}
    found = compare.layerwise(ours, theirs, BATCH)
    assert found.agree and found.first is None and found.alone == []
    assert dict(zip(names.split(), "stem norm deep head".split(), strict=True)).items() <= found.partners.items()
    whats = [deviation.what for deviation in found.deviations]
    assert (whats.count("output"), whats.count("gradient")) == (
        5,
        10,
    )  # four layers and the whole; 9 parameters, the input
    assert "all 5 layers' outputs and all their gradients are torch's" in str(found)
    for key, value in ours.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key])


def test_a_planted_error_is_named() -> None:
    found = compare.layerwise(network(mg, "a b c d", 1.01), network(torch, "stem norm deep head"), BATCH)
    assert found.first is not None and (found.first.what, found.first.name) == ("output", "c")
    assert "the first output that differs is that of c (Linear)" in str(found) and "c is deep in PyTorch" in str(found)
    ours = network(mg, "a b c d")
    ours.c.register_full_backward_hook(lambda module, gx, gy: (gx[0] * 1.01,))
    found = compare.layerwise(ours, network(torch, "stem norm deep head"), BATCH)
    assert found.first is not None and (found.first.what, found.first.name) == ("gradient at the output", "b")


def test_a_bias_before_batch_norm_has_a_gradient_of_rounding_alone() -> None:
    def pair(nn: Any) -> Any:
        return nn.Sequential(nn.Linear(6, 7), nn.BatchNorm1d(7), nn.Tanh(), nn.Linear(7, 3))

    found = compare.layerwise(pair(mg.nn), pair(torch.nn), BATCH)
    assert found.agree and any(deviation.what == "buffer" for deviation in found.deviations), found


def test_weights_as_they_are_differ_from_the_first_layer_on() -> None:
    found = compare.layerwise(network(mg, "a b c d"), network(torch, "a b c d"), BATCH, copy_weights=False)
    assert found.first is not None and found.first.name == "a"


def test_inputs_of_integers_several_inputs_and_a_loss() -> None:
    def pair(library: Any) -> Any:
        class Net(library.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.table, self.head = library.nn.Embedding(9, 4), library.nn.Linear(4, 3)

            def forward(self, tokens: Any, x: Any) -> Any:
                return {"y": self.head(self.table(tokens).mean(1) + x)}

        return Net()

    tokens, x = np.random.default_rng(1).integers(0, 9, (5, 6)), BATCH[:, :4].astype(np.float32)
    target = [0, 1, 2, 0, 1]

    def loss(library: Any, output: Any) -> Any:
        return library.nn.functional.cross_entropy(output["y"], library.tensor(target))

    for given in (None, loss):
        found = compare.layerwise(pair(mg), pair(torch), [tokens, x], given)
        assert found.agree and "input 1" in {deviation.name for deviation in found.deviations}, found


def test_what_has_no_counterpart_is_refused() -> None:
    wide = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Linear(8, 3))
    with pytest.raises(MinigradError, match=r"0.weight \(7, 6\) has no counterpart"):
        compare.layerwise(mg.nn.Sequential(mg.nn.Linear(6, 7), mg.nn.Linear(7, 3)), wide, BATCH)
    with pytest.raises(MinigradError, match="no counterpart"):
        compare.layerwise(mg.nn.Sequential(mg.nn.Linear(6, 8)), wide, BATCH)
    with pytest.raises(MinigradError, match="no Module of minigrad.nn or torch.nn"):
        compare.layerwise(Path("x"), wide, BATCH)


def test_the_page_runs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "layerwise.md").read_text()
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.S):
        exec(block, names)
