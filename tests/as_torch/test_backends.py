"""torch.backends under as_torch: TF32 is minigrad's own switch, with torch's names and defaults."""

from __future__ import annotations

import runpy
from collections.abc import Iterator

import pytest
import torch

from minigrad.as_torch import names
from minigrad.backends import precision


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = precision.cudnn.allow_tf32, precision.cuda.matmul.allow_tf32
    yield
    precision.cudnn.allow_tf32, precision.cuda.matmul.allow_tf32 = before


def test_defaults_are_torchs() -> None:
    fresh = runpy.run_path(precision.__file__)  # the tests themselves run on the precise forms
    assert fresh["cudnn"].allow_tf32 is torch.backends.cudnn.allow_tf32 is True
    assert fresh["cuda"].matmul.allow_tf32 is torch.backends.cuda.matmul.allow_tf32 is False
    assert names.get_float32_matmul_precision() == torch.get_float32_matmul_precision() == "highest"


def test_the_switches_are_minigrads() -> None:
    names.backends.cudnn.allow_tf32 = False
    names.backends.cuda.matmul.allow_tf32 = True
    assert precision.cudnn.allow_tf32 is False and precision.cuda.matmul.allow_tf32 is True
    precision.cudnn.allow_tf32 = True
    assert names.backends.cudnn.allow_tf32 is True
    names.backends.cudnn.benchmark = True  # what changes nothing can still be set
    assert names.backends.cudnn.benchmark is True


@pytest.mark.parametrize(("precision_", "allowed"), [("high", True), ("highest", False), ("medium", True)])
def test_float32_matmul_precision(precision_: str, allowed: bool) -> None:
    names.set_float32_matmul_precision(precision_)
    assert precision.cuda.matmul.allow_tf32 is allowed
    assert names.get_float32_matmul_precision() == ("high" if allowed else "highest")


def test_another_precision_warns_as_torch_does() -> None:
    with pytest.warns(UserWarning, match="is not one of 'highest', 'high', or 'medium'"):
        names.set_float32_matmul_precision("low")
    assert names.get_float32_matmul_precision() == "highest"
