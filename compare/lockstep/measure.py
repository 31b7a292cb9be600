"""Training in lockstep: one start, the same batches, masks and rates for four trainings, and how far they drift apart."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import models
from compare.kit.arguments import read_settings
from compare.kit.distances import Arrays, norm_distance
from compare.kit.frameworks import leave_cores
from compare.kit.job import Job, Training, make_start, part
from compare.kit.result import Result
from compare.kit.statistics import geometric_mean
from minigrad.data import Batch, DataLoader, normalize, open_dataset
from minigrad.data.dataset import ImageDataset
from minigrad.errors import MinigradError
from minigrad.training.checkpoints import find_checkpoint, load_checked
from minigrad.training.recipes import model_settings, recipe
from minigrad.training.schedule import learning_rate

OURS, TORCH, OURS_EXACT, EXACT = NAMES = ("minigrad float32", "torch float32", "minigrad float64", "torch float64")
"""The trainings, in the order in which they take a step; distances are from the last one."""

SHOWN_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""After these, and after the last one, distances are noted layer by layer."""

LIMIT = 2.0
FLOOR, CEILING = 2.0**-24, 1.0
CLIP = 10.0
EXACT_LIMIT, EXACT_STEPS = 1e-9, 50
REPORTED_STEPS = 10  # between two lines of progress

Figures = dict[str, Any]


def measure(options: argparse.Namespace, begun: Result) -> Result:
    """The result: what `train` notes of each seed, and what `judge` makes of it."""
    leave_cores()
    plan = recipe(options.data, options.model, None)
    data = open_dataset(options.data, "train", image_size=options.image_size or plan["image_size"])
    result = begun | {
        "model": options.model,
        "data": data.name,
        "steps": options.steps,
        "start": options.weights and "trained",
    }
    result |= {"epochs": plan["epochs"], "warmup": plan["warmup"], "job": {}, "runs": []}
    for seed in range(options.seed, options.seed + options.seeds):
        batch, settings = (
            options.batch or models.MODELS[options.model].lockstep[0],
            read_settings(options.model, options.set),
        )
        job = Job.by_recipe(
            plan, options.model, batch, data.image_size, "cpu", options.threads, seed,
            len(data.classes), data.channels, model_settings(options.model, data.image_size, settings),
            lr=options.lr or plan["lr"],
        )  # fmt: skip
        result["job"] = result["job"] or job.as_dict()
        start = started(job, options.weights)
        result["runs"].append(train(job, start, data, options.steps, plan["epochs"], plan["warmup"], Progress(seed)))
    return result | judge(result["runs"])


def started(job: Job, weights: str | None) -> Arrays:
    """`make_start`, with the weights of a run folder, a checkpoint or a file. CheckpointError if they are another network's."""
    start = make_start(job)
    if weights is not None:
        shapes = {key: value.shape for key, value in part(start, "model").items()}
        learnt = load_checked(find_checkpoint(weights, "best.safetensors"), shapes)
        start |= {f"model.{key}": learnt[key] for key in shapes}
    return start


class Progress:
    """A line every few steps."""

    def __init__(self, seed: int) -> None:
        self.seed, self.began = seed, time.perf_counter()

    def __call__(self, step: int, figures: Figures) -> None:
        """After a step, with what there is so far."""
        steps = figures["layers"]["steps"][-1]
        if step % REPORTED_STEPS and step != steps:
            return
        drifts = ", ".join(f"{name} {figures['drift']['weights'][name][-1]:.1e}" for name in NAMES[:-1])
        loss, seconds = figures["losses"][EXACT][-1], time.perf_counter() - self.began
        text = f"seed {self.seed} step {step}/{steps}: loss {loss:.3f}; drift of the weights: {drifts}; {seconds:.0f} s"
        print(text, flush=True)


class Lockstep(Training):
    """A training in float32 or float64 that takes a given batch at a given rate. name: one of NAMES."""

    def __init__(self, name: str, job: Job, start: Arrays) -> None:
        framework, self.dtype = name.split()
        super().__init__(framework, job)
        self.build(start, self.dtype)

    def take(self, images: np.ndarray, labels: np.ndarray, lr: float) -> float:
        """One training step on images (N, C, H, W); returns its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.images, self.labels = self.library.from_numpy(images.astype(self.dtype)), self.library.from_numpy(labels)
        self.step()
        return self.loss()

    def arrays(self) -> dict[str, Arrays]:
        """What is compared, by kind and key: "weights", "gradients" (as the update took them) and, where there are any,
        "statistics" (running mean and variance). Not copies."""
        parameters = dict(self.model.named_parameters())
        kinds = {
            "weights": parameters,
            "gradients": {key: parameter.grad for key, parameter in parameters.items()},
            "statistics": {key: value for key, value in self.model.named_buffers() if value.is_floating_point()},
        }
        return {
            kind: {key: value.detach().numpy() for key, value in values.items()}
            for kind, values in kinds.items()
            if values
        }


def train(
    job: Job,
    start: Arrays,
    data: ImageDataset,
    steps: int,
    epochs: int,
    warmup: float,
    report: Callable[[int, Figures], None],
) -> Figures:
    """Take the first `steps` steps of `epochs` epochs, `warmup` of which warm up, in all four trainings, from one `start`.

    Batches come from the project's own loader, augmented as in training; all get the same float32 numbers.
    `report(step, figures)` is called after each step with what there is so far.

    Returns {"seed", "lr": [...], "losses": {name: [...]}, "seconds": {name: ...}, "drift": {kind: {name: [...]}},
    "layers": {"steps": [...], "drift": {kind: {layer: {name: [...]}}}}}; a drift is |a - exact| / |exact| in 2-norms, all
    arrays of the kind together, or those of a layer, after the step; there is none for torch's float64, which is `exact`.

    MinigradError if torch's float64 comes to a loss that is not finite.
    """
    trainings = {name: Lockstep(name, job, start) for name in NAMES}
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
        for name, training in trainings.items():
            began = time.perf_counter()
            figures["losses"][name].append(training.take(images, batch.labels, lr))
            figures["seconds"][name] += time.perf_counter() - began
        if not np.isfinite(figures["losses"][EXACT][-1]):
            raise MinigradError(f"step {step}: torch's own loss in float64 is not finite; a lower --lr may help")
        note(figures, step, {name: training.arrays() for name, training in trainings.items()})
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
    """Add the distances after a step to the figures. arrays: {name: {kind: {key: array}}}."""
    for kind, exact in arrays[EXACT].items():
        for name in NAMES[:-1]:
            found = distances(arrays[name][kind], exact)
            figures["drift"].setdefault(kind, {}).setdefault(name, []).append(found.pop(""))
            if step in figures["layers"]["steps"]:
                by_layer = figures["layers"]["drift"].setdefault(kind, {})
                for layer, distance in found.items():
                    by_layer.setdefault(layer, {}).setdefault(name, []).append(distance)


def distances(arrays: Arrays, exact: Arrays) -> dict[str, float]:
    """|arrays - exact| / |exact| of each layer, and of all together under ""."""
    keys: dict[str, list[str]] = {"": list(exact)}
    for key in exact:
        keys.setdefault(key.rpartition(".")[0] or key, []).append(key)
    return {
        layer: rounded(norm_distance([arrays[key] for key in of], [exact[key] for key in of]))
        for layer, of in keys.items()
    }


def rounded(value: float) -> float:
    """Five digits: more would only make the files longer."""
    return float(f"{value:.5g}")


# judging


def judge(runs: Sequence[Figures]) -> Result:
    """{"ratios": {kind: {"mean", "rms", "worst", "worst_step", "worst_seed", "best"}}, "exact": {what: ...}, "agree"}.

    worst, best: the largest and the least plain ratio (ours over torch's) of any step in which either is over the floor.
    exact: the largest distance of the two float64 trainings in the first EXACT_STEPS steps: of losses, and of each kind.
    """
    kinds = list(runs[0]["drift"])
    ratios = {kind: compare_drifts(runs, kind) for kind in kinds}
    exact = {kind: float(np.max([run["drift"][kind][OURS_EXACT][:EXACT_STEPS] for run in runs])) for kind in kinds}
    losses = np.array([[run["losses"][name][:EXACT_STEPS] for run in runs] for name in (OURS_EXACT, EXACT)])
    exact["losses"] = float(np.max([norm_distance(a, b) for a, b in losses.reshape(2, -1).T]))  # NaN if one is
    agree = all(found[what] <= LIMIT for found in ratios.values() for what in ("mean", "rms"))
    return {"ratios": ratios, "exact": exact, "agree": agree and all(value <= EXACT_LIMIT for value in exact.values())}


def compare_drifts(runs: Sequence[Figures], kind: str) -> Result:
    """How much further our float32 drifts than torch's: of one kind of arrays what `judge` returns."""
    ours, torchs = (np.array([run["drift"][kind][name] for run in runs]) for name in (OURS, TORCH))  # (seed, step)
    clipped = [drifts.clip(FLOOR, CEILING) for drifts in (ours, torchs)]
    rms = [np.sqrt((drifts**2).mean(1)) for drifts in clipped]
    with np.errstate(divide="ignore", invalid="ignore"):
        plain = np.where(np.maximum(ours, torchs) > FLOOR, ours / torchs, 0)
    worst = np.unravel_index(np.argmax(plain), plain.shape)
    return {
        "mean": geometric_mean((clipped[0] / clipped[1]).clip(1 / CLIP, CLIP)),
        "rms": geometric_mean(rms[0] / rms[1]),
        "worst": float(plain[worst]),
        "worst_step": int(worst[1]) + 1,
        "worst_seed": runs[int(worst[0])]["seed"],
        "best": float(np.min(plain, initial=np.inf, where=plain > 0)),
    }
