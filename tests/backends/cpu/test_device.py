"""The CPU as a device: its memory, and copies that are the array itself."""

from __future__ import annotations

import mmap

import numpy as np
import pytest

from minigrad import backends
from minigrad.backends import cpu


def test_memory_is_measured():
    cpu.reset_peak_memory_stats()
    before = cpu.memory_allocated()
    block = np.frombuffer(
        mmap.mmap(-1, 1 << 27)
    )  # 128 MiB of the system's: the process's own freed memory is held already
    block[:] = 1
    assert cpu.max_memory_allocated() >= before + block.nbytes // 2
    assert cpu.memory_allocated() > 0


def test_a_backend_by_array_and_by_name():
    assert backends.of(np.ones(3)) is cpu and backends.of(np.float32(1)) is cpu
    assert backends.get("cpu") is cpu and cpu.xp is np
    with pytest.raises(ValueError, match="tpu"):
        backends.get("tpu")


def test_host_copies_are_the_array_itself():
    x = np.ones(3)
    assert cpu.to_host(x) is x and cpu.from_host(x) is x
    cpu.synchronize()
