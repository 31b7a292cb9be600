"""python -m compare overhead: what one small op costs, and whether a long chain of ops costs in proportion to its length.

Small op: forward and backward of an op on 100 floats, gradients set back to None, in microseconds a call: the least of
several batches of calls. minigrad and torch run in processes of their own, in turn, each with one thread; the ratio is the
median over the rounds. Chain: y = y + 1 a thousand, ten thousand and a hundred thousand times, forward and backward, in
microseconds an op: the figure should not grow with the length (minigrad only; a recursive engine would fail here).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compare.arguments import Parser, count, need_torch
from compare.plots import COLOURS, INK, as_png, new_figure, quiet
from compare.results import ROOT, Result, check_target, origin, write_result
from compare.summary import Summary, summarize
from compare.tables import Table, as_text

FORMAT = "compare overhead 1"
OPS = (
    "add", "mul", "div", "exp", "sigmoid", "relu", "where", "sum", "mean", "amax", "softmax", "matmul", "linear", "reshape",
    "getitem", "cat",
)  # fmt: skip
LENGTHS = (1_000, 10_000, 100_000)
CALLS = 200  # in a batch


def run(arguments: Sequence[str]) -> int:
    """Measure and print a table; write --json if asked."""
    options = parse(arguments)
    need_torch()
    result: Result = {"format": FORMAT} | origin("overhead", arguments)
    times: dict[str, dict[str, list[float]]] = {"minigrad": {}, "torch": {}}
    for turn in range(options.rounds):
        print(f"round {turn + 1} of {options.rounds}", flush=True)
        for framework, found in times.items():
            for op, microseconds in child("small", framework, str(options.batches)).items():
                found.setdefault(op, []).append(microseconds)
    result |= {"microseconds": times, "chain": child("chain", "minigrad", "3")}
    print("\n\n".join([*map(as_text, tables(result)), verdict(result)]))
    write_result(options.json, result)
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options. OptionError for what is not understood."""
    parser = Parser("overhead", __doc__)
    parser.add_argument("--rounds", type=count(1, 100), default=5, help="turns of each framework (5)")
    parser.add_argument("--batches", type=count(1, 1000), default=20, help=f"batches of {CALLS} calls in a turn (20)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to this file")
    options = parser.parse_args(arguments)
    check_target(options.json, FORMAT)
    return options


# reporting


def tables(result: Result) -> list[Table]:
    """The small ops, and the chains."""
    times = result["microseconds"]
    rows = []
    for op, ratio in ratios(result).items():
        least = (f"{min(times[framework][op]):.1f}" for framework in ("minigrad", "torch"))
        rows.append([op, *least, f"{ratio['median']:.2f}", f"{ratio['lower']:.2f}-{ratio['upper']:.2f}"])
    title = "one op on 100 floats, forward and backward, one thread; microseconds a call"
    small = Table(title, ["op", "minigrad", "torch", "ours / torch", "quartiles"], rows)
    chains = [[f"{int(length):,} ops", f"{microseconds:.2f}"] for length, microseconds in result["chain"].items()]
    title = "a chain y = y + 1, forward and backward, in minigrad; microseconds an op"
    return [small, Table(title, ["length", "an op"], chains)]


def ratios(result: Result) -> dict[str, Summary]:
    """Our time over torch's, of each op, over the rounds."""
    ours, theirs = (result["microseconds"][framework] for framework in ("minigrad", "torch"))
    return {op: summarize([a / b for a, b in zip(ours[op], theirs[op], strict=True)]) for op in ours}


def verdict(result: Result) -> str:
    """What a reader should take away."""
    found = {op: ratio["median"] for op, ratio in ratios(result).items()}
    least, most = min(found, key=found.__getitem__), max(found, key=found.__getitem__)
    chain = {int(length): microseconds for length, microseconds in result["chain"].items()}
    short, long = min(chain), max(chain)
    return (
        f"One small op, forward and backward, takes minigrad {found[least]:.2f} ({least}) to {found[most]:.2f} ({most}) of torch's "
        f"time, in the middle {np.median(list(found.values())):.2f}; an op in a chain of {long:,} costs "
        f"{chain[long] / chain[short]:.2f} of one in a chain of {short:,}."
    )


def pictures(result: Result) -> dict[str, bytes]:
    """One picture: our time over torch's, a dot an op with its quartiles."""
    found = sorted(ratios(result).items(), key=lambda item: item[1]["median"])
    figure, panels = new_figure(1, 1, "One small op", "forward and backward on 100 floats; ours / torch", (6.4, 3.6))
    axes = panels[0, 0]
    middle = np.array([ratio["median"] for _, ratio in found])
    spread = [middle - [r["lower"] for _, r in found], [r["upper"] for _, r in found] - middle]
    axes.errorbar(range(len(found)), middle, spread, fmt="o", color=COLOURS["minigrad"], ms=5, lw=1.2)
    axes.axhline(1, color=INK, lw=0.8)
    axes.set_xticks(range(len(found)), [op for op, _ in found], rotation=45, ha="right")
    axes.set_ylim(0, None)
    quiet(axes, "Median and quartiles of the rounds; below 1 minigrad is faster")
    return {"overhead": as_png(figure)}


# measuring


def child(what: str, framework: str, argument: str) -> dict[str, float]:
    """The measurement in a process of its own."""
    command = [sys.executable, "-m", "compare.overhead", what, framework, argument]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


# -- in the child ---------------------------------------------------------------------------------------------------------


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
    if framework == "torch":
        import torch as engine

        engine.set_num_threads(1)
    else:
        import minigrad as engine  # type: ignore[no-redef]
        import minigrad.nn.functional

        engine.set_num_threads(1)
    print(json.dumps({"small": small, "chain": chain}[what](engine, int(argument))))


if __name__ == "__main__":
    main(*sys.argv[1:])
