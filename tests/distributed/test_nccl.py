"""Ranks on GPUs: NCCL's collectives between threads, through the stand-in of tests/emulator."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import minigrad.distributed as dist
from minigrad import nn
from minigrad.distributed import collectives, group
from minigrad.distributed.launch import Launch
from minigrad.distributed.nccl import NCCL
from minigrad.distributed.watch import Watch
from tests import emulator

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        emulator.real_cupy() is not None, reason="ranks are threads of the stand-in, which has one GPU for all"
    ),
]
RANKS = 2


class Together:
    """The watch's exchanges, between threads."""

    def __init__(self) -> None:
        self.barrier, self.values = threading.Barrier(RANKS), [None] * RANKS

    def gather(self, rank: int, value: Any) -> list[Any]:
        self.values[rank] = value
        self.barrier.wait(20)
        found = list(self.values)
        self.barrier.wait(20)
        return found


def on_ranks(monkeypatch: pytest.MonkeyPatch, work: Callable[[int], Any]) -> list[Any]:
    """[work(rank)], each in a thread of its own, whose process group has NCCL alone."""
    own, together = threading.local(), Together()
    results: list[Any] = [None] * RANKS
    errors: list[BaseException] = []

    def current(asked: Any = None) -> Any:
        return own.group

    for module in (group, collectives):
        monkeypatch.setattr(module, "current", current)
    monkeypatch.setattr("minigrad.nn.parallel.current", current)
    monkeypatch.setattr("minigrad.nn.batchnorm.current", current)
    monkeypatch.setattr("minigrad.nn.batchnorm.is_initialized", lambda: True)

    def live(rank: int) -> None:
        try:
            watch = Watch(rank, RANKS, 20.0)
            watch.gather = lambda value: together.gather(rank, value)  # type: ignore[method-assign]
            own.group = group.ProcessGroup(Launch(rank, RANKS, rank, RANKS, "torchrun"), watch, "nccl", gpu=NCCL(watch))
            results[rank] = work(rank)
        except BaseException as error:
            errors.append(error)
            together.barrier.abort()

    threads = [threading.Thread(target=live, args=(rank,)) for rank in range(RANKS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if errors:
        raise errors[0]
    return results


def test_collectives_of_gpu_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(rank: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for dtype in (mg.float32, mg.float64, mg.float16, mg.int64):
            x = mg.tensor([[1, 2], [3, 4]], dtype=dtype, device="gpu").transpose(0, 1)
            dist.all_reduce(x)
            found[str(dtype)] = x.tolist()
        x = mg.tensor([float(rank), 5.0], device="gpu")
        dist.all_reduce(x, dist.ReduceOp.AVG)
        found["avg"] = x.tolist()
        x = mg.tensor([float(rank)], device="gpu")
        dist.broadcast(x, 1)
        found["broadcast"] = x.tolist()
        parts = [mg.zeros(2, device="gpu") for _ in range(RANKS)]
        dist.all_gather(parts, mg.tensor([rank, rank + 0.5], device="gpu"))
        found["all_gather"] = [p.tolist() for p in parts]
        x = mg.zeros(2, device="gpu")
        dist.reduce_scatter_tensor(x, mg.arange(4, device="gpu").float())
        found["reduce_scatter"] = x.tolist()
        dist.scatter(x, [mg.full((2,), 7.0 * k, device="gpu") for k in range(RANKS)] if rank == 0 else None)
        found["scatter"] = x.tolist()
        parts = [mg.zeros(1, device="gpu") for _ in range(RANKS)] if rank == 1 else None
        dist.gather(mg.tensor([float(rank)], device="gpu"), parts, dst=1)
        found["gather"] = [p.item() for p in parts or []]
        objects: list[Any] = [None] * RANKS
        dist.all_gather_object(objects, "x" * (rank + 1))
        found["objects"] = objects
        dist.barrier()
        return found

    for rank, found in enumerate(on_ranks(monkeypatch, work)):
        for dtype in ("float32", "float64", "float16", "int64"):
            assert found[dtype] == [[2, 6], [4, 8]]
        assert found["avg"] == [0.5, 5] and found["broadcast"] == [1]
        assert found["all_gather"] == [[0, 0.5], [1, 1.5]]
        assert found["reduce_scatter"] == [[0, 2], [4, 6]][rank] and found["scatter"] == [7 * rank] * 2
        assert found["gather"] == ([0, 1] if rank == 1 else []) and found["objects"] == ["x", "xx"]


def test_gpus_train_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = np.random.default_rng(0)
    images, labels = draws.normal(size=(3, 4, 2, 5, 5)), draws.integers(0, 3, size=(3, 4))

    def network() -> nn.Module:
        mg.manual_seed(0)
        layers = (
            nn.Conv2d(2, 3, 3),
            nn.BatchNorm2d(3),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(3, 3),
        )
        return nn.Sequential(*layers).double().to("gpu")

    def train(model: nn.Module, rows: slice) -> list[np.ndarray]:
        optimizer = mg.optim.SGD(model.parameters(), lr=0.1)
        for x, y in zip(images, labels, strict=True):
            optimizer.zero_grad()
            logits = model(mg.tensor(x[rows], device="gpu"))
            nn.functional.cross_entropy(logits, mg.tensor(y[rows], device="gpu")).backward()
            optimizer.step()
        return [value.detach().cpu().numpy() for value in model.state_dict().values()]

    one = train(network(), slice(None))
    models = [network() for _ in range(RANKS)]

    def work(rank: int) -> list[np.ndarray]:
        synchronised = nn.SyncBatchNorm.convert_sync_batchnorm(models[rank])
        many = nn.parallel.DistributedDataParallel(synchronised, bucket_cap_mb=1e-4)
        return train(many, slice(2 * rank, 2 * rank + 2))

    for many in on_ranks(monkeypatch, work):
        assert max(np.abs(a - b).max() for a, b in zip(one, many, strict=True)) < 1e-12


def test_ranks_that_call_different_collectives_are_an_error_in_the_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(rank: int) -> None:
        x = mg.zeros(2 + rank, device="gpu")
        dist.all_reduce(x)

    with pytest.raises(RuntimeError, match="different collectives|did not come"):
        on_ranks(monkeypatch, work)
