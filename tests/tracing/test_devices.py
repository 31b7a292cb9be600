"""Traces and watches of either device, in either precision: recorded, checked, run again, written as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn


@pytest.mark.parametrize("dtype", [mg.float32, mg.float64], ids=["float32", "float64"])
def test_a_network_on_a_device(device: str, dtype: Any, tmp_path: Path) -> None:
    mg.manual_seed(0)
    layers = [nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)]
    model = nn.Sequential(*layers).to(device, dtype)
    images = mg.randn(4, 2, 6, 6, dtype=dtype).to(device)
    labels = mg.tensor([0, 2, 1, 1]).to(device)
    optimizer = mg.optim.SGD(model.parameters(), 0.1)
    with mg.watch(model, optimizer) as watch, mg.trace() as t:
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    assert watch.steps == [0] and set(watch.dead) == {"1"}
    for leaf, p in zip(
        sorted(t.leaves, key=lambda leaf: leaf.label), [p for _, p in sorted(model.named_parameters())], strict=True
    ):
        np.testing.assert_allclose(leaf.gradient.summary.norm, np.linalg.norm(p.grad.numpy(force=True)), rtol=1e-5)
    for visit in t.visits:
        assert t.check(visit.node).ok, str(t.checks[visit.node.number])
    assert all(change.cosine > 0.999999 for change in t.doubled(t.visits[0].node))
    assert t.unfolded(0).nodes[-1].name == "MaxPool2d"
    t.html(tmp_path / "page.html")
    assert "Linear" in str(t)
