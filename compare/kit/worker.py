"""A process in which one framework lives alone.

Two frameworks in one process slow each other down: their threads spin on the same cores. So each has a process of its
own, which sleeps until the next line of JSON comes in (`Worker.ask`), and answers with one line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cached_property
from itertools import chain, count, islice
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from compare.kit.distances import Arrays
from compare.kit.frameworks import Torch
from compare.kit.job import Job, Training
from compare.kit.result import ROOT
from minigrad.errors import MinigradError

PHASES = ("forward", "backward", "update")
LOADED_GROUPS = 8
WARM_UP_STEPS = 2


class Worker:
    """An implementation in a process of its own, as the caller sees it. A context manager: the process ends with it.

    MinigradError for what the implementation cannot do on this machine, or if its process dies.
    """

    def __init__(self, name: str, job: Job, environment: Mapping[str, str]) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", "compare.kit.worker", name, json.dumps(job.as_dict())],
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the process that asks, which ends this one
        )

    def ask(self, request: str, **arguments: Any) -> Any:
        """The answer of `Server.<request>(**arguments)`."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"request": request, **arguments}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it is gone: that shows below
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            raise MinigradError(f"the process of {self.name} ended unasked (exit code {code}) when asked to {request}")
        answer = json.loads(line)
        if "error" in answer:
            raise MinigradError(answer["error"])
        return answer["result"]

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()


class Server:
    """What a worker does when it is asked."""

    def __init__(self, name: str, job: Job) -> None:
        self.name, self.job = name, job
        self.slept_at = time.process_time()

    @cached_property
    def open(self) -> Training:
        """The implementation, its framework imported when first asked for."""
        return Training(self.name, self.job)

    def build(self, start: str) -> dict[str, Any]:
        """Make model, batch and optimizer from the file `start`; returns the framework's facts."""
        self.open.build(load_arrays(start))
        return self.open.framework.facts()

    def first_steps(self, steps: int, save: str) -> list[float]:
        """The losses of the first steps. The first step's gradients ("gradient.KEY") and the weights after the last one
        ("model.KEY") go to the file `save`."""
        losses = []
        arrays: Arrays = {}
        for step in range(steps):
            self.timed_step(by_phase=False)
            losses.append(self.open.loss())
            if step == 0:
                arrays |= {f"gradient.{key}": array for key, array in self.open.gradients().items()}
        save_arrays(save, arrays | {f"model.{key}": array for key, array in self.open.weights().items()})
        return losses

    def turn(self, steps: int, by_phase: bool) -> dict[str, Any]:
        """Time some steps, each by itself, after one that is not counted: it finds the caches cold.

        Returns the seconds of each step (by_phase: of its phases), processor seconds of each step (all threads
        together), the last loss, and the processor seconds spent since the last turn, when all should have slept.
        """
        idle = time.process_time() - self.slept_at
        self.timed_step(by_phase)
        timed = [self.timed_step(by_phase) for _ in range(steps)]
        loss = self.open.loss()
        return {"seconds": [s for s, _ in timed], "processor": [p for _, p in timed], "loss": loss, "idle": idle}

    def perturbation(self, preset: str, steps: int, save: str) -> None:
        """What an attack adds to the batch, "first" after one step and "last" after all, goes to the file `save`."""
        clean, ends = self.open.images, {"first": 1, "last": steps}
        moved = {when: self.open.attacked(preset, n) - clean for when, n in ends.items()}
        save_arrays(save, {when: delta.numpy(force=True) for when, delta in moved.items()})

    def attack(self, preset: str, steps: int) -> dict[str, float]:
        """Time an attack, after a first step that is not timed: its seconds and processor seconds."""
        training = self.open
        training.attacked(preset, 1)
        training.framework.synchronize()
        processor, started = time.process_time(), time.perf_counter()
        training.attacked(preset, steps)
        training.framework.synchronize()
        return {"seconds": time.perf_counter() - started, "processor": time.process_time() - processor}

    def limit(self) -> dict[str, Any]:
        """The least time of a step of minigrad on this machine (compare.kit.limit.least)."""
        from compare.kit.limit import least  # here: the processes of other frameworks do without minigrad's ops

        return least(self.open)

    def op_rows(self, steps: int) -> list[dict[str, Any]]:
        """torch.profiler's rows (Torch.op_rows), after some steps that it does not see."""
        torch = self.open.framework
        assert isinstance(torch, Torch)
        for _ in range(WARM_UP_STEPS):
            self.timed_step(by_phase=False)
        return torch.op_rows(self.open.step, steps)

    def loading(self, data: str | None, workers: int) -> dict[str, Any]:
        """Time the loader of both scripts, with nothing else to do: batches of the job's size, augmented and normalised.

        Workers hand batches over in bursts, so groups of them are timed; the first, which was waited for while the workers
        began, is not counted. Returns the `seconds` a batch of each group, of which `normalising`, and what was loaded.
        """
        from minigrad.data import DataLoader, normalize, open_dataset  # here: the frameworks are measured without it

        images = open_dataset(data, "train", self.job.image_size)
        seconds, normalising = [], []
        group = 2 * max(workers, 1)
        with DataLoader(images, self.job.batch, train=True, workers=workers, seed=self.job.seed) as loader:
            batches = chain.from_iterable(loader.epoch(epoch) for epoch in count())
            for _ in range(1 + LOADED_GROUPS):
                normalised, started = 0.0, time.perf_counter()
                for batch in islice(batches, group):
                    arrived = time.perf_counter()
                    normalize(batch.images, images.mean, images.std)
                    normalised += time.perf_counter() - arrived
                seconds.append((time.perf_counter() - started) / group)
                normalising.append(normalised / group)
        found = {"data": images.name, "channels": images.channels, "workers": workers, "group": group}
        return found | {"seconds": seconds[1:], "normalising": normalising[1:]}

    def timed_step(self, by_phase: bool) -> tuple[list[float], float]:
        """One step: ([seconds of each phase], or [seconds], and the processor seconds).

        A GPU is waited for before each reading of the clock; within a step that is done for the phases' sake only.
        """
        training = self.open
        training.framework.synchronize()
        processor = time.process_time()
        clock = [time.perf_counter()]
        for phase in PHASES:
            getattr(training, phase)()
            if by_phase or phase == PHASES[-1]:
                training.framework.synchronize()
                clock.append(time.perf_counter())
        return np.diff(clock).tolist(), time.process_time() - processor

    def memory(self, start: str, steps: int) -> dict[str, int]:
        """Bytes: `imported`, with the framework imported; `ready`, when it has trained a network of a few numbers, so
        that code which is loaded on first use is there; `peak`, the most while model, batch and `steps` steps are made.
        """
        training, framework = self.open, self.open.framework
        imported = framework.memory()
        training.rehearse()
        framework.synchronize()
        ready = framework.memory()
        framework.reset_peak_memory()
        training.build(load_arrays(start))
        for _ in range(steps):
            self.timed_step(by_phase=False)
        return {"imported": imported, "ready": ready, "peak": framework.peak_memory()}

    def serve(self, request: str, **arguments: Any) -> Any:
        """The answer to a request, by name."""
        try:
            return {"result": getattr(self, request)(**arguments)}
        except MinigradError as error:
            return {"error": str(error)}
        finally:
            self.slept_at = time.process_time()


def save_arrays(path: str | Path, arrays: Arrays) -> None:
    """Write arrays to an .npz file."""
    np.savez(path, **arrays)  # type: ignore[arg-type]


def load_arrays(path: str | Path) -> Arrays:
    """The arrays of an .npz file."""
    with np.load(path) as file:
        return dict(file)


def main(name: str, job: str) -> None:
    """Answer each line of standard input with a line on standard output."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    server = Server(name, Job(**json.loads(job)))
    for line in sys.stdin:
        print(json.dumps(server.serve(**json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
