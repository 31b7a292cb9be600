"""Writes docs/scaling.md: a simulation of data-parallel training on 8 to 512 GPUs, from networks as they are here.

    python tools/scaling.py            write it
    python tools/scaling.py --print    print it

The simulation knows each layer's parameters and multiply-adds, in the order of the backward pass, and buckets as
minigrad.distributed.reducer divides them. A bucket is sent when its last gradient is complete and the bucket before it has been
sent; a step ends when the backward pass and the last bucket have.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import minigrad as mg
from minigrad import nn
from minigrad.distributed.reducer import BUCKET, FIRST_BUCKET
from models import create

ROOT = Path(__file__).parents[1]
RATE = 15e12  # operations a second that a GPU sustains, forward and backward: a tenth of what the data sheet of an A100 says
A_MACHINE = 8  # GPUs
NVLINK = 200e9  # bytes a second between the GPUs of a machine, each way
LATENCY = 15e-6  # seconds of one hop between machines, and 3e-6 within one
NEAR = 3e-6
OVERHEAD = 2e-3  # seconds of a step that do not depend on its images: kernels are launched one by one
NETWORKS = {"SimpleNet": ("simplenet", 128), "ResNet-18": ("resnet18", 128)}
COUNTS = (8, 16, 32, 64, 128, 256, 512)


@dataclass(frozen=True)
class Layer:
    """A layer's gradients, in bytes, and the operations of its forward pass for one image."""

    bytes: int
    operations: float


def layers(model: str, size: int) -> list[Layer]:
    """The layers with parameters in the order of the forward pass, measured on one image."""
    network = create(model, 100, 3, size).eval()
    found: list[Layer] = []

    def note(layer: nn.Module, inputs: tuple[mg.Tensor, ...], output: mg.Tensor) -> None:
        own = sum(4 * p.numel() for p in layer.parameters(recurse=False))
        if own:
            weight = next(layer.parameters(recurse=False))
            places = output.numel() // weight.shape[0] if weight.ndim > 1 else 0
            found.append(Layer(own, 2.0 * weight.numel() * places + 2.0 * output.numel()))

    handles = [layer.register_forward_hook(note) for layer in network.modules()]
    with mg.no_grad():
        network(mg.zeros(1, 3, size, size))
    for handle in handles:
        handle.remove()
    return found


def buckets(sizes: list[int], cap: int) -> list[tuple[int, int]]:
    """(bytes, index of the last gradient in it) for gradients that are complete in this order."""
    found, filled = [], 0
    for i, size in enumerate(sizes):
        limit = min(FIRST_BUCKET, cap) if not found else cap
        if filled and filled + size > limit:
            found.append((filled, i - 1))
            filled = 0
        filled += size
    return [*found, (filled, len(sizes) - 1)]


def all_reduce(size: float, gpus: int, network: float) -> float:
    """Seconds of a ring over the machines, each of which has added up its own GPUs' numbers before, and hands them out after."""
    machines, inside = max(1, gpus // A_MACHINE), min(gpus, A_MACHINE)
    near = 2 * (inside - 1) / inside * size / NVLINK + 2 * (inside - 1) * NEAR if inside > 1 else 0.0
    far = 2 * (machines - 1) / machines * size / network + 2 * (machines - 1) * LATENCY if machines > 1 else 0.0
    return near + far


def step(
    parts: list[Layer], images: float, gpus: int, network: float, cap: int = BUCKET, passes: int = 1
) -> tuple[float, float]:
    """(seconds of a step, seconds of it that wait for communication): `passes` backward passes, the last of which averages."""
    forward = images * sum(part.operations for part in parts) / RATE
    alone = passes * (3 * forward + OVERHEAD)
    clock = alone - 2 * forward  # when the last backward pass begins
    order = parts[::-1]
    ready = []
    for part in order:
        clock += 2 * images * part.operations / RATE
        ready.append(clock)
    sent = 0.0
    for size, last in buckets([part.bytes for part in order], cap):
        sent = max(sent, ready[last]) + all_reduce(size, gpus, network)
    end = max(alone, sent)
    return end, end - alone


def efficiency(name: str, gpus: int, network: float, images: float, **how: int) -> float:
    """A step without communication over a step with it."""
    end, waited = step(PARTS[name], images, gpus, network, **how)
    return (end - waited) / end


PARTS = {name: layers(*what) for name, what in NETWORKS.items()}


def table(head: list[str], rows: list[list[str]]) -> str:
    """In Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


SPEEDS = {"10 Gbit/s": 10e9 / 8, "100 Gbit/s": 100e9 / 8}


def growing() -> str:
    """A fixed number of images on each GPU."""
    head = ["GPUs", *(f"{name}, {speed}" for name in NETWORKS for speed in SPEEDS)]
    rows = []
    for gpus in COUNTS:
        cells = [f"{100 * efficiency(name, gpus, rate, 32):.0f} %" for name in NETWORKS for rate in SPEEDS.values()]
        rows.append([str(gpus), *cells])
    return table(head, rows)


def fixed() -> str:
    """One recipe: the global batch stays."""
    head = ["GPUs", "images a GPU", *(f"{name}, {speed}" for name in NETWORKS for speed in SPEEDS)]
    rows = []
    for gpus in (1, *COUNTS[:-1]):
        images = 256 / gpus
        cells = []
        for name in NETWORKS:
            alone = step(PARTS[name], 256, 1, 1.0)[0]
            cells += [f"{alone / step(PARTS[name], images, gpus, rate)[0]:.1f}" for rate in SPEEDS.values()]
        rows.append([str(gpus), f"{images:g}", *cells])
    return table(head, rows)


def takes_over() -> str:
    """Up to how many GPUs communication hides, and what bytes that is."""
    head = ["", "parameters", "operations an image", *(f"largest with 90 %, {speed}" for speed in SPEEDS)]
    rows = []
    for name, parts in PARTS.items():
        limits = []
        for rate in SPEEDS.values():
            good = [gpus for gpus in COUNTS if efficiency(name, gpus, rate, 32) >= 0.9]
            limits.append(f"{max(good)} GPUs" if good else "none of these")
        count, work = sum(p.bytes for p in parts) / 4e6, 3 * sum(p.operations for p in parts) / 1e9
        rows.append([name, f"{count:.1f} M", f"{work:.1f} G", *limits])
    return table(head, rows)


def sizes() -> str:
    """Bucket sizes."""
    caps = (1, 5, 25, 100)
    head = ["64 GPUs, 32 images each", *(f"{cap} MiB" for cap in caps)]
    rows = []
    for name in NETWORKS:
        for speed, rate in SPEEDS.items():
            cells = [f"{100 * efficiency(name, 64, rate, 32, cap=cap << 20):.0f} %" for cap in caps]
            rows.append([f"{name}, {speed}", *cells])
    return table(head, rows)


def accumulation() -> str:
    """Gradient accumulation."""
    head = ["64 GPUs, 32 images each in a pass", *(f"{n} pass{'es' if n > 1 else ''}" for n in (1, 2, 4, 8))]
    rows = []
    for name in NETWORKS:
        for speed, rate in SPEEDS.items():
            cells = [f"{100 * efficiency(name, 64, rate, 32, passes=n):.0f} %" for n in (1, 2, 4, 8)]
            rows.append([f"{name}, {speed}", *cells])
    return table(head, rows)


def page() -> str:
    """docs/scaling.md."""
    return f"""# Scaling: where communication takes over

Data-parallel training on many GPUs, on paper: a simulation, written by `python tools/scaling.py`, of the step that
[docs/distributed.md](distributed.md) describes. What was measured, on few processes, is `python -m compare scaling --axis ranks`.

## What is assumed

Each layer's parameters and operations are counted on the networks themselves, with images of 128 pixels and 100 classes. A GPU
sustains {RATE / 1e12:.0f} T operations a second and spends {1e3 * OVERHEAD:.0f} ms a pass on launching kernels;
a backward pass costs twice a forward pass. A machine has {A_MACHINE} GPUs, which exchange {NVLINK / 1e9:.0f} GB/s;
each machine has one network card, of 10 or 100 Gbit/s. An all_reduce adds up within the machine, goes around a ring over the M
machines, 2 (M - 1) / M of the bytes and 2 (M - 1) hops of {1e6 * LATENCY:.0f} µs, and is handed out. Buckets are those of
`minigrad.distributed.reducer`: 1 MiB, then 25 MiB each, sent in order, as soon as their gradients are complete. None of the
GPUs' figures was measured here: the shape of the curves is what counts, and it follows from the ratio of a network's operations
to its parameters.

## A fixed number of images a GPU

32 images on each GPU: the share of a step that is work, not waiting.

{growing()}

{takes_over()}

SimpleNet is small: its gradients are one bucket, which is sent when the first layer's gradient, the last of all, is complete.
Nothing is hidden then; what a step waits for is the latency of the ring, which grows with the number of machines. ResNet-18 has
thirty times the parameters, most of them in its last block, whose gradients come first: nearly all of the backward pass is left
to hide them behind. With 100 Gbit/s a fifth to a third of a step is still waiting, with 10 Gbit/s the network is the bottleneck
as soon as there are two machines.

## One recipe: a fixed global batch

A global batch of 256, divided: how many times faster than one GPU. This is what `--batch-size 256` on so many ranks means; each
rank needs an image at the least.

{fixed()}

The work of a GPU shrinks and the bytes do not: more GPUs soon stop helping, and over a slow network they make it slower than one.
To use more, the global batch has to grow, with the learning rate (Goyal et al. 2017, arXiv:1706.02677), which is another recipe.

## What then: buckets, accumulation

The largest bucket, in MiB:

{sizes()}

Small buckets start early and pay the latency of the ring each; one large bucket waits for the last gradient. Between 5 and 25 MiB
little changes, and a network smaller than a bucket has two of them at the most.

Gradient accumulation, several passes a step within `no_sync()`, of which the last one averages: fewer exchanges for as much work.

{accumulation()}

It helps in proportion, and it is a larger batch, too. Where the network is the bottleneck, halving the bytes (float16 gradients)
would do as much as doubling the passes; it is not built here, for it changes the numbers.
"""


def main() -> int:
    """The exit code."""
    if "--print" in sys.argv[1:]:
        print(page(), end="")
    else:
        (ROOT / "docs" / "scaling.md").write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
