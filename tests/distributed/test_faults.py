"""A rank that is lost in the middle of a training: the others end, the checkpoint is whole, other numbers of ranks go on."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from minigrad.training import load_checkpoint
from tests.distributed.ranks import ROOT, needs_mpi, run, start

OPTIONS = (
    "--model simplenet-bn --limit-train 64 --limit-val 20 --batch-size 8 --epochs 200 --image-size 8 --workers 0 --no-check-files"
).split()


def process_of(rank: int, out: Path) -> int:
    """The process of a rank of the run in `out`, the first of those with its name in the command line."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
            if str(out).encode() in (entry / "cmdline").read_bytes() and f"PMI_RANK={rank}".encode() in variables:
                found.append(int(entry.name))
        except (OSError, ValueError):
            pass
    return min(found)


@needs_mpi
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the ranks through /proc")
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_ends_all_and_the_run_goes_on(rank: int, tmp_path: Path) -> None:
    script, out = str(ROOT / "train_minigrad.py"), tmp_path / "run"
    job = start(2, script, *OPTIONS, "--out", str(out))
    assert job.stdout is not None
    for line in job.stdout:
        if line.startswith("run folder"):
            break
    try:
        os.kill(process_of(rank, out), signal.SIGKILL)
        struck = time.monotonic()
        job.communicate(timeout=30)
    finally:
        job.kill()
    assert job.returncode != 0 and time.monotonic() - struck < 30
    _, state = load_checkpoint(out / "last.safetensors")
    assert state["epoch"] < 200

    # One rank goes on, and SIGTERM to it is what it always was: saved after the step that is under way.
    alone = start(1, script, "--resume", str(out))
    assert alone.stdout is not None
    for line in alone.stdout:
        if line.startswith("epoch"):
            os.kill(process_of(0, out), signal.SIGTERM)
            break
    text, errors = alone.communicate(timeout=60)
    assert "and saved; go on with" in text, errors
    assert load_checkpoint(out / "last.safetensors")[1]["epoch"] > state["epoch"]


@needs_mpi
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    full = tmp_path / "full.py"
    full.write_text(
        "import resource, sys\nimport train_minigrad as script\nfrom minigrad.training import current, main\n"
        "def train(options):\n"
        "    if current().first:\n"
        "        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))\n"
        "    script.train(options)\n"
        "sys.exit(main(train, list(script.MODELS)))\n"
    )
    done = run(2, str(full), *OPTIONS, "--out", str(tmp_path / "run"))
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert done.returncode == 2 and len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ") and "cannot be written" in lines[0]
