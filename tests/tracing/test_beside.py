"""A trace beside the same step in PyTorch: all is the same, and a planted difference is the first that is marked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
import models
import models.reference
from minigrad import nn
from minigrad.random import Generator
from minigrad.tracing.beside import apart
from minigrad.tracing.record import Trace
from tests.tracing.test_page import browser_wanted, driver, opened  # noqa: F401 - a fixture


def both(name: str) -> tuple[Any, Any, np.ndarray, np.ndarray]:
    torch.manual_seed(2)
    theirs = models.reference.create(name, 5, 3, 16, Generator(7)).double()
    ours = models.create(name, 5, 3, 16, Generator(7)).double()
    ours.load_state_dict({key: mg.from_numpy(value.numpy().copy()) for key, value in theirs.state_dict().items()})
    random = np.random.default_rng(0)
    return ours, theirs, random.standard_normal((3, 3, 16, 16)), random.integers(0, 5, 3)


def traced(ours: Any, images: np.ndarray, labels: np.ndarray) -> Trace:
    with mg.trace() as t:
        nn.functional.cross_entropy(ours(mg.from_numpy(images)), mg.from_numpy(labels)).backward()
    return t


def step(theirs: Any, images: np.ndarray, labels: np.ndarray) -> Any:
    return lambda: torch.nn.functional.cross_entropy(theirs(torch.tensor(images)), torch.tensor(labels)).backward()


@pytest.mark.parametrize("name", ["simplenet", "simplenet-bn", "resnet18", "vit"])
def test_nothing_differs_from_the_same_network(name: str) -> None:
    ours, theirs, images, labels = both(name)
    t = traced(ours, images, labels)
    found = t.beside(theirs, step(theirs, images, labels))
    assert found.first is None, str(found)
    parameters = len(list(theirs.parameters()))
    kinds = [side.kind for side in found.sides]
    assert kinds.count("leaves") == parameters
    assert kinds.count("backward") >= 5 and kinds.count("forward") >= parameters + 5
    assert "none differs" in str(t)


def test_the_first_difference_is_the_layer_that_was_changed() -> None:
    ours, theirs, images, labels = both("simplenet")
    t = traced(ours, images, labels)
    theirs.features[6].register_forward_hook(lambda module, args, output: output * 1.01)
    found = t.beside(theirs, step(theirs, images, labels))
    assert found.first is not None and found.first.kind == "forward" and found.first.name == "the result of features.6"
    assert 0.005 < found.first.difference < 0.02


def test_a_gradient_that_differs_is_found_where_it_begins_to() -> None:
    ours, theirs, images, labels = both("simplenet")
    t = traced(ours, images, labels)
    hook = lambda module, args, output: output.register_hook(lambda g: 2 * g) and None  # noqa: E731
    theirs.features[11].register_forward_hook(hook)
    found = t.beside(theirs, step(theirs, images, labels))
    assert found.first is not None and found.first.name == "the gradient at features.11"


def test_other_weights_are_named() -> None:
    ours, theirs, images, labels = both("simplenet")
    with torch.no_grad():
        theirs.fc.bias[0] += 1
    t = traced(ours, images, labels)
    found = t.beside(theirs, step(theirs, images, labels))
    assert found.first is not None and found.first.name == "the parameter fc.bias"


def test_what_has_no_name_in_common_is_refused() -> None:
    x = mg.ones(2, requires_grad=True)
    with mg.trace() as t:
        x.sum().backward()
    theirs = torch.nn.Linear(2, 1)
    with pytest.raises(ValueError, match="no layer and no parameter"):
        t.beside(theirs, lambda: theirs(torch.ones(1, 2)).sum().backward())


def test_how_far_apart() -> None:
    assert apart(np.array([1.0, 2.0]), np.array([1.0, 4.0])) == 0.5
    assert apart(np.array([1.0]), np.array([1.0, 2.0])) == np.inf
    assert apart(np.array([np.nan, 1.0]), np.array([np.nan, 1.0])) == 0
    assert apart(np.array([np.nan]), np.array([1.0])) == np.inf
    assert apart(np.zeros(2), np.zeros(2)) == 0


@browser_wanted
def test_the_page_has_pytorchs_column_and_leads_to_the_first_difference(driver: Any, tmp_path: Path) -> None:  # noqa: F811
    ours, theirs, images, labels = both("simplenet")
    t = traced(ours, images, labels)
    theirs.features[6].register_forward_hook(lambda module, args, output: output * 1.01)
    t.beside(theirs, step(theirs, images, labels))
    page = opened(driver, t, tmp_path)
    assert "First difference from PyTorch: the result of features.6" in page.text("#banner")
    page.run("document.querySelector('#banner a').click()")
    assert page.text("#detail h2") == "Forward: Conv2dRelu #2" and "the first difference" in page.text("#detail")
    assert "≠ torch" in page.text(".row.now")
    assert "= torch" in page.run("return document.querySelector('.row[data-key=\"0\"]').innerText")
    page.run("for (let i = 0; i < state.steps.length; i++) go(i)")
    assert "in PyTorch" in page.text("#detail")
    assert page.errors() == []
