"""The least time that a training step can take on a machine: its arithmetic and its traffic, at the machine's own rates.

    floor = multiply-adds / rate of a large matrix product  +  bytes / rate of a large copy

Multiply-adds are those of convolutions, linear layers, matrix products and attention, as their definitions have them: of
the forward pass, and for each gradient of an operand the same again. (Winograd's convolution needs fewer: it can be faster
than this floor.) Bytes are those that no cache saves: each op reads each array that it is given, or kept, once, and writes
each result once; views are free; the update reads and writes parameters, gradients and the optimizer's state. What is fused
has fewer bytes: the floor is that of the ops as they ran. Both rates are measured with all the job's threads, best of
ROUNDS. Time spent in other arithmetic, and in Python, has no floor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np

from compare.kit.job import Training
from minigrad.arrays import is_array, memory_of
from minigrad.autograd.graph import held
from minigrad.autograd.observer import Observer
from minigrad.backends.cpu.threads import get_num_threads, parallel_for
from minigrad.op import Op
from minigrad.ops.attention import ScaledDotProductAttention
from minigrad.ops.convolution import Conv2d, ConvTranspose2d
from minigrad.ops.matmul import Linear, Matmul
from minigrad.tensor import Tensor

SIDE = 2048  # of the matrices
COPIED = 1 << 28  # bytes: far more than any cache has
ROUNDS = 7
UPDATED = {"sgd": 5, "adamw": 7}  # arrays of a parameter's size that a step of the optimizer reads and writes


@dataclass
class Work:
    """What has to be done: multiply-adds, and bytes to and from memory, forward and backward."""

    multiply_adds: int = 0
    bytes: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(self.multiply_adds + other.multiply_adds, self.bytes + other.bytes)


@dataclass(frozen=True)
class Rates:
    """What a machine does in a second: multiply-adds of a large float32 product, bytes read and written by a large copy."""

    multiply_adds: float
    bytes: float

    def floor(self, work: Work) -> float:
        """Seconds."""
        return work.multiply_adds / self.multiply_adds + work.bytes / self.bytes


def machine_rates() -> Rates:
    """The rates with as many threads as minigrad has now, each with a product and a copy of its own."""
    threads = get_num_threads()
    columns = SIDE // threads
    a = np.ones((SIDE, SIDE), np.float32)
    b, c = (np.ones((threads, SIDE, columns), np.float32) for _ in range(2))
    source, target = (np.ones((threads, COPIED // threads), np.uint8) for _ in range(2))

    def multiply(start: int, stop: int) -> None:
        for i in range(start, stop):
            np.matmul(a, b[i], out=c[i])

    def copy(start: int, stop: int) -> None:
        for i in range(start, stop):
            np.copyto(target[i], source[i])

    return Rates(SIDE * SIDE * columns * threads / _best(multiply, threads), 2 * source.nbytes / _best(copy, threads))


def _best(body: Callable[[int, int], None], threads: int) -> float:
    """Seconds that the shares of all threads take together, the least of ROUNDS."""
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        parallel_for(threads, body, each=1)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


class Counter(Observer):
    """Counts the work of every op within it, by the op's name: `counter.rows`."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, Work] = {}
        self._products: dict[int, int] = {}  # by node: the multiply-adds of its forward pass
        self._read: list[Any] = []  # by the backward pass that is under way

    def after_forward(self, node: Op, inputs: tuple[Any, ...], outputs: list[Tensor]) -> None:
        made = [y.array for y in outputs if y._base is None]
        given = [x.array for x in inputs if isinstance(x, Tensor)] if made else []
        self._products[id(node)] = count = products(node, inputs)
        self._add(node, count, [*given, *made])

    def before_backward(self, node: Op, gradients: list[Tensor | None]) -> None:
        self._read = [*(g.array for g in gradients if g is not None), *(array for _, array in held(node))]

    def after_backward(self, node: Op, gradients: list[Tensor | None], results: tuple[Any, ...]) -> None:
        arrays = [g.array if isinstance(g, Tensor) else g for g in results]
        owners = {id(memory_of(array)) for array in self._read}
        made = [array for array in arrays if is_array(array) and id(memory_of(array)) not in owners]
        again = 2 if isinstance(node, ScaledDotProductAttention) else sum(array is not None for array in arrays[:2])
        self._add(node, again * self._products.get(id(node), 0), [*self._read, *made] if made else [])
        self._read = []

    def _add(self, node: Op, multiply_adds: int, arrays: Iterable[Any]) -> None:
        traffic = sum({id(array): array.nbytes for array in arrays}.values())
        self.rows[node.name()] = self.rows.get(node.name(), Work()) + Work(multiply_adds, traffic)


def products(node: Op, inputs: tuple[Any, ...]) -> int:
    """The multiply-adds of a node's forward pass in matrix products; 0 of an op that has none."""
    if isinstance(node, Conv2d):
        x, w = inputs[:2]
        return int(x.shape[0] * prod(node.window.output_size(x.shape[2:])) * w.numel())
    if isinstance(node, ConvTranspose2d):
        x, w = inputs[:2]
        return int(x.shape[0] * prod(x.shape[2:]) * w.numel())
    if isinstance(node, Linear):
        x, w = inputs[:2]
        return int(x.numel() * w.shape[0])
    if isinstance(node, Matmul):
        x, y = inputs
        rows = prod(x.shape[-2:]) if x.ndim > 1 else x.shape[0]
        batch = prod(np.broadcast_shapes(x.shape[:-2], y.shape[:-2]))
        return int(batch * rows * (y.shape[-1] if y.ndim > 1 else 1))
    if isinstance(node, ScaledDotProductAttention):
        q, k, v = inputs[:3]
        return int(prod(q.shape[:-1]) * k.shape[-2] * (q.shape[-1] + v.shape[-1]))
    return 0


def count_step(training: Training) -> dict[str, Work]:
    """The work of a training step of minigrad, by op; the update is "update"."""
    with Counter() as counter:
        training.forward()
        training.backward()
    size = sum(p.array.nbytes for p in training.model.parameters())
    clipped = 3 * size if training.job.clip_grad else 0  # read for the norm, read and written to be scaled
    return {**counter.rows, "update": Work(0, UPDATED[training.job.optimizer] * size + clipped)}


def least(training: Training) -> dict[str, Any]:
    """{"rates", "rows": {op: {"multiply_adds", "bytes", "floor"}}, "floor"}: what a step of minigrad needs at the least."""
    rates, rows = machine_rates(), count_step(training)
    found = {op: {**asdict(work), "floor": rates.floor(work)} for op, work in rows.items()}
    return {"rates": asdict(rates), "rows": found, "floor": sum(row["floor"] for row in found.values())}
