"""Two devices for every test that asks for one.

`device` is "cpu", and "gpu": CuPy on a real GPU where there is one, else a strict stand-in for CuPy that runs the same
Python and the same CUDA sources on the CPU (tests/emulator). `pytest -m gpu` runs the gpu half alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

os.environ.setdefault("MPLBACKEND", "Agg")

import pytest


def _real_gpu() -> bool:
    try:
        import cupy

        return bool(cupy.cuda.is_available())
    except Exception:  # not installed, no driver, or a broken installation: the stand-in serves
        return False


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", metavar="FILE", help="write what the checks of ops measured to FILE, as JSON")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption("--record"):
        import json
        from pathlib import Path

        from tests.checking import RECORDS

        Path(session.config.getoption("--record")).write_text(json.dumps(RECORDS, indent=1, sort_keys=True))


def pytest_configure(config: pytest.Config) -> None:
    from minigrad import backends

    backends.cudnn.allow_tf32 = False  # what is compared with PyTorch on a CPU is the precise form
    if not _real_gpu():
        from tests.emulator import install

        install()


@pytest.fixture(autouse=True, scope="module")
def _fresh_gradients(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every backward pass is watched, but where tests look at the frames of the pass itself."""
    from tests.ownership import watched

    if request.path.parent.name == "autograd":
        yield
    else:
        with watched():
            yield


@pytest.fixture(params=["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """The name of the device that a test runs on."""
    return request.param


@pytest.fixture(autouse=True, scope="session")
def _few_threads() -> None:
    """Small tensors gain nothing from torch's threads, and tests run side by side."""
    try:
        import torch

        torch.set_num_threads(1)
    except ImportError:
        pass
