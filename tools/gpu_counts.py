"""What one training step gives a GPU to do, counted without a GPU: launches by kind, bytes, host waits, peak memory.

    python tools/gpu_counts.py                     the networks at batch 256 on images of 128 pixels, as the table of docs/gpu.md
    python tools/gpu_counts.py vit --names         each launch by its name, the most frequent first
    python tools/gpu_counts.py --write             writes the table into docs/gpu.md

The step runs on the stand-in for CuPy (tests/emulator), dry: arrays have their shapes and addresses, and nothing is computed. So
counts are exact, at any size, and say nothing about time. Beside the peak stands what PyTorch's eager step saves for its backward
pass, counted on its meta device, which needs no memory. A compiler is needed, g++.
"""

from __future__ import annotations

import argparse
import collections
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests import emulator  # noqa: E402 - the project's folder first
from tests.emulator.launches import Launch  # noqa: E402

PAGE = ROOT / "docs/gpu.md"
BEGIN, END = "<!-- counts: made by python tools/gpu_counts.py --write -->", "<!-- end of counts -->"
NETWORKS = ("simplenet", "vit", "resnet18")
COLUMNS = ("kernel", "product", "elementwise", "reduction", "copy", "fill", "sort")
WARM_UP = 2


@dataclass(frozen=True)
class Step:
    """One training step's launches, its peak of memory in bytes, and what PyTorch saves for the backward pass, if it is here."""

    model: str
    launches: list[Launch]
    peak: int
    torch_saves: int | None

    @property
    def waits(self) -> int:
        """How often the host waits for the device."""
        return sum(launch.kind in ("to host", "wait") for launch in self.launches)

    def row(self) -> str:
        """The step as a row of the table."""
        counts = emulator.totals(self.launches)
        moved = sum(launch.bytes for launch in self.launches if launch.kind not in ("to device", "to host", "wait"))
        of_torch = (
            "-"
            if self.torch_saves is None
            else f"{self.peak / self.torch_saves:.2f} of {self.torch_saves / 2**20:,.0f}"
        )
        cells = [f"{emulator.work(self.launches):,}", *(f"{counts[kind]:,}" for kind in COLUMNS)]
        cells += [str(self.waits), f"{moved / 2**30:.2f}", f"{self.peak / 2**20:,.0f}", of_torch]
        return " | ".join(["|", self.model, *cells])[1:].strip() + " |"


def count(model: str, batch: int, image_size: int) -> Step:
    """A step of train_minigrad.py's recipe for the model, after two that warm up."""
    from compare.kit.job import Training, make_start
    from tools.gpu_steps import make_job

    emulator.install()
    job = make_job(model, batch, image_size)
    with emulator.dry():
        training = Training("minigrad", job)
        training.build(make_start(job))
        for _ in range(WARM_UP):
            training.step()
        training.framework.reset_peak_memory()
        with emulator.counted() as launches:
            training.step()
        peak = training.framework.peak_memory()
    return Step(model, launches, peak, torch_saves(model, batch, image_size))


def torch_saves(model: str, batch: int, image_size: int) -> int | None:
    """Bytes that an eager forward pass of the PyTorch version keeps for the backward pass: batch, activations, weights."""
    try:
        import torch
    except ImportError:
        return None
    from models.reference import create
    from tools.gpu_steps import make_job

    with torch.device("meta"):
        job = make_job(model, batch, image_size)
        network = job.model_from(create).to("meta")
        images, labels = torch.empty(batch, 3, image_size, image_size), torch.empty(batch, dtype=torch.int64)
    saved: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        saved[storage._cdata] = storage  # held: another one must not get its address
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        torch.nn.functional.cross_entropy(network(images), labels)
    return sum(storage.nbytes() for storage in saved.values())


def table(steps: list[Step], batch: int, image_size: int) -> str:
    """The steps as Markdown."""
    heads = ["network", "launches", *COLUMNS, "host waits", "GB moved", "peak MB", "of what PyTorch saves"]
    lines = [f"One training step at batch {batch}, images of {image_size} pixels, float32.", ""]
    lines += ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    return "\n".join([*lines, *(step.row() for step in steps)])


def names(step: Step) -> str:
    """How often each launch is made and how many bytes it moves, the most frequent first."""
    counts = collections.Counter((launch.kind, launch.name) for launch in step.launches)
    bytes_of: collections.Counter[tuple[str, str]] = collections.Counter()
    for launch in step.launches:
        bytes_of[launch.kind, launch.name] += launch.bytes
    rows = [
        f"{n:6} x {kind:12} {name:28} {bytes_of[kind, name] / 2**20:10.1f} MB"
        for (kind, name), n in counts.most_common()
    ]
    return "\n".join([f"{step.model}: {emulator.work(step.launches)} launches", *rows])


def written(page: str, text: str) -> str:
    """The page with the text between its two marks."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}"


def main() -> None:
    """Count, print, and write the page if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="*", help=f"networks ({', '.join(NETWORKS)})", metavar="MODEL")
    parser.add_argument("--batch", type=int, default=256, help="images a step (%(default)s)")
    parser.add_argument("--image-size", type=int, default=128, help="pixels a side (%(default)s)")
    parser.add_argument("--names", action="store_true", help="list the launches by name")
    parser.add_argument("--write", action="store_true", help="write the table into docs/gpu.md")
    options = parser.parse_args()
    from models import MODELS

    if unknown := [model for model in options.model if model not in MODELS]:
        parser.error(f"no such network: {unknown[0]} (there are {', '.join(MODELS)})")
    if min(options.batch, options.image_size) < 1:
        parser.error("--batch and --image-size have to be positive")
    steps = [count(model, options.batch, options.image_size) for model in options.model or NETWORKS]
    text = table(steps, options.batch, options.image_size)
    print("\n\n".join([text, *(names(step) for step in steps if options.names)]))
    if options.write:
        PAGE.write_text(written(PAGE.read_text(), text))


if __name__ == "__main__":
    main()
