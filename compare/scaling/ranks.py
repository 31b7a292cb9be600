"""python -m compare scaling --axis ranks: one training step on 1, 2, ... processes with the same global batch.

Each value has a job of its own, mpiexec with so many ranks and the cores divided among them (at least a thread each), which
takes some steps and says how long they took; rounds go over all values, so that what slows the machine slows all. minigrad
averages gradients over MPI, torch over gloo. Of minigrad's communication is said how long the same buckets take by themselves,
how long a step waits for them after its backward pass, and which share of the bytes is exchanged before that: it is hidden.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from compare.kit.command import say
from compare.kit.machine import in_words
from compare.kit.plots import COLOURS, as_png, new_figure, quiet
from compare.kit.result import ROOT, Result
from compare.kit.statistics import summarize
from compare.kit.tables import Table
from minigrad.errors import MinigradError, OptionError

NAMES = ("minigrad", "torch")
UNDISTURBED = (
    0.1  # the quantile of waiting times that is shown: the others are of ranks that come late, not of communication
)
SECONDS = 600.0  # that a job may take


def measure(options: argparse.Namespace, begun: Result) -> Result:
    """The result: for each number of ranks the steps of each round. OptionError without mpiexec."""
    launcher = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")
    if launcher is None:
        raise OptionError('--axis ranks starts its processes with mpiexec, which is not here: pip install -e ".[mpi]"')
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    points: list[Result] = [
        {
            "value": ranks,
            "threads": max(1, cores // ranks),
            "job": job_of(options),
            "tracks": {n: {"turns": []} for n in NAMES},
        }
        for ranks in options.values
    ]
    for turn in range(options.rounds):
        for point in points:
            for name in NAMES:
                say(f"round {turn + 1} of {options.rounds}: {name} on {point['value']} ranks")
                point["tracks"][name]["turns"].append(run_job(launcher, name, point, options.turn / 1e3))
    say("")
    losses = [turn["loss"] for point in points for track in point["tracks"].values() for turn in track["turns"]]
    agree = bool(np.ptp(losses) < 1e-3 * max(np.abs(losses)))
    return begun | {
        "axis": "ranks",
        "values": options.values,
        "rounds": options.rounds,
        "points": points,
        "agree": agree,
    }


def job_of(options: argparse.Namespace) -> Result:
    """What is trained."""
    return {"model": options.model, "batch": options.batch, "image_size": options.image_size, "seed": options.seed}


def run_job(launcher: str, name: str, point: Result, seconds: float) -> Result:
    """One job's turn. MinigradError if it fails."""
    threads = str(point["threads"])
    environment = {
        **os.environ, "MINIGRAD_NUM_THREADS": threads, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": "1",
        "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    }  # fmt: skip
    asked = json.dumps({"name": name, "job": point["job"], "seconds": seconds})
    command = [launcher, "-n", str(point["value"]), sys.executable, "-m", "compare.scaling.ranks", asked]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS
    )
    if done.returncode:
        raise MinigradError(
            f"{name} on {point['value']} ranks ended with exit code {done.returncode}: {done.stderr[-300:]}"
        )
    return json.loads(done.stdout.splitlines()[-1])


# ------------------------------------------------------------------------------------------------- one rank of a job


class Rank:
    """A framework's step on this rank: `step()` returns the loss over all ranks, `alone()` the seconds of its communication."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        from minigrad.distributed import get_rank, get_world_size

        self.rank, self.size, draws = get_rank(), get_world_size(), np.random.default_rng(job["seed"])
        shape = (job["batch"], 3, job["image_size"], job["image_size"])
        images, labels = draws.normal(size=shape).astype(np.float32), draws.integers(0, 10, job["batch"])
        count = len(labels)
        rows = slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)
        self.images, self.labels = images[rows], labels[rows]
        self.share = len(self.labels) * self.size / count
        self.waited = self.early = 0.0

    def step(self) -> float:
        raise NotImplementedError

    def alone(self) -> float:
        raise NotImplementedError


class Ours(Rank):
    """minigrad over MPI."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        super().__init__(job)
        import minigrad as mg
        from models import create

        mg.manual_seed(job["seed"])
        model = create(job["model"], 10, 3, job["image_size"])
        self.model: Any = model
        if self.size > 1:
            self.model = mg.nn.parallel.DistributedDataParallel(mg.nn.SyncBatchNorm.convert_sync_batchnorm(model))
        self.optimizer = mg.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
        self.x, self.y, self.mg = mg.from_numpy(self.images), mg.from_numpy(self.labels), mg

    def step(self) -> float:
        loss = self.mg.nn.functional.cross_entropy(self.model(self.x), self.y)
        self.optimizer.zero_grad()
        (loss * self.share).backward()
        self.optimizer.step()
        self.waited = self.model.reducer.waited if self.size > 1 else 0.0
        self.early = self.model.reducer.early if self.size > 1 else 0.0
        total = self.mg.tensor(loss.item() * self.share / self.size)
        self.mg.distributed.all_reduce(total)
        return total.item()

    def alone(self) -> float:
        if self.size == 1:
            return 0.0
        from minigrad.distributed.exchange import start_sum

        self.mg.distributed.barrier()
        began = time.perf_counter()
        reducer = self.model.reducer
        for work in [start_sum(reducer.group, bucket.flat) for bucket in reducer.buckets]:
            work.wait()
        return time.perf_counter() - began


class Theirs(Rank):
    """torch over gloo."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        super().__init__(job)
        import torch

        from minigrad.distributed import broadcast_object_list
        from minigrad.training.ranks import Ranks, launched
        from models.reference import create
        from models.reference.ranks import synchronise

        place: list[Any] = [Ranks(launched())._free_port() if self.rank == 0 else None]
        broadcast_object_list(place, 0)
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        where = f"tcp://{place[0][0]}:{place[0][1]}"
        torch.distributed.init_process_group("gloo", where, timedelta(seconds=60), self.size, self.rank)
        torch.manual_seed(job["seed"])
        model = create(job["model"], 10, 3, job["image_size"])
        self.load(model, job)
        self.model: Any = model
        if self.size > 1:
            synchronised = synchronise(model, torch.device("cpu"))
            self.model = torch.nn.parallel.DistributedDataParallel(synchronised)
        self.optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
        self.x, self.y, self.torch = torch.from_numpy(self.images), torch.from_numpy(self.labels), torch

    def load(self, model: Any, job: Mapping[str, Any]) -> None:
        """minigrad's initial weights, so that the losses can be compared."""
        import torch

        import minigrad as mg
        from models import create

        mg.manual_seed(job["seed"])
        ours = create(job["model"], 10, 3, job["image_size"]).state_dict()
        model.load_state_dict({key: torch.from_numpy(value.numpy()) for key, value in ours.items()})

    def step(self) -> float:
        loss = self.torch.nn.functional.cross_entropy(self.model(self.x), self.y)
        self.optimizer.zero_grad()
        (loss * self.share).backward()
        self.optimizer.step()
        total = loss.detach() * self.share / self.size
        if self.size > 1:
            self.torch.distributed.all_reduce(total)
        return float(total)

    def alone(self) -> float:
        return 0.0  # torch does not say what a step has waited, so there is nothing to compare with


def main(text: str) -> None:
    """A rank's life: some steps, and rank 0 prints what they took."""
    from minigrad import distributed

    asked = json.loads(text)
    distributed.init_process_group()
    rank = {"minigrad": Ours, "torch": Theirs}[asked["name"]](asked["job"])
    first = rank.step()
    steps = [timed(rank.step) for _ in range(2)]
    counts = [0]
    if rank.rank == 0:
        counts = [max(2, min(100, int(asked["seconds"] / steps[-1])))]
    distributed.broadcast_object_list(counts, 0)
    seconds, waited, early, processor = [], [], [], []
    for _ in range(counts[0]):
        distributed.barrier()
        began = time.process_time()
        seconds.append(timed(rank.step))
        processor.append(time.process_time() - began)
        waited.append(rank.waited)
        early.append(rank.early)
    of_ranks: list[Any] = [None] * rank.size
    distributed.all_gather_object(of_ranks, processor)
    alone = [rank.alone() for _ in range(5)]
    if rank.rank == 0:
        found = {"seconds": seconds, "waited": waited, "early": early, "alone": alone, "loss": first}
        print(json.dumps(found | {"processor": [sum(one) for one in zip(*of_ranks, strict=True)]}), flush=True)
    distributed.barrier()
    distributed.destroy_process_group()


def timed(call: Callable[[], Any]) -> float:
    """Its seconds."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


# --------------------------------------------------------------------------------------------------------- the report


def steps_of(result: Result, name: str) -> list[dict[str, Any]]:
    """At each value median and quartiles of the rounds' medians, and what was waited, alone, and of all processors together."""
    found = []
    for point in result["points"]:
        turns = point["tracks"][name]["turns"]
        summary = summarize([float(np.median(turn["seconds"])) for turn in turns])
        waited = float(np.quantile([w for turn in turns for w in turn["waited"]], UNDISTURBED))
        alone = float(np.quantile([a for turn in turns for a in turn["alone"]], UNDISTURBED))
        processor = float(np.median([p for turn in turns for p in turn["processor"]]))
        early = float(np.mean([e for turn in turns for e in turn["early"]]))
        found.append({**summary, "waited": waited, "early": early, "alone": alone, "processor": processor})
    return found


def hidden(one: Mapping[str, Any]) -> float | None:
    """The share of the bytes that were exchanged before the backward pass ended; None where there is nothing to exchange."""
    return one["early"] if one["alone"] else None


def tables(result: Result) -> list[Table]:
    """A row a number of ranks: a step's milliseconds in both frameworks, over one rank's, and what is hidden."""
    found = {name: steps_of(result, name) for name in NAMES}
    rows = []
    for i, point in enumerate(result["points"]):
        row = [str(point["value"]), str(point["threads"])]
        for name in NAMES:
            one = found[name][i]
            row += [f"{1e3 * one['median']:.1f}", f"{1e3 * one['lower']:.1f} to {1e3 * one['upper']:.1f}"]
            row.append(f"{one['median'] / found[name][0]['median']:.3f}")
            row.append(f"{1e3 * one['processor']:.1f}")
        ours = found["minigrad"][i]
        share = hidden(ours)
        row += (
            ["", "", ""]
            if share is None
            else [f"{1e3 * ours['alone']:.1f}", f"{1e3 * ours['waited']:.1f}", f"{100 * share:.0f} %"]
        )
        rows.append(row)
    head = ["ranks", "threads each"]
    for name in NAMES:
        head += [f"{name}, ms", "quartiles", "over the first", "processors, ms"]
    head += ["communication alone, ms", "waited for, ms", "hidden"]
    title = (
        f"a step of {result['points'][0]['job']['model']} with a global batch of {result['points'][0]['job']['batch']}"
    )
    return [Table(title, head, rows, [f"machine: {in_words(result['machine'])}"])]


def verdict(result: Result) -> str:
    """What a reader should take away."""
    job, values = result["points"][0]["job"], result["values"]
    what = (
        f"{job['model']}, global batch {job['batch']} of {job['image_size']} pixels, {values[0]} to {values[-1]} ranks"
    )
    if not result["agree"]:
        return f"{what}: the runs do not compute the same loss, so their times mean nothing."
    ours, theirs = steps_of(result, "minigrad"), steps_of(result, "torch")
    text = [
        f"on {value} ranks a step takes {one['median'] / ours[0]['median']:.2f} of its time on {values[0]} "
        f"(torch {other['median'] / theirs[0]['median']:.2f}), and {one['processor'] / ours[0]['processor']:.2f} of its "
        "processor time"
        for value, one, other in zip(values[1:], ours[1:], theirs[1:], strict=True)
    ]
    shares = [f"{100 * share:.0f} %" for one in ours if (share := hidden(one)) is not None]
    return f"{what}: {'; '.join(text)}; of the communication {', '.join(shares)} is hidden behind the backward pass."


def pictures(result: Result) -> dict[str, bytes]:
    """A step's time over the number of ranks."""
    job = result["points"][0]["job"]
    figure, axes = new_figure(
        1, 1, f"A training step of {job['model']}, global batch {job['batch']}", in_words(result["machine"])
    )
    for name in NAMES:
        found = steps_of(result, name)
        axes[0, 0].plot(
            result["values"], [1e3 * one["median"] for one in found], "o-", color=COLOURS[name], ms=4, label=name
        )
    axes[0, 0].set_ylim(bottom=0)
    quiet(axes[0, 0], "A step, ms", "ranks")
    axes[0, 0].set_xticks(result["values"])
    axes[0, 0].legend(frameon=False, fontsize=8)
    return {f"scaling-{job['model']}-ranks": as_png(figure)}


if __name__ == "__main__":
    main(sys.argv[1])
