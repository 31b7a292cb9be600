"""The time of one small op, and of an op in a long chain, each framework in a process of its own."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from compare.kit.frameworks import FRAMEWORKS
from compare.kit.result import ROOT, Result

OPS = (
    "add", "mul", "div", "exp", "sigmoid", "relu", "where", "sum", "mean", "amax", "softmax", "matmul", "linear", "reshape",
    "getitem", "cat",
)  # fmt: skip
LENGTHS = (1_000, 10_000, 100_000)
CALLS = 200  # in a batch


def measure(options: argparse.Namespace, begun: Result) -> Result:
    """The result: the times of each small op in each round and framework, and those of the chains."""
    times: dict[str, dict[str, list[float]]] = {"minigrad": {}, "torch": {}}
    for turn in range(options.rounds):
        print(f"round {turn + 1} of {options.rounds}", flush=True)
        for framework, found in times.items():
            for op, microseconds in child("small", framework, str(options.batches)).items():
                found.setdefault(op, []).append(microseconds)
    return begun | {"microseconds": times, "chain": child("chain", "minigrad", "3")}


def child(what: str, framework: str, argument: str) -> dict[str, float]:
    """The measurement in a process of its own."""
    command = [sys.executable, "-m", "compare.overhead.measure", what, framework, argument]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


# in that process


def small(framework: Any, batches: int) -> dict[str, float]:
    """The least microseconds a call of forward and backward, for each op."""
    x = framework.rand(10, 10).add(0.5).requires_grad_()
    w = framework.rand(10, 10).add(0.5).requires_grad_()
    g, mask, linear = framework.ones(10, 10), x.detach() > 1, framework.nn.functional.linear
    starts = {"sum": framework.tensor(1.0), "reshape": g.reshape(100), "mean": g[0], "amax": g[0], "getitem": g[2:7]}
    starts["cat"] = framework.cat([g, g])
    ops: dict[str, Callable[[], Any]] = {
        "add": lambda: x + w,
        "mul": lambda: x * w,
        "exp": lambda: x.exp(),
        "relu": lambda: x.relu(),
        "sum": lambda: x.sum(),
        "matmul": lambda: x @ w,
        "div": lambda: x / w,
        "sigmoid": lambda: x.sigmoid(),
        "where": lambda: framework.where(mask, x, w),
        "mean": lambda: x.mean(1),
        "amax": lambda: x.amax(1),
        "softmax": lambda: x.softmax(1),
        "linear": lambda: linear(x, w),
        "reshape": lambda: x.reshape(100),
        "getitem": lambda: x[2:7],
        "cat": lambda: framework.cat([x, w]),
    }
    found = {}
    for name in OPS:
        op, start = ops[name], starts.get(name, g)

        def call(op: Callable[[], Any] = op, start: Any = start) -> None:
            op().backward(start)
            x.grad = w.grad = None

        found[name] = min(batch(call) for _ in range(batches)) * 1e6
    return found


def batch(call: Callable[[], None]) -> float:
    """Seconds a call, over a batch of calls."""
    started = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - started) / CALLS


def chain(framework: Any, repeats: int) -> dict[str, float]:
    """The least microseconds an op, forward and backward, for each length of chain."""
    found = {}
    for length in LENGTHS:
        seconds = []
        for _ in range(repeats):
            x = framework.ones(1).requires_grad_()
            started = time.perf_counter()
            y = x
            for _ in range(length):
                y = y + 1
            y.backward(framework.ones(1))
            seconds.append(time.perf_counter() - started)
            assert float(x.grad) == 1.0
            del y
        found[str(length)] = float(np.min(seconds)) / length * 1e6
    return found


def main(what: str, framework: str, argument: str) -> None:
    """Print the measurement as JSON."""
    library = FRAMEWORKS[framework](threads=1).library
    print(json.dumps({"small": small, "chain": chain}[what](library, int(argument))))


if __name__ == "__main__":
    main(*sys.argv[1:])
