"""AutoAttack here beside the authors' own code: robust accuracy on the same images, and the CPU time of both.

    pip install --no-deps pyautoattack
    python tools/autoattack.py [--defended] [--limit 500] [--norm linf] [--epsilon 0.1] [--json FILE]
    python tools/autoattack.py --weights runs/... [--norm l2] [--epsilon 1]

The network is a run folder's, or a small one that is trained here on the embedded images, plain or `--defended` by PGD training.
The images are validation images; epsilon is in pixels, values from 0 to 1. One thread each. The exit code is 1 if the two leave
numbers of images right that differ by more than one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg
from compare.kit.frameworks import FRAMEWORKS
from minigrad.attacks import PGD, AutoAttack
from minigrad.data import normalize, open_dataset
from minigrad.nn import functional as F


def main() -> int:
    """Run both, print the table, and say whether they agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="a run folder")
    parser.add_argument("--defended", action="store_true", help="train the small network on attacked images")
    parser.add_argument("--limit", type=int, default=500, help="images (500)")
    parser.add_argument("--norm", choices=["linf", "l2"], default="linf")
    parser.add_argument("--epsilon", type=float, default=0.1, help="in pixels (0.1)")
    parser.add_argument("--version", choices=["standard", "plus"], default="standard")
    parser.add_argument("--batch", type=int, default=250, help="images at a time (250)")
    parser.add_argument("--only", choices=["minigrad", "pyautoattack"], help="one of them alone")
    parser.add_argument("--json", type=Path, help="add a line for each to this file")
    options = parser.parse_args()
    if options.weights is None:
        trained(options.defended, options.epsilon, options.norm)  # its time is nobody's
    lines = []
    for name, run in (("minigrad", ours), ("pyautoattack", theirs)):
        if options.only in (None, name):
            start = time.process_time()
            stages = run(options)
            line = {"code": name, "seconds": time.process_time() - start, "stages": stages} | {
                key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()
            }
            lines.append(line)
            print(f"{name}: {stages}, {line['seconds']:.0f} s of CPU time", flush=True)
            if options.json:
                with options.json.open("a") as file:
                    file.write(json.dumps(line) + "\n")
    ends = [list(line["stages"].values())[-1] for line in lines]  # type: ignore[attr-defined]
    return int(len(ends) == 2 and abs(ends[0] - ends[1]) > 1)


def images_and_labels(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, Any]:
    """Pixels from 0 to 1, their labels, and the data that they are of."""
    data = open_dataset(None, "val", limit=options.limit)
    return np.stack([data.load(i, None) for i in range(len(data))]), data.labels, data


def small(library: Any) -> Any:
    """A small network, in the framework that is given."""
    nn = library.nn
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, stride=2, padding=2), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 49, 10),
    )  # fmt: skip


@cache
def trained(defended: bool, epsilon: float, norm: str) -> dict[str, np.ndarray]:
    """The weights of the small network after two passes over 10,000 images, or six over attacked ones."""
    mg.manual_seed(0)
    model, data = small(mg), open_dataset(None, "train")
    pixels = np.stack([data.load(i, None) for i in range(len(data))])
    x, y = mg.from_numpy(normalize(pixels, data.mean, data.std)), mg.from_numpy(data.labels)
    optimizer = mg.optim.AdamW(model.parameters(), lr=2e-3)
    units: dict[str, Any] = {"units": "pixel", "clip": (0, 1), "mean": data.mean, "std": data.std, "norm": norm}
    attack = PGD(
        steps=5, epsilon=epsilon, alpha=epsilon / 3, random_start=True, target="label", direction="ascend", **units
    )
    for start in [*range(0, len(data), 100)] * (6 if defended else 2):
        images, labels = x[start : start + 100], y[start : start + 100]
        images = attack(model, images, labels) if defended else images
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
    return {key: value.numpy().copy() for key, value in model.state_dict().items()}


def network(framework: str, options: argparse.Namespace, data: Any) -> Any:
    """The network in this framework, in evaluation mode."""
    library = FRAMEWORKS[framework]("cpu", threads=1)
    if options.weights is not None:
        settings = json.loads((options.weights / "config.json").read_text())
        return library.load(options.weights / "best.safetensors", settings["options"]["model"], len(data.classes), 1)
    model = small(library.library)
    weights = trained(options.defended, options.epsilon, options.norm)
    model.load_state_dict({key: library.library.from_numpy(array) for key, array in weights.items()})
    return model.eval()


def ours(options: argparse.Namespace) -> dict[str, int]:
    """How many images are right after each stage of minigrad's."""
    pixels, labels, data = images_and_labels(options)
    model = network("minigrad", options, data)
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

    pixels, labels, data = images_and_labels(options)
    model = network("torch", options, data)
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
