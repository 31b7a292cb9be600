"""Every CUDA source compiles by the real NVRTC, as CuPy calls it, for the GPUs of today, and nothing spills."""

from __future__ import annotations

import functools
import re

import pytest

from tests import emulator
from tools import nvrtc

pytestmark = pytest.mark.skipif(nvrtc.library() is None, reason="no NVRTC: pip install nvidia-cuda-nvrtc")

MAX_REGISTERS = 128  # a thread: two blocks of 256 threads then share a multiprocessor's 65,536

costs = functools.cache(nvrtc.costs)


@pytest.mark.parametrize("architecture", nvrtc.ARCHITECTURES)
@pytest.mark.parametrize("scalar, tap", list(zip(nvrtc.TYPES, nvrtc.TAPS, strict=True)))
@pytest.mark.parametrize("name", nvrtc.names())
def test_sources_compile_without_spills(name: str, scalar: str, tap: str, architecture: int) -> None:
    kernels = re.findall(r"__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\(", nvrtc.source(name))
    found = [costs(name, architecture, scalar, tap, tf32) for tf32 in nvrtc.forms(name, scalar)]
    assert all(sorted(cost.kernel for cost in form) == sorted(kernels) for form in found)
    for cost in (cost for form in found for cost in form):
        assert cost.spilled == 0, cost
        assert 0 < cost.registers <= MAX_REGISTERS, cost


def test_options_and_sources_are_the_backends() -> None:
    """What is compiled here is what the GPU backend hands to CuPy."""
    launch = emulator.import_with(emulator.standin(), "minigrad.backends.gpu").launch
    for name in nvrtc.names():
        assert nvrtc.source(name) == launch.source(name)
    assert [launch.C_TYPES[d] for d in launch.C_TYPES] == list(nvrtc.TYPES)


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(nvrtc.CompileError, match="nonsense"):
        nvrtc.compile_source('extern "C" __global__ void f(float* x) { x[0] = nonsense; }', 90, ())


def test_spills_are_seen() -> None:
    """A kernel that keeps more numbers than it has registers for."""
    loads = "".join(f"float a{i} = x[{i} * n];" for i in range(300))
    stores = "".join(f"x[{i} * n + 1] = a{i} * a{299 - i} + a{(7 * i) % 300};" for i in range(300))
    code = (
        f'extern "C" __global__ void __launch_bounds__(1024) f(float* x, int n) {{ {loads} __syncthreads(); {stores} }}'
    )
    _, log = nvrtc.compile_source(code, 90, ())
    assert sum(map(int, re.findall(r"(\d+) bytes spill stores", log))) > 0


@pytest.mark.slow  # that sources compile without spills is seen above: this is of a page, and of one NVRTC
@pytest.mark.parametrize("name", nvrtc.names())
def test_the_page_has_the_figures(name: str) -> None:
    """docs/gpu.md, if this NVRTC made it. After a change of a kernel: python tools/nvrtc.py --write"""
    page = nvrtc.PAGE.read_text().split(nvrtc.BEGIN)[1].split(nvrtc.END)[0]
    if f"NVRTC {nvrtc.version()}," not in page:
        pytest.skip("another NVRTC made the page's table")
    rows = {
        row[0]: row[2:-2]
        for row in (re.findall(r"[^|\s]+(?: / \d+)?", line) for line in page.splitlines())
        if row[1:2] == [f"{name}.cu"]
    }
    for i, (architecture, scalar) in enumerate((a, s) for a in nvrtc.ARCHITECTURES for s in nvrtc.TYPES):
        found = {
            f"{cost.kernel}:TF32={tf32}" if tf32 else cost.kernel: str(cost.registers)
            for tf32 in nvrtc.forms(name, scalar)
            for cost in costs(name, architecture, scalar, tf32=tf32)
        }
        written = {kernel: row[i] for kernel, row in rows.items() if row[i] != "-"}
        assert written == found, "run: python tools/nvrtc.py --write"
