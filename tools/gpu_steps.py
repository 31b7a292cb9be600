"""What one training step costs a GPU: its time, the host's share of it, peak memory, and its kernels by name.

    python tools/gpu_steps.py simplenet [--batch 256] [--image-size 128] [--json FILE]

Printed first is what needs no profiler: the time of a step, and how much of it the host needs to issue the work; last the same
of the step as one CUDA graph. The list of kernels is torch.profiler's, which watches the whole process through CUPTI, CuPy's
kernels too.
"""

from __future__ import annotations

import argparse
import collections
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from compare.kit.job import Job, Training, make_start
from minigrad.training.recipes import model_settings
from models import MODELS

WARM_UP, PROFILED = 3, 3


def make_job(model: str, batch: int, image_size: int) -> Job:
    """The model's recipe on a folder of images, at a low learning rate."""
    recipe = MODELS[model].folder
    return Job(
        model, batch, image_size, "gpu:0", None, 2024, settings=model_settings(model, image_size, {}),
        optimizer=recipe.optimizer, lr=1e-4, weight_decay=recipe.weight_decay, clip_grad=recipe.clip_grad,
    )  # fmt: skip


def captured(training: Training) -> Callable[[], Any]:
    """The same step as one CUDA graph, as train_minigrad.py makes it; captured, once it has been called a few times."""
    images, labels = training.images, training.labels

    def gradients(images: Any, labels: Any) -> Any:
        training.images, training.labels = images, labels
        training.forward()
        training.backward()
        if training.job.clip_grad:
            training.library.nn.utils.clip_grad_norm_(training.model.parameters(), training.job.clip_grad)
        return training.last_loss

    step = training.library.cuda.CapturedStep(gradients, training.optimizer)
    for _ in range(step.warmup + 1):
        step(images, labels)
    return lambda: step(images, labels)


def timed(training: Training, step: Callable[[], Any], count: int) -> dict[str, float]:
    """Medians of `count` steps in milliseconds: the whole step; until the host had issued it."""
    rows = []
    training.framework.synchronize()
    for _ in range(count):
        began = time.perf_counter()
        step()
        issued = time.perf_counter()
        training.framework.synchronize()
        rows.append((time.perf_counter() - began, issued - began))
    whole, host = (sorted(column)[count // 2] * 1e3 for column in zip(*rows, strict=True))
    return {"step_ms": round(whole, 3), "host_ms": round(host, 3)}


def profiled(training: Training) -> list[tuple[str, float, float]]:
    """(name, milliseconds, launches) of each kernel and copy, a step's means, the dearest first."""
    import torch

    torch.cuda.init()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as watched:
        for _ in range(PROFILED):
            training.step()
        training.framework.synchronize()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        watched.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    time_of: collections.Counter[str] = collections.Counter()
    count_of: collections.Counter[str] = collections.Counter()
    for event in events:
        if event.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset"):
            time_of[event["name"][:90]] += event["dur"]
            count_of[event["name"][:90]] += 1
    return [(name, us / 1e3 / PROFILED, count_of[name] / PROFILED) for name, us in time_of.most_common()]


def main() -> None:
    """Measure, print, and write --json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=list(MODELS))
    parser.add_argument("--batch", type=int, default=256, help="images a step (%(default)s)")
    parser.add_argument("--image-size", type=int, default=128, help="pixels a side (%(default)s)")
    parser.add_argument("--steps", type=int, default=10, help="timed steps (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all of it to this file")
    options = parser.parse_args()
    job = make_job(options.model, options.batch, options.image_size)
    training = Training("minigrad", job)
    training.build(make_start(job))
    for _ in range(WARM_UP):
        training.step()
    training.framework.reset_peak_memory()
    result: dict[str, Any] = {
        "job": job.as_dict(),
        **timed(training, training.step, options.steps),
        "peak_bytes": training.framework.peak_memory(),
    }
    print(options.model, {key: value for key, value in result.items() if key != "job"}, flush=True)
    try:
        kernels = profiled(training)
    except Exception as error:  # no torch here, or one without CUDA: the times stand for themselves
        print(f"no list of kernels: {str(error).splitlines()[0]}")
    else:
        result["kernels"] = kernels
        busy, launches = sum(row[1] for row in kernels), sum(row[2] for row in kernels)
        print(f"GPU busy {busy:.2f} ms, {launches:.0f} launches a step")
        for name, ms, count in kernels[:25]:
            print(f"{ms:9.3f} ms {count:7.1f} x {name}")
    as_graph = timed(training, captured(training), options.steps)
    result |= {f"captured_{name}": ms for name, ms in as_graph.items()}
    print("captured:", as_graph, flush=True)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
