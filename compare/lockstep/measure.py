"""Training in lockstep: the same start, batches, masks and rates for four tracks, and after each step how far apart they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from compare.kit.frameworks import TRACKS, Arrays, Job, Track, make_start
from minigrad.data import Batch, DataLoader, normalize
from minigrad.data.dataset import ImageDataset
from minigrad.errors import MinigradError
from minigrad.training.schedule import learning_rate

OURS, TORCH, OURS_EXACT, EXACT = NAMES = ("minigrad float32", "torch float32", "minigrad float64", "torch float64")
"""The tracks, in the order in which they take a step; distances are from the last one."""

SHOWN_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""After these, and after the last one, distances are noted layer by layer."""

Figures = dict[str, Any]


class LockstepTrack:
    """A track in float32 or float64, that takes a given batch at a given rate."""

    def __init__(self, name: str, job: Job, start: Arrays) -> None:
        framework, precision = name.split()
        self.dtype = np.dtype(precision)
        self.track: Track = TRACKS[framework](job)
        self.track.build(start)
        if self.dtype == np.float64:
            self.track.model.double()

    def step(self, images: np.ndarray, labels: np.ndarray, lr: float) -> float:
        """One training step on images (N, C, H, W); returns its loss."""
        track = self.track
        for group in track.optimizer.param_groups:
            group["lr"] = lr
        track.images = track.library.from_numpy(images.astype(self.dtype))
        track.labels = track.library.from_numpy(labels)
        track.forward()
        track.backward()
        track.update()
        return track.loss()

    def arrays(self) -> dict[str, Arrays]:
        """What is held against the other tracks', by kind and key: "weights", "gradients" (as the update took them) and,
        where there are any, "statistics" (running mean and variance). Not copies."""
        model = self.track.model
        parameters = dict(model.named_parameters())
        kinds = {
            "weights": parameters,
            "gradients": {key: parameter.grad for key, parameter in parameters.items()},
            "statistics": {key: value for key, value in model.named_buffers() if value.is_floating_point()},
        }
        return {
            kind: {key: value.detach().numpy() for key, value in values.items()}
            for kind, values in kinds.items()
            if values
        }


def train(
    job: Job, data: ImageDataset, steps: int, epochs: int, warmup: float, report: Callable[[int, Figures], None]
) -> Figures:
    """Train the four tracks for the first `steps` steps of `epochs` epochs, `warmup` of which warm up.

    Batches come from the project's own loader, augmented as in training; all tracks get the same float32 numbers.
    `report(step, figures)` is called after each step with what there is so far.

    Returns {"seed", "lr": [...], "losses": {track: [...]}, "seconds": {track: ...}, "drift": {kind: {track: [...]}},
    "layers": {"steps": [...], "drift": {kind: {layer: {track: [...]}}}}}; a drift is |a - exact| / |exact| in 2-norms, all
    arrays of the kind together, or those of a layer, after the step; there is none for torch's float64, which is `exact`.

    MinigradError if torch's float64 comes to a loss that is not finite.
    """
    start = make_start(job)
    tracks = {name: LockstepTrack(name, job, start) for name in NAMES}
    loader = DataLoader(data, job.batch, train=True, seed=job.seed)
    figures: Figures = {
        "seed": job.seed,
        "lr": [],
        "losses": {name: [] for name in NAMES},
        "seconds": dict.fromkeys(NAMES, 0.0),
        "drift": {},
        "layers": {"steps": [step for step in SHOWN_STEPS if step < steps] + [steps], "drift": {}},
    }
    for step, batch in zip(range(1, steps + 1), batches(loader), strict=False):
        images = normalize(batch.images, data.mean, data.std)
        lr = learning_rate(step - 1, epochs * len(loader), round(warmup * len(loader)), job.lr)
        figures["lr"].append(rounded(lr))
        for name, track in tracks.items():
            began = time.perf_counter()
            figures["losses"][name].append(track.step(images, batch.labels, lr))
            figures["seconds"][name] += time.perf_counter() - began
        if not np.isfinite(figures["losses"][EXACT][-1]):
            raise MinigradError(f"step {step}: torch's own loss in float64 is not finite; a lower --lr may help")
        note(figures, step, {name: track.arrays() for name, track in tracks.items()})
        report(step, figures)
    figures["seconds"] = {name: round(seconds, 1) for name, seconds in figures["seconds"].items()}
    return figures


def batches(loader: DataLoader) -> Iterator[Batch]:
    """One epoch after another."""
    epoch = 0
    while True:
        yield from loader.epoch(epoch)
        epoch += 1


def note(figures: Figures, step: int, arrays: Mapping[str, Mapping[str, Arrays]]) -> None:
    """Add the distances after a step to the figures. arrays: {track: {kind: {key: array}}}."""
    for kind, exact in arrays[EXACT].items():
        for name in NAMES[:-1]:
            whole, layers = distances(arrays[name][kind], exact)
            figures["drift"].setdefault(kind, {}).setdefault(name, []).append(whole)
            if step in figures["layers"]["steps"]:
                by_layer = figures["layers"]["drift"].setdefault(kind, {})
                for layer, distance in layers.items():
                    by_layer.setdefault(layer, {}).setdefault(name, []).append(distance)


def distances(arrays: Arrays, exact: Arrays) -> tuple[float, dict[str, float]]:
    """|arrays - exact| / |exact|, of all together and of each layer."""
    off: dict[str, float] = {}
    size: dict[str, float] = {}
    for key, right in exact.items():
        layer = key.rpartition(".")[0] or key
        off[layer] = off.get(layer, 0.0) + float(np.linalg.norm(arrays[key] - right)) ** 2
        size[layer] = size.get(layer, 0.0) + float(np.linalg.norm(right)) ** 2
    return relative(sum(off.values()), sum(size.values())), {layer: relative(off[layer], size[layer]) for layer in off}


def relative(off: float, size: float) -> float:
    """The root of a quotient of squares; 0 where both are 0, infinite where `size` alone is."""
    if off == 0:
        return 0.0
    return rounded((off / size) ** 0.5) if size else float("inf")


def rounded(value: float) -> float:
    """Five digits: more would only make the files longer."""
    return float(f"{value:.5g}")
