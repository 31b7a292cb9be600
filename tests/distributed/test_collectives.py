"""minigrad.distributed: torch's collectives on two ranks by MPI, and on one by itself."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch.distributed

import minigrad as mg
import minigrad.distributed as dist
from minigrad.distributed.launch import launched
from minigrad.errors import OptionError
from tests.distributed.ranks import check, needs_mpi, run

SCRIPT = """
import numpy as np, minigrad as mg, minigrad.distributed as dist
dist.init_process_group()
r, n = dist.get_rank(), dist.get_world_size()
every = range(n)

for dtype in (np.float32, np.float64, np.float16, np.int64, np.uint8, np.bool_):
    x = mg.tensor(np.arange(6).reshape(2, 3).astype(dtype)).transpose(0, 1)  # not contiguous
    before = x.version
    dist.all_reduce(x)
    assert (x.numpy() == (np.arange(6).reshape(2, 3).T * n).astype(dtype)).all(), dtype
    assert x.version > before
for op, want in (("SUM", sum(every)), ("PRODUCT", 0), ("MIN", 0), ("MAX", n - 1), ("AVG", (n - 1) / 2)):
    x = mg.tensor(float(r))
    dist.all_reduce(x, getattr(dist.ReduceOp, op))
    assert x.item() == want, op
for op, want in (("BAND", 4), ("BOR", 5), ("BXOR", 1 ^ 4 * (n % 2))):
    x = mg.tensor(4 + (r == 0))
    dist.all_reduce(x, getattr(dist.ReduceOp, op))
    assert x.item() == want, op

x = mg.tensor([float(r), 7.0])
dist.broadcast(x, src=n - 1)
assert x.tolist() == [n - 1, 7]
x = mg.tensor([float(r)])
dist.reduce(x, dst=1)
assert x.item() == (sum(every) if r == 1 else r)
parts = [mg.zeros(2) for _ in every]
dist.all_gather(parts, mg.tensor([r, r + 0.5]))
assert [p.tolist() for p in parts] == [[k, k + 0.5] for k in every]
x = mg.zeros(2 * n)
dist.all_gather_into_tensor(x, mg.tensor([r, r + 0.5]))
assert x.tolist() == [v for k in every for v in (k, k + 0.5)]
parts = [mg.tensor([0]) for _ in every] if r == 1 else None
dist.gather(mg.tensor([r]), parts, dst=1)
assert parts is None or [p.item() for p in parts] == list(every)
x = mg.tensor([0])
dist.scatter(x, [mg.tensor([7 * k]) for k in every] if r == 0 else None)
assert x.item() == 7 * r
x = mg.zeros(2)
dist.reduce_scatter(x, [mg.tensor([float(k), float(r)]) for k in every])
assert x.tolist() == [r * n, sum(every)]
dist.reduce_scatter_tensor(x, mg.arange(2 * n).float(), op=dist.ReduceOp.AVG)
assert x.tolist() == [2 * r, 2 * r + 1]
x, y = mg.arange(2 * n) + 10 * r, mg.zeros(2 * n, dtype=mg.int64)
dist.all_to_all_single(y, x)
assert y.tolist() == [v for k in every for v in (10 * k + 2 * r, 10 * k + 2 * r + 1)]
x = mg.tensor([float(r)])
if r == 0:
    dist.send(x, dst=1)
elif r == 1:
    assert dist.recv(x, src=0) == 0 and x.item() == 0
objects = [None] * n
dist.all_gather_object(objects, {"rank": r, "long": "x" * (1 + 1000 * r)})
assert [o["rank"] for o in objects] == list(every)
objects = [r, str(r)]
dist.broadcast_object_list(objects, src=1)
assert objects == [1, "1"]
x = mg.ones(100_000)
work = dist.all_reduce(x, async_op=True)
work.wait()
assert work.is_completed() and (x.numpy() == n).all()
dist.barrier()
print("all is well")
"""


@needs_mpi
@pytest.mark.parametrize("ranks", [2, 3])
def test_collectives_are_torchs(ranks: int, tmp_path: Path) -> None:
    assert check(ranks, SCRIPT, tmp_path).count("all is well") == ranks


@pytest.fixture
def alone():
    dist.init_process_group()
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("alone")
def test_one_process_is_rank_0_of_1() -> None:
    x = mg.tensor([1.0, 2.0])
    assert (dist.get_rank(), dist.get_world_size(), dist.is_initialized()) == (0, 1, True)
    dist.all_reduce(x, dist.ReduceOp.AVG)
    dist.broadcast(x, 0)
    dist.barrier()
    parts = [mg.zeros(2)]
    dist.all_gather(parts, x)
    assert parts[0].tolist() == x.tolist() == [1, 2]


@pytest.mark.usefixtures("alone")
def test_bad_arguments_are_refused_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="ranks 0 to 0"):
        dist.broadcast(mg.zeros(1), 3)
    with pytest.raises(ValueError, match="2 tensors, and there are 1 ranks"):
        dist.all_gather([mg.zeros(1), mg.zeros(1)], mg.zeros(1))
    with pytest.raises(TypeError, match="Tensor is wanted"):
        dist.all_reduce(np.zeros(3))  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="AVG is for floating-point"):
        dist.all_reduce(mg.tensor([1]), dist.ReduceOp.AVG)
    with pytest.raises(RuntimeError, match="twice"):
        dist.init_process_group()
    with pytest.raises(RuntimeError, match="detach"):
        dist.all_reduce(mg.ones(2, requires_grad=True) * 2)


def test_without_a_group_the_functions_say_so() -> None:
    for call in (dist.get_rank, dist.get_world_size, dist.barrier):
        with pytest.raises(ValueError, match="init_process_group"):
            call()
    with pytest.raises(OptionError, match="gloo"):
        dist.init_process_group("gloo")
    assert not dist.is_initialized()


@pytest.mark.parametrize("name", [n for n in dist.__all__ if inspect.isfunction(getattr(dist, n))])
def test_arguments_are_torchs(name: str) -> None:
    ours = inspect.signature(getattr(dist, name)).parameters
    theirs = inspect.signature(getattr(torch.distributed, name)).parameters
    known = [n for n in theirs if not n.startswith("_") and n not in ("weights_only", "enable_reconfigure")]
    assert list(ours) == known
    for argument in known:
        if argument != "op":
            assert ours[argument].default == theirs[argument].default, argument


def test_launchers_say_who_we_are() -> None:
    assert launched({}).world_size == 1
    hydra = {"PMI_RANK": "3", "PMI_SIZE": "8", "MPI_LOCALRANKID": "1", "MPI_LOCALNRANKS": "2"}
    assert (launched(hydra).rank, launched(hydra).local_rank, launched(hydra).by) == (3, 1, "mpiexec")
    names = ("RANK", "SIZE", "LOCAL_RANK", "LOCAL_SIZE")
    open_mpi = {f"OMPI_COMM_WORLD_{name}": value for name, value in zip(names, "2401", strict=True)}
    assert (launched(open_mpi).rank, launched(open_mpi).world_size) == (2, 4)
    torchrun = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "here", "MASTER_PORT": "29500"}
    assert launched(torchrun).address == ("here", 29500) and launched(torchrun).by == "torchrun"
    with pytest.raises(OptionError, match="MASTER_ADDR"):
        launched({"RANK": "1", "WORLD_SIZE": "2"})
    with pytest.raises(OptionError, match="PMI_RANK"):
        launched({"PMI_RANK": "x", "PMI_SIZE": "8"})


LOST = """
import os, signal, sys, time, minigrad as mg, minigrad.distributed as dist
dist.init_process_group()
dist.all_reduce(mg.ones(3))
if dist.get_rank() == 1:
    if sys.argv[1] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise ValueError("no more") if sys.argv[1] == "raise" else SystemExit(0)
dist.all_reduce(mg.ones(3))
"""


@needs_mpi
@pytest.mark.parametrize(
    ("how", "message"),
    [("kill", "rank 1 has ended"), ("raise", "no more"), ("leave", "rank 1 has ended, and others wait")],
)
def test_a_lost_rank_is_an_error_on_the_others(how: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    file.write_text(LOST)
    done = run(2, str(file), how)
    assert done.returncode != 0
    assert message in done.stderr or "KILLED" in (done.stdout + done.stderr).upper()  # MPICH's own word goes to stdout
