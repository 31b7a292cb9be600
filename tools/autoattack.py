"""AutoAttack here beside the authors' own code: robust accuracy on the same images, and the CPU time of both.

    pip install --no-deps pyautoattack
    python tools/autoattack.py [--weights NETWORK] [--limit 500] [--norm linf] [--epsilon 0.05] [--json FILE]

NETWORK is a run folder, a checkpoint, or FILE.py:NAME; without one the trained SimpleNet-BN that comes with minigrad. The images
are validation images; epsilon is in pixels, values from 0 to 1. The exit code is 1 if the two leave numbers of
images right that differ by more than one. OPENBLAS_NUM_THREADS=1 and OMP_NUM_THREADS=1 leave each library one thread.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg
from compare.kit.frameworks import FRAMEWORKS
from compare.kit.networks import EMBEDDED, load_all, read_networks, size_of
from minigrad.attacks import AutoAttack
from minigrad.data import normalize, open_dataset


def main() -> int:
    """Run both, print the table, and say whether they agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default=EMBEDDED, metavar="NETWORK", help="a run folder (embedded)")
    parser.add_argument("--data", help="a folder, or a data set's name (the network's)")
    parser.add_argument("--image-size", type=int, help="pixels a side (the network's)")
    parser.add_argument("--limit", type=int, default=500, help="images (500)")
    parser.add_argument("--norm", choices=["linf", "l2"], default="linf")
    parser.add_argument("--epsilon", type=float, default=0.1, help="in pixels (0.1)")
    parser.add_argument("--version", choices=["standard", "plus"], default="standard")
    parser.add_argument("--batch", type=int, default=250, help="images at a time (250)")
    parser.add_argument("--only", choices=["minigrad", "pyautoattack"], help="one of them alone")
    parser.add_argument("--json", type=Path, help="add a line for each to this file")
    options = parser.parse_args()
    lines = []
    for name, run in (("minigrad", ours), ("pyautoattack", theirs)):
        if options.only in (None, name):
            lines.append(measured(name, run, options))
    ends = [list(line["stages"].values())[-1] for line in lines]
    return int(len(ends) == 2 and abs(ends[0] - ends[1]) > 1)


def measured(name: str, run: Any, options: argparse.Namespace) -> dict[str, Any]:
    """What one code leaves right after each stage, and the CPU seconds of it, the loading of the images among them."""
    start = time.process_time()
    stages = run(options)
    line = {"code": name, "seconds": time.process_time() - start, "stages": stages}
    line |= {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()}
    print(f"{name}: {stages}, {line['seconds']:.0f} s of CPU time", flush=True)
    if options.json:
        with options.json.open("a") as file:
            file.write(json.dumps(line) + "\n")
    return line


def prepared(framework: str, options: argparse.Namespace) -> tuple[Any, np.ndarray, np.ndarray, Any]:
    """The network in this framework, pixels, their labels, and the data that they are of."""
    networks = read_networks([options.weights], options)
    source, size = size_of(networks, options)
    data = open_dataset(source, "val", size, limit=options.limit)
    pixels = np.stack([data.load(i, None) for i in range(len(data))])
    first = normalize(pixels[:1], data.mean, data.std)
    (model,) = load_all(networks, FRAMEWORKS[framework]("cpu", threads=1), data, size, first).values()
    return model, pixels, data.labels, data


def ours(options: argparse.Namespace) -> dict[str, int]:
    """How many images are right after each stage of minigrad's."""
    model, pixels, labels, data = prepared("minigrad", options)
    attack = AutoAttack(
        version=options.version,
        norm=options.norm,
        epsilon=options.epsilon,
        batch_size=options.batch,
        clip=(0, 1),
        units="pixel",
        mean=data.mean,
        std=data.std,
    )
    show = lambda stage: print(f"  {stage}", flush=True)  # noqa: E731
    result = attack.run(model, mg.from_numpy(normalize(pixels, data.mean, data.std)), labels, progress=show)
    return {stage.name: stage.right for stage in result.stages}


def theirs(options: argparse.Namespace) -> dict[str, int]:
    """How many images are right after each stage of the authors' code, and of all."""
    import torch
    from pyautoattack import AutoAttack as Authors  # type: ignore[import-not-found]

    model, pixels, labels, data = prepared("torch", options)
    mean, std = (torch.tensor(value).view(1, -1, 1, 1) for value in (data.mean, data.std))

    def answer(x: Any) -> Any:
        return model((x - mean) / std)

    attack = Authors(
        answer, norm={"linf": "Linf", "l2": "L2"}[options.norm], eps=options.epsilon, seed=0, version=options.version,
        device="cpu",
    )  # fmt: skip
    x, y = (
        torch.from_numpy((pixels.astype(np.float32) / 255).transpose(0, 3, 1, 2).copy()),
        torch.from_numpy(labels.astype(np.int64)),
    )
    found = attack.run_standard_evaluation(x, y, batch_size=options.batch)[0]
    with torch.no_grad():
        clean, right = (int((answer(images).argmax(1) == y).sum()) for images in (x, found))
    return {"clean": clean, "all": right}


if __name__ == "__main__":
    sys.exit(main())
