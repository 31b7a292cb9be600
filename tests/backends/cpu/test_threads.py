"""The threads that share a kernel's work, and their scratch memory."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from minigrad.backends import cpu
from minigrad.backends.cpu import threads
from minigrad.window import Window
from tests.backends.cpu.checking import as_window, numbers


def network_pass():
    """A few kernels large enough for several threads; what they return, as bytes."""
    x, w, b = numbers(6, 8, 24, 24), numbers(16, 8, 3, 3, seed=1), numbers(16, seed=2)
    window, pool, needs = Window((3, 3), padding=(1, 1)), as_window("3/2/1"), (True,) * 3
    y = cpu.conv2d(x, w, b, window=window, relu=True)
    gy = numbers(*y.shape, seed=3)
    p, tap = cpu.conv2d_relu_max_pool2d(x, w, b, window=window, pool=pool)
    gp = numbers(*p.shape, seed=4)
    z, mean, invstd, var = cpu.batch_norm(y, None, None, eps=1e-5)
    results = [y, p, tap, z, mean, invstd, var, cpu.softmax(y, dim=1), cpu.adaptive_avg_pool2d(y, output_size=(1, 1))]
    results += cpu.conv2d_backward(gy, x, w, y, x_shape=x.shape, window=window, needs=needs)
    results += cpu.conv2d_relu_max_pool2d_backward(
        gp, x, w, tap, x_shape=x.shape, window=window, pool=pool, needs=needs
    )
    results += cpu.batch_norm_backward(gy, y, np.ones_like(mean), mean, invstd, training=True, needs=needs)
    return [r.tobytes() for r in results]


def test_the_same_result_every_time(team):
    assert network_pass() == network_pass()


def test_kernels_called_from_several_threads_at_once(team):
    expected, got = network_pass(), {}

    def caller(i):
        got[i] = [network_pass() for _ in range(3)]

    callers = [threading.Thread(target=caller, args=(i,)) for i in range(4)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    assert got == {i: [expected] * 3 for i in range(4)}


def test_parallel_for_covers_the_range_in_order_and_nests(team):
    def outer(start, stop):
        return [threads.parallel_for(4, lambda a, b: list(range(a, b))) for _ in range(start, stop)]

    parts = threads.parallel_for(7, outer)
    assert len(parts) == (1 if team == 1 else 7)
    assert [inner for part in parts for inner in part] == [[[0, 1, 2, 3]]] * 7
    assert threads.parallel_for(7, lambda a, b: list(range(a, b)), each=1) == (
        [list(range(7))] if team == 1 else [[0, 1], [2, 3], [4, 5, 6]]
    )
    assert threads.parallel_for(5, lambda a, b: (a, b), grain=5) == [(0, 5)]
    assert threads.parallel_for(0, lambda a, b: (a, b)) == [(0, 0)]


def test_parallel_for_passes_errors_on_and_recovers(team):
    def body(start, stop):
        if stop == 6:
            raise ValueError("in the last share")

    with pytest.raises(ValueError, match="last share"):
        threads.parallel_for(6, body)
    assert sum(b - a for a, b in threads.parallel_for(6, lambda a, b: (a, b))) == 6


def test_set_num_threads_refuses_none():
    with pytest.raises(ValueError, match="at least 1"):
        cpu.set_num_threads(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_kernels_work_in_a_forked_child(team):
    expected = network_pass()
    child = os.fork()
    if child == 0:
        os._exit(0 if network_pass() == expected else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_scratch_is_reused_and_its_own_in_each_thread():
    a = threads.scratch("test", (100,), np.float32)
    assert a.ctypes.data % 64 == 0
    assert np.shares_memory(a, threads.scratch("test", (50, 2), np.float32))
    assert not np.shares_memory(a, threads.scratch("other", (100,), np.float32))
    others = []
    thread = threading.Thread(target=lambda: others.append(threads.scratch("test", (100,), np.float32)))
    thread.start()
    thread.join()
    assert not np.shares_memory(a, others[0])
