"""Kills, stops and starves ranks of small trainings at random moments, and sees whether everything it promises holds.

    python tools/soak_ranks.py --points 100 --minutes 20 --seed 1

Each point starts a training, or resumes the one that the last point broke off with another number of ranks, waits a random time,
and does one thing to one random rank: SIGKILL; SIGSTOP, so that it hangs; SIGTERM, after which the run saves; or a limit on
the size of files, as on a full disk. Then: all other ranks end within 30 seconds; the checkpoint, if there is one, is whole; the
ranks that can say something say one line each at the most; and the next point goes on from what is there. At the end what was
broken off is resumed to its end. Prints a line a point, and the count; exit code 1 at the first promise that is not kept.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from minigrad.training import load_checkpoint

ROOT = Path(__file__).parents[1]
ALLOWED = 30.0  # seconds that the others have
OPTIONS = (
    "--model simplenet-bn --image-size 8 --limit-train 64 --limit-val 20 --batch-size 8 --epochs 40 --workers 0 "
    "--no-check-files --print-freq 1000"
).split()
SCRIPT = """
import os, resource, sys, threading
sys.path.insert(0, {root!r})
import train_minigrad as script
from minigrad.training import folder, main
folder.draw_curves = lambda *args: None
if (after := os.environ.get("SOAK_FULL_AFTER")) and os.environ.get("PMI_RANK", "0") == "0":
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))
    timer = threading.Timer(float(after), limit)
    timer.daemon = True
    timer.start()
sys.exit(main(script.train, list(script.MODELS)))
"""
ACTIONS = {"kill": 6, "hang": 2, "term": 1, "full": 1}


class Broken(Exception):
    """A promise that is not kept."""


class Job:
    """A training under mpiexec, and its ranks' processes."""

    def __init__(
        self, launcher: str, ranks: int, script: Path, out: Path, full_after: float | None, cleanup: bool
    ) -> None:
        self.mark = uuid.uuid4().hex
        goes_on = (out / "last.safetensors").exists()
        options = ["--resume", str(out)] if goes_on else [*OPTIONS, "--out", str(out)]
        environment = {
            **os.environ, "SOAK_MARK": self.mark, "OPENBLAS_NUM_THREADS": "1", "MINIGRAD_NUM_THREADS": "1",
            **({} if full_after is None else {"SOAK_FULL_AFTER": str(full_after)}),
        }  # fmt: skip
        flags = [] if cleanup else ["-disable-auto-cleanup"]
        self.process = subprocess.Popen(
            [launcher, *flags, "-n", str(ranks), sys.executable, str(script), *options], env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def ranks(self) -> dict[int, int]:
        """{rank: process} of those that are there."""
        found = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                if not entry.name.isdecimal() or (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                    continue
                variables = (entry / "environ").read_bytes().split(b"\0")
                if f"SOAK_MARK={self.mark}".encode() in variables:
                    rank = next((v for v in variables if v.startswith(b"PMI_RANK=")), None)
                    if rank is not None:  # the first of a rank's: a later one is its guard (minigrad.distributed.guard)
                        number, process = int(rank.split(b"=")[1]), int(entry.name)
                        found[number] = min(process, found.get(number, process))
        return found

    def end(self) -> str:
        """Make sure that nothing of it is left; what it printed."""
        for process in [*self.ranks().values(), self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        return self.process.communicate()[0]


def point(draw: random.Random, launcher: str, script: Path, out: Path) -> str:
    """One point: what was done, and how it ended."""
    if (out / "last.safetensors").exists() and load_checkpoint(out / "last.safetensors")[1]["epoch"] >= 40:
        shutil.rmtree(out)
    ranks, after = draw.choice([2, 2, 2, 3]), draw.uniform(0.1, 6.0)
    what = draw.choices(list(ACTIONS), list(ACTIONS.values()))[0]
    victim = draw.randrange(ranks)
    job = Job(launcher, ranks, script, out, after if what == "full" else None, cleanup=draw.random() < 0.5)
    began = time.monotonic()
    try:
        while time.monotonic() - began < after and job.process.poll() is None:
            time.sleep(0.01)
        hit = None
        while hit is None and job.process.poll() is None and what != "full":  # it may not be there yet
            hit = job.ranks().get(victim)
        if hit is not None and what in ("kill", "hang", "term"):
            names = {"kill": signal.SIGKILL, "hang": signal.SIGSTOP, "term": signal.SIGTERM}
            with contextlib.suppress(ProcessLookupError):
                os.kill(hit, names[what])
        struck = time.monotonic()
        gone_well = what not in ("kill", "hang")
        while left := set(job.ranks()) - ({victim} if what == "hang" and hit else set()):
            if time.monotonic() - struck > (90 if gone_well else ALLOWED):
                raise Broken(f"{what} rank {victim} of {ranks} after {after:.2f} s: ranks {sorted(left)} still there")
            time.sleep(0.02)
        took = time.monotonic() - struck
    finally:
        text = job.end()
    lines = [line for line in text.splitlines() if line.startswith("error: ")]
    if len(lines) > ranks or "Traceback" in text:
        raise Broken(f"{what} rank {victim} of {ranks} after {after:.2f} s: printed\n{text}")
    if (out / "last.safetensors").exists():
        load_checkpoint(out / "last.safetensors")  # CheckpointError unless it is whole
    return f"{what} rank {victim} of {ranks} after {after:.2f} s: ended in {took:.1f} s; {lines[0] if lines else 'no error'}"


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    beside = Path(sys.executable).with_name("mpiexec")
    launcher = str(beside) if beside.exists() else shutil.which("mpiexec")
    if launcher is None:
        print("error: there is no mpiexec", file=sys.stderr)
        return 2
    draw, until, done = random.Random(options.seed), time.monotonic() + 60 * options.minutes, 0
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        script, out = Path(folder, "script.py"), Path(folder, "run")
        script.write_text(SCRIPT.format(root=str(ROOT)))
        while done < options.points and time.monotonic() < until:
            try:
                print(f"{done + 1:5d}  {point(draw, launcher, script, out)}", flush=True)
            except Broken as broken:
                print(f"BROKEN at point {done + 1}: {broken}", flush=True)
                return 1
            done += 1
        job = Job(launcher, 2, script, out, None, True)
        job.process.communicate()
        ended = load_checkpoint(out / "last.safetensors")[1]["epoch"]
    print(f"{done} points; the last run ended at epoch {ended} of 40")
    return 0 if ended == 40 else 1


if __name__ == "__main__":
    sys.exit(main())
