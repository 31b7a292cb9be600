"""The loader: one order for any number of workers, bounded prefetch, and an orderly end whatever happens."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from minigrad.data import DataLoader, ImageDataset, open_dataset
from minigrad.data.sampling import epoch_order, sample_rng
from minigrad.errors import DataError, OptionError

ROOT = Path(__file__).resolve().parents[2]


class Numbers(ImageDataset):
    """Image i is full of the number i; training images of random bytes. Counts and, if asked, fails."""

    def __init__(self, count: int, fails_at: int = -1, dies_at: int = -1) -> None:
        super().__init__("numbers", ["a"], np.arange(count), 3, 4, (0.5,) * 3, (0.5,) * 3)
        self.fails_at, self.dies_at = fails_at, dies_at
        self.loaded: list[int] = []

    def load(self, index, rng):
        self.loaded.append(index)
        if index == self.fails_at:
            raise ZeroDivisionError("on purpose")
        if index == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return np.full((4, 4, 3), index, np.uint8) if rng is None else rng.integers(0, 256, (4, 4, 3), np.uint8)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def wait_until(condition, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def pids(loader: DataLoader) -> list[int]:
    assert loader._pool is not None
    return [process.pid for process in loader._pool._processes]


def assert_same(batches, others):
    assert len(batches) == len(others)
    for one, other in zip(batches, others, strict=True):
        np.testing.assert_array_equal(one.indices, other.indices)
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_array_equal(one.images, other.images)


def test_the_order_and_the_augmentation_follow_from_seed_epoch_and_index():
    orders = [epoch_order(50, seed, epoch).tolist() for seed in (0, 1) for epoch in (0, 1)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    draws = {sample_rng(s, e, i).random() for s in (0, 1) for e in (0, 1) for i in (0, 1)}
    assert len(draws) == 8
    assert sample_rng(2024, 3, 7).random() == sample_rng(2024, 3, 7).random()


def test_batches_of_an_epoch():
    train = Numbers(10)
    loader = DataLoader(train, 4, train=True, seed=5)
    batches = list(loader.epoch(1))
    assert len(loader) == len(batches) == 2  # drop_last follows train
    order = epoch_order(10, 5, 1)
    np.testing.assert_array_equal(np.concatenate([batch.indices for batch in batches]), order[:8])
    for batch in batches:
        assert batch.images.dtype == np.uint8 and batch.images.shape == (4, 4, 4, 3) and batch.labels.dtype == np.int64
        np.testing.assert_array_equal(batch.labels, train.labels[batch.indices])
        for image, index in zip(batch.images, batch.indices, strict=True):
            np.testing.assert_array_equal(image, train.load(int(index), sample_rng(5, 1, int(index))))
    whole = DataLoader(train, 4, train=True, drop_last=False)
    assert len(whole) == 3 and [len(batch.labels) for batch in whole.epoch(0)] == [4, 4, 2]


def test_evaluation_keeps_the_order_and_every_image():
    loader = DataLoader(Numbers(10), 4, train=False)
    assert len(loader) == 3
    images = np.concatenate([batch.images for batch in loader.epoch(9)])
    np.testing.assert_array_equal(images[:, 0, 0, 0], np.arange(10))
    assert len(DataLoader(Numbers(10), 4, train=False, drop_last=True)) == 2


@pytest.mark.parametrize("train", [True, False])
def test_workers_change_nothing_nor_does_a_resume(miniplaces, train):
    dataset = open_dataset(miniplaces(train=24), "train", image_size=32)
    expected = [list(DataLoader(dataset, 5, train, seed=3, drop_last=False).epoch(epoch)) for epoch in (0, 1)]
    assert [len(batches) for batches in expected] == [5, 5]
    assert not np.array_equal(expected[0][0].images, expected[1][0].images) or not train
    assert_same(list(DataLoader(dataset, 5, train, seed=3, drop_last=False).epoch(1, start_batch=2)), expected[1][2:])
    for workers in (1, 2):
        with DataLoader(dataset, 5, train, workers=workers, seed=3, drop_last=False) as loader:
            assert_same(list(loader.epoch(0)), expected[0])
            assert_same(list(loader.epoch(1, start_batch=2)), expected[1][2:])  # the same workers go on
            assert_same(list(loader.epoch(1)), expected[1])


def test_in_memory_images_through_workers():
    dataset = open_dataset(None, "train", limit=40, image_size=32)
    with DataLoader(dataset, 16, True, workers=1, seed=1) as loader:
        assert_same(list(loader.epoch(0)), list(DataLoader(dataset, 16, True, seed=1).epoch(0)))


def test_a_batch_stays_as_it_is_while_others_are_loaded():
    with DataLoader(Numbers(60), 4, train=False, workers=1, prefetch=1) as loader:
        batches = list(loader.epoch(0))
    np.testing.assert_array_equal(np.concatenate([b.images[:, 0, 0, 0] for b in batches]), np.arange(60))


def test_skipped_batches_are_not_loaded():
    dataset = Numbers(20)
    list(DataLoader(dataset, 4, train=False).epoch(0, start_batch=3))
    assert dataset.loaded == list(range(12, 20))
    assert list(DataLoader(dataset, 4, train=False).epoch(0, start_batch=5)) == []


def test_prefetch_is_bounded():
    """With a batch in hand, no more than `prefetch` others are loaded, and these are."""
    dataset = Numbers(100)
    batches = DataLoader(dataset, 1, train=False, prefetch=3).epoch(0)
    next(batches)
    assert wait_until(lambda: len(dataset.loaded) == 4)
    time.sleep(0.05)
    assert len(dataset.loaded) == 4
    batches.close()  # type: ignore[attr-defined]
    with DataLoader(Numbers(100), 1, train=False, workers=2, prefetch=3) as loader:
        next(loader.epoch(0))
        assert loader._pool is not None and loader._pool._submitted == 7


def test_an_epoch_may_be_left_for_another(miniplaces):
    dataset = Numbers(40)
    for workers in (0, 1):
        with DataLoader(dataset, 4, train=True, workers=workers) as loader:
            left = loader.epoch(0)
            next(left)
            assert_same(list(loader.epoch(1)), list(DataLoader(dataset, 4, train=True).epoch(1)))
            with pytest.raises(RuntimeError, match="has ended"):
                next(left)


def test_options_out_of_range():
    for options in [{"batch_size": 0}, {"workers": -1}, {"seed": -1}, {"prefetch": 0}]:
        with pytest.raises(OptionError, match="must be"):
            DataLoader(Numbers(4), **{"batch_size": 2, "train": True, **options})
    with pytest.raises(OptionError, match="8 is more than the 4 images"):
        DataLoader(Numbers(4), 8, train=True)
    with pytest.raises(OptionError, match="start_batch"):
        DataLoader(Numbers(4), 2, train=True).epoch(0, start_batch=3)


def test_a_broken_image_is_the_same_error_with_workers(miniplaces):
    root = miniplaces()
    dataset = open_dataset(root, "val", image_size=32)
    (root / "images/val/4.jpg").write_text("no image")
    messages = set()
    for workers in (0, 1, 2):
        with DataLoader(dataset, 2, train=False, workers=workers) as loader:
            batches = loader.epoch(0)
            assert [next(batches).labels.tolist() for _ in range(2)] == [[0, 1], [2, 0]]  # those before it come
            with pytest.raises(DataError) as caught:
                next(batches)
            messages.add(str(caught.value))
            assert len(next(loader.epoch(0)).labels) == 2  # and the loader still works
    assert len(messages) == 1 and "val.txt, line 5" in messages.pop()


def test_a_failure_in_a_worker_arrives_with_its_traceback():
    with DataLoader(Numbers(8, fails_at=5), 2, train=False, workers=1) as loader:
        with pytest.raises(DataError, match="ZeroDivisionError: on purpose") as caught:
            list(loader.epoch(0))
    assert "in load" in str(caught.value.__cause__)


def test_a_worker_that_dies_is_an_error_and_no_hang():
    with DataLoader(Numbers(20, dies_at=9), 2, train=False, workers=2) as loader:
        batches = loader.epoch(0)
        assert [next(batches).indices[0] for _ in range(4)] == [0, 2, 4, 6]
        processes = pids(loader)
        with pytest.raises(DataError, match=r"data worker 0 .* died .*signal 9.*fewer workers"):
            next(batches)
        assert not any(alive(pid) for pid in processes)  # the other one was ended too


def test_a_worker_killed_while_idle_is_an_error_and_then_replaced():
    with DataLoader(Numbers(20), 2, train=False, workers=1) as loader:
        list(loader.epoch(0))
        (pid,) = pids(loader)
        os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: not alive(pid))
        with pytest.raises(DataError, match="died"):
            list(loader.epoch(1))
        assert len(list(loader.epoch(1))) == 10


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks for processes and memory in /proc")
def test_close_leaves_no_process_and_no_shared_memory():
    loader = DataLoader(Numbers(20), 2, train=False, workers=2)
    next(loader.epoch(0))
    processes = pids(loader)
    assert all(alive(pid) for pid in processes)
    shared = [line for line in Path("/proc/self/maps").read_text().splitlines() if "/pym-" in line]
    assert shared and all(line.endswith("(deleted)") for line in shared)  # no name that could be left behind
    loader.close()
    assert not any(alive(pid) for pid in processes)
    loader.close()
    assert len(list(loader.epoch(0))) == 10  # it can be used again
    processes = pids(loader)
    del loader  # or be forgotten
    assert wait_until(lambda: not any(alive(pid) for pid in processes))


# A script without a __main__ guard, that prints "again" if a worker runs it, and waits in the middle of an epoch.
SCRIPT = """
    import signal, sys, time
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit that it is ignored
    print("run" if __name__ == "__main__" else "again", flush=True)
    from minigrad.data import DataLoader, open_dataset
    loader = DataLoader(open_dataset(None, "train", limit=400), 4, train=True, workers=2)
    batches = loader.epoch(0)
    next(batches)
    try:
        print(*[process.pid for process in loader._pool._processes], flush=True)
        if "wait" in sys.argv:
            time.sleep(60)
    except KeyboardInterrupt:
        next(batches)  # the workers still work
        time.sleep(0.3)  # and have time to complain
        print("saved")
"""


def start_script(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    return subprocess.Popen(
        [sys.executable, str(script), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_script_without_guard_ends_and_its_workers_with_it(tmp_path):
    process = start_script(tmp_path)
    out, err = process.communicate(timeout=60)
    first, processes = out.splitlines()
    assert (process.returncode, first, err) == (0, "run", "")
    assert wait_until(lambda: not any(alive(int(pid)) for pid in processes.split()))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("end", ["SIGKILL", "SIGINT"])
def test_killed_or_interrupted_leaves_no_worker_and_no_noise(tmp_path, end):
    process = start_script(tmp_path, "wait")
    assert process.stdout is not None
    assert process.stdout.readline() == "run\n"
    processes = [int(pid) for pid in process.stdout.readline().split()]
    assert len(processes) == 2 and all(alive(pid) for pid in processes)
    if end == "SIGKILL":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGINT)  # as the terminal does: to the workers too
    out, err = process.communicate(timeout=60)
    assert wait_until(lambda: not any(alive(pid) for pid in processes))
    assert (out, err) == ("" if end == "SIGKILL" else "saved\n", "")


@pytest.mark.parametrize("form", [np.int64, np.int32, np.uint8, np.array])
def test_numpy_integers(form):
    plain = DataLoader(Numbers(7), 3, True, workers=0, seed=5, drop_last=False, prefetch=1)
    loader = DataLoader(Numbers(7), form(3), True, workers=form(0), seed=form(5), drop_last=False, prefetch=form(1))
    assert len(loader) == 3 and type(loader.batch_size) is int
    assert_same(list(loader.epoch(1)), list(plain.epoch(1)))
    for wrong in (True, 2.0, np.float64(2)):
        with pytest.raises(OptionError, match="must be an integer"):
            DataLoader(Numbers(7), wrong, True)
