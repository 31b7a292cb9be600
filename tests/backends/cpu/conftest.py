"""Threads and blocks as small tests need them: kernels on one thread and on three, in blocks of a few rows."""

from __future__ import annotations

import sys

import pytest

from minigrad.backends import cpu
from minigrad.backends.cpu import pooling


@pytest.fixture(params=[1, 3])
def team(request):
    """Kernels on one thread and on three."""
    before = cpu.get_num_threads()
    cpu.set_num_threads(request.param)
    yield request.param
    cpu.set_num_threads(before)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of a few rows even for the small images of a test, and threads for any work."""
    from minigrad.backends.cpu import columns, convolution, folding, layout, normalization, products

    for module in (columns, pooling):
        monkeypatch.setattr(module, "CACHE", 2000)
    monkeypatch.setattr(columns, "LEAST", 1)
    monkeypatch.setattr(columns, "SUMS", 4000)
    monkeypatch.setattr(convolution, "SHARE", 1)
    for module in (pooling, folding):
        monkeypatch.setattr(module, "SMALL", 0)
    for module in (layout, normalization, products):
        monkeypatch.setattr(module, "BLOCK", 40)
    for name in ("layer_norm", "softmax"):
        monkeypatch.setattr(sys.modules[f"minigrad.backends.cpu.{name}"], "BLOCK", 40)


@pytest.fixture
def any_winograd(monkeypatch):
    """Winograd's tiles for every convolution that they suit, in blocks of one image."""
    from minigrad.backends.cpu import winograd

    for name in ("CHANNELS", "WORK", "TILES", "GRAIN"):
        monkeypatch.setattr(winograd, name, 1)
    monkeypatch.setattr(winograd, "WASTE", 4)
    monkeypatch.setattr(winograd, "get_num_threads", lambda: 1)
    return winograd
