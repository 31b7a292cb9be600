"""The doctor names every exhibit of the museum of broken backwards, with the line to look at, and no right op."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.autograd import GradcheckError, diagnose, gradcheck
from tests.autograd.museum import EXHIBITS, RIGHT, call, inputs_of


def test_the_museum_is_large_enough() -> None:
    assert len(EXHIBITS) >= 25 and len({op.__name__ for op in EXHIBITS}) == len(EXHIBITS)


@pytest.mark.parametrize("op", EXHIBITS, ids=lambda op: op.__name__)
def test_each_mistake_is_named_with_its_line(op: Any) -> None:
    def f(*inputs: Any) -> Any:  # the broken op lies among right ones
        return (call(op, *inputs) * 1.5).sin()

    inputs = inputs_of(op)
    found = [k for k in diagnose(f, inputs) if k.input == op.input]
    assert len(found) == 1 and found[0].op.startswith(op.__name__)
    assert op.expects in found[0].how, found[0]
    file, line = found[0].look_at.rsplit(":", 1)
    source = open(file).read().splitlines()
    assert file == inspect.getsourcefile(op)
    shown = int(line) - 1
    assert "# here" in source[shown], (found[0].look_at, source[shown])
    with pytest.raises(GradcheckError) as caught:
        gradcheck(f, inputs)
    assert op.expects in str(caught.value) and found[0].look_at in str(caught.value)


@pytest.mark.parametrize("op", EXHIBITS, ids=lambda op: op.__name__)
def test_elsewhere_too(op: Any) -> None:
    """The name does not hang on one lucky point."""
    named = 0
    for seed in range(3):
        random = np.random.default_rng(seed)
        low = 0.3 if op.positive else -1.4
        inputs = [mg.tensor(random.uniform(low, 1.4, s), dtype=mg.float64).requires_grad_() for s in op.shapes]
        found = [k for k in diagnose(lambda *xs, op=op: call(op, *xs), inputs) if k.input == op.input]
        assert len(found) == 1
        named += op.expects in found[0].how
    assert named == 3


@pytest.mark.parametrize("name", RIGHT)
def test_no_right_op_is_accused(name: str) -> None:
    f, shapes = RIGHT[name]
    for seed in range(3):
        random = np.random.default_rng(seed)
        inputs = [mg.tensor(random.uniform(-1.5, 1.5, s), dtype=mg.float64).requires_grad_() for s in shapes]
        assert diagnose(f, inputs) == []
