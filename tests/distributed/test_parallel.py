"""DistributedDataParallel, SyncBatchNorm and DistributedSampler: ranks together compute what one process computes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch.utils.data

import minigrad as mg
import minigrad.distributed as dist
from minigrad import nn
from minigrad.utils.data import DistributedSampler
from tests.distributed.ranks import check, needs_mpi

COMMON = """
import numpy as np, minigrad as mg, minigrad.distributed as dist
from minigrad import nn
F = nn.functional
dist.init_process_group()
r, n = dist.get_rank(), dist.get_world_size()
DDP, sync = nn.parallel.DistributedDataParallel, nn.SyncBatchNorm.convert_sync_batchnorm

def net():
    mg.manual_seed(0)
    layers = [nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.BatchNorm2d(6), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)).double()

rng = np.random.default_rng(0)
images, labels = rng.normal(size=(20, 12, 3, 7, 7)), rng.integers(0, 5, size=(20, 12))
mine = slice(r * 12 // n, (r + 1) * 12 // n)

def loss(model, k, rows):
    return F.cross_entropy(model(mg.tensor(images[k][rows])), mg.tensor(labels[k][rows]))

def distance(some, others):
    pairs = zip(some, others, strict=True)
    return max(float(abs(a.array - b.array).max()) for a, b in pairs)
"""

STEPS = """
def train(model, rows):
    optimizer = mg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for k in range(20):
        optimizer.zero_grad()
        loss(model, k, rows).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
    return model

one = train(net(), slice(None))
for caps in ({}, {"bucket_cap_mb": 0.002}, {"bucket_cap_mb_list": [0.0001, 1]}):
    model = net()
    if r == 1:
        model[0].weight.data.zero_()  # taken from rank 0
    many = DDP(sync(model), broadcast_buffers=False, **caps)
    assert (len(many.reducer.buckets) > 1) == bool(caps)
    train(many, mine)
    assert distance(one.state_dict().values(), many.module.state_dict().values()) < 1e-12, caps
"""

PASSES = """
# Gradients of several passes: no_sync adds up each rank's own, and what follows is averaged with them.
one, many = net(), DDP(sync(net()))
with many.no_sync():
    loss(many, 0, mine).backward()
for _ in range(2):
    loss(many, 1, mine).backward()
loss(one, 0, slice(None)).backward()
for _ in range(2):
    loss(one, 1, slice(None)).backward()
assert distance([p.grad for p in one.parameters()], [p.grad for p in many.parameters()]) < 1e-13

# A parameter's hook sees the rank's own gradient, and what it makes of it is averaged.
many.zero_grad()
many.module[8].bias.register_hook(lambda g: mg.full_like(g, float(r)))
loss(many, 0, mine).backward()
assert np.allclose(many.module[8].bias.grad.numpy(), (n - 1) / 2)

# An error on the way changes no gradient, and the next pass is as if there had been none.
before = [p.grad.numpy().copy() for p in many.parameters()]
x = mg.tensor(images[0][mine], requires_grad=True)
def broken(g):
    raise ArithmeticError
hook = many.module[1].weight.register_hook(broken)
many.reducer.active = False
try:
    F.cross_entropy(many(x), mg.tensor(labels[0][mine])).backward()
    raise SystemExit("no error")
except ArithmeticError:
    pass
hook.remove()
many.reducer.active = True
assert all((a == p.grad.numpy()).all() for a, p in zip(before, many.parameters()))

# Parameters that a rank does not use.
class Halves(nn.Module):
    def __init__(self):
        super().__init__()
        self.all, self.some, self.none = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)
    def forward(self, x):
        return self.all(x) if r == 0 else self.some(self.all(x))

halves = DDP(Halves(), find_unused_parameters=True)
halves(mg.ones(1, 2)).sum().backward()
assert halves.module.some.bias.grad.tolist() == [(n - 1) / n] * 2 and halves.module.none.bias.grad is None
unused = DDP(nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)]))
try:
    unused.module[0](mg.ones(1, 2)).sum().backward()
    raise SystemExit("no error")
except RuntimeError as error:
    assert "1.bias" in str(error) and "find_unused_parameters" in str(error)
"""

NORM = """
for dtype, bound in (("float64", 1e-12), ("float32", 1e-5), ("float16", 2e-2)):
    x = mg.tensor(rng.normal(3, 2, size=(7, 3, 4, 5)), dtype=getattr(mg, dtype))
    g = mg.tensor(rng.normal(size=(7, 3, 4, 5)), dtype=getattr(mg, dtype))
    rows = slice(0, 3) if r == 0 else slice(3, 7)  # of different sizes
    one, many = nn.BatchNorm2d(3), nn.SyncBatchNorm(3)
    if dtype == "float64":
        one.double(), many.double()
    results = []
    for norm, part in ((one, slice(None)), (many, rows)):
        leaf = x[part].detach().clone().requires_grad_()
        y = norm(leaf)
        y.backward(g[part])
        for p in norm.parameters():
            if norm is many:
                dist.all_reduce(p.grad)
        results.append((y.detach(), leaf.grad, norm))
    (y1, gx1, _), (y2, gx2, _) = results
    assert distance([y1[rows], gx1[rows]], [y2, gx2]) < bound, dtype
    assert distance([p.grad for p in one.parameters()], [p.grad for p in many.parameters()]) < 20 * bound
    assert distance(one.buffers(), many.buffers()) < bound
    one.eval(), many.eval()
    assert distance([one(x)], [many(x)]) < bound

# Its gradient can be differentiated again, and its definition is the same.
one, many = nn.BatchNorm2d(3).double(), nn.SyncBatchNorm(3).double()
def second(norm, rows):
    x = mg.tensor(images[0][rows], requires_grad=True)
    g, = mg.autograd.grad((norm(x) ** 3).sum(), [x], create_graph=True)
    return mg.autograd.grad((g ** 2).sum(), [x])[0].numpy()
assert np.allclose(second(many, mine), second(one, slice(None))[mine], rtol=1e-10, atol=1e-10)
with mg.definitions():
    x = mg.tensor(images[0])
    assert np.allclose(many(x[mine]).array, one(x).array[mine], rtol=1e-12, atol=1e-13)
"""


@needs_mpi
@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_train_as_one_process(ranks: int, tmp_path: Path) -> None:
    check(ranks, COMMON + STEPS, tmp_path)


@needs_mpi
def test_backward_passes_of_all_kinds(tmp_path: Path) -> None:
    check(2, COMMON + PASSES, tmp_path)


@needs_mpi
def test_batch_norm_over_ranks(tmp_path: Path) -> None:
    check(2, COMMON + NORM, tmp_path)


@needs_mpi
def test_models_that_differ_are_found_at_once(tmp_path: Path) -> None:
    script = COMMON + (
        "try:\n    DDP(nn.Linear(2, 2 + r))\n    raise SystemExit('no error')\n"
        "except RuntimeError as error:\n    assert 'weight [2, 2]' in str(error) and 'weight [3, 2]' in str(error), error\n"
    )
    check(2, script, tmp_path)


def test_one_rank_needs_no_mpi_and_keys_begin_with_module() -> None:
    dist.init_process_group()
    try:
        model = nn.parallel.DistributedDataParallel(nn.Linear(3, 2))
        model(mg.ones(4, 3)).sum().backward()
        assert list(model.state_dict()) == ["module.weight", "module.bias"]
        assert model.module.bias.grad is not None and model.module.bias.grad.tolist() == [4, 4]
        frozen = nn.Linear(3, 2).requires_grad_(False)
        with pytest.raises(RuntimeError, match="doesn't have any parameter"):
            nn.parallel.DistributedDataParallel(frozen)
    finally:
        dist.destroy_process_group()


@pytest.mark.parametrize(("length", "ranks"), [(10, 4), (3, 4), (8, 2), (11, 3)])
@pytest.mark.parametrize("drop_last", [False, True])
def test_sampler_is_torchs_but_for_the_order(length: int, ranks: int, drop_last: bool) -> None:
    data = list(range(length))
    for shuffle in (False, True):
        parts = []
        for rank in range(ranks):
            ours = DistributedSampler(data, ranks, rank, shuffle, seed=5, drop_last=drop_last)
            theirs = torch.utils.data.DistributedSampler(data, ranks, rank, shuffle, seed=5, drop_last=drop_last)
            assert len(ours) == len(theirs) == len(list(ours))
            if not shuffle:
                assert list(ours) == list(theirs)
            parts.append(list(ours))
        together = [parts[k % ranks][k // ranks] for k in range(ranks * len(parts[0]))]
        if shuffle and length >= ranks:
            assert len(set(together)) == min(length, len(together))


def test_sampler_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        sampler = DistributedSampler(range(50), 2, 1, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    mg.manual_seed(1)
    first = order(3, 4)
    mg.manual_seed(2)
    assert order(3, 4) == first != order(3, 5) != order(4, 4)
    with pytest.raises(ValueError, match="rank 2"):
        DistributedSampler(range(5), 2, 2)
