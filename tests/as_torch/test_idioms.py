"""Imports and small idioms of public code: what both libraries compute is the same, and what is imported is there."""

from __future__ import annotations

import importlib
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg

FOREIGN = Path(__file__).parent / "foreign"

NAMES = """
torch.accelerator.synchronize torch.autograd.functional.hessian torch.backends.cudnn.flags
torch.backends.opt_einsum.enabled torch.channels_last_3d torch.cuda.Event torch.cuda.Stream torch.cuda.get_rng_state_all
torch.cuda.memory_summary torch.cuda.nvtx.range_push torch.jit.freeze torch.jit.load torch.jit.save
torch.mps.manual_seed torch.nn._reduction.legacy_get_string torch.nn.common_types._size_2_t
torch.nn.functional._Reduction.get_enum torch.nn.grad.conv2d_input torch.nn.init.kaiming_normal
torch.nn.init.xavier_uniform torch.nn.modules.linear.NonDynamicallyQuantizableLinear torch.nn.modules.module._addindent
torch.nn.modules.transformer._get_clones torch.nn.parallel.data_parallel torch.nn.utils.parametrizations.weight_norm
torch.nn.utils.parametrize.register_parametrization torch.nn.utils.remove_spectral_norm
torch.optim.optimizer._use_grad_for_differentiable torch.optim.swa_utils.AveragedModel
torch.overrides.has_torch_function torch.utils.data._utils.collate.default_collate
torch.utils.data.dataloader.default_collate torch.utils.data.sampler.Sampler torch.utils.hooks.RemovableHandle
torch.utils.tensorboard.SummaryWriter
""".split()
"""Names that public files import or mention, and that are not mentioned in other tests."""


def found(path: str) -> Any:
    """What a dotted name is: the longest part of it that can be imported, then attributes."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        try:
            value: Any = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for name in parts[length:]:
            value = getattr(value, name)
        return value
    raise ImportError(path)


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_imported(name: str) -> None:
    if name.startswith("torch.utils.tensorboard"):
        pytest.importorskip("tensorboardX")
    with mg.as_torch():
        found(name)


@pytest.fixture(scope="module")
def both() -> Any:
    sys.path.insert(0, str(FOREIGN))
    try:
        import idioms as theirs

        with mg.as_torch():
            import idioms as ours
        yield theirs, ours
    finally:
        sys.path.remove(str(FOREIGN))
        sys.modules.pop("idioms", None)


def idioms() -> list[str]:
    lines = (FOREIGN / "idioms.py").read_text().splitlines()
    return [line[4 : line.index("(")] for line in lines if line.startswith("def ")]


def plain(value: Any) -> Any:
    """Tensors as arrays, all else as it is."""
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value.detach().numpy() if isinstance(value, (torch.Tensor, mg.Tensor)) else value


def compare(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, list):
        for a, b in zip(ours, theirs, strict=True):
            compare(a, b)
    elif isinstance(theirs, (np.ndarray, float)):
        assert np.shape(ours) == np.shape(theirs) and np.asarray(ours).dtype == np.asarray(theirs).dtype
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10 if np.asarray(theirs).dtype == np.float64 else 1e-6)
    else:
        assert ours == theirs


@pytest.mark.parametrize("name", idioms())
def test_idioms(both: Any, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, ours = (plain(getattr(module, name)()) for module in both)
    compare(ours, theirs)


def test_factors_without_a_gradient_say_so() -> None:
    with mg.as_torch():
        import torch as here

        x = here.ones(2, 2, requires_grad=True)
        with pytest.raises(NotImplementedError, match="linalg.svd has no gradient"):
            here.svd(x)
        assert here.svd(x.detach())[1].shape == (2,)


def test_an_array_keeps_its_type_outside() -> None:
    assert mg.Tensor(np.ones(2)).dtype == mg.float64
