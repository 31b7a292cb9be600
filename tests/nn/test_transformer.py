"""The whole transformer, batch normalisation over one process, and a wrapper of one device."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg


def test_data_parallel_of_one_device() -> None:
    inner = mg.nn.Linear(3, 2)
    model = mg.nn.DataParallel(inner)
    x = mg.randn(4, 3)
    assert list(model.state_dict()) == ["module.weight", "module.bias"] and model(x).tolist() == inner(x).tolist()


def test_sync_batch_norm_of_one_process() -> None:
    model = mg.nn.Sequential(mg.nn.Conv2d(3, 4, 3), mg.nn.BatchNorm2d(4), mg.nn.Sequential(mg.nn.BatchNorm2d(4)))
    x = mg.randn(2, 3, 5, 5)
    expected, state = model(x).tolist(), model.state_dict()
    for key in ("1.running_mean", "1.running_var", "1.num_batches_tracked"):
        state[key] = state[key].clone()
    assert mg.nn.SyncBatchNorm(4)(x[:, :1].expand(2, 4, 5, 5)).shape == (2, 4, 5, 5)
    converted = mg.nn.SyncBatchNorm.convert_sync_batchnorm(model)
    assert isinstance(converted[1], mg.nn.SyncBatchNorm) and isinstance(converted[2][0], mg.nn.SyncBatchNorm)
    assert list(converted.state_dict()) == list(state) and converted(x).tolist() == expected


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_transformer(norm_first: bool, batch_first: bool) -> None:
    arguments: Any = (16, 2, 2, 2, 32, 0.0)
    kind: Any = {"norm_first": norm_first, "batch_first": batch_first}
    with pytest.warns(UserWarning) if norm_first or not batch_first else _nothing():
        theirs = torch.nn.Transformer(*arguments, **kind).double()
    ours = mg.nn.Transformer(*arguments, **kind).double()
    ours.load_state_dict({k: mg.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    random = np.random.default_rng(0)
    src, tgt = random.uniform(-1, 1, (3, 5, 16)), random.uniform(-1, 1, (3, 4, 16) if batch_first else (4, 5, 16))
    found = []
    for library, model in ((torch, theirs), (mg, ours)):
        mask = model.generate_square_subsequent_mask(4).double()
        y = model(library.tensor(src), library.tensor(tgt), tgt_mask=mask)
        (y * library.tensor(np.random.default_rng(1).uniform(-1, 1, tuple(y.shape)))).sum().backward()
        found.append([y.detach().numpy(), *[p.grad.numpy() for p in model.parameters()]])
    for expected, got in zip(*found, strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-11)


def _nothing() -> Any:
    return contextlib.nullcontext()


def test_decoder_alone() -> None:
    layer = mg.nn.TransformerDecoderLayer(6, 2, 8, 0.0).double()
    theirs = torch.nn.TransformerDecoder(torch.nn.TransformerDecoderLayer(6, 2, 8, 0.0), 2).double()
    ours = mg.nn.TransformerDecoder(layer, 2)
    ours.load_state_dict({k: mg.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    random = np.random.default_rng(0)
    tgt, memory = random.uniform(-1, 1, (3, 2, 6)), random.uniform(-1, 1, (5, 2, 6))
    expected = theirs(torch.tensor(tgt), torch.tensor(memory)).detach().numpy()
    np.testing.assert_allclose(ours(mg.tensor(tgt), mg.tensor(memory)).detach().numpy(), expected, rtol=0, atol=1e-12)
