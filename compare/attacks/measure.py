"""Attacks on a trained network in each framework: batch by batch, all lines of a path at once."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from compare.attacks.examples import SHOWN_ROWS, make_examples
from compare.attacks.lines import DEFENDED, NOISE, PLAIN, Line, sweep_lines, table_lines, written
from compare.attacks.results import Results
from compare.kit.arguments import read_trained
from compare.kit.frameworks import FRAMEWORKS, Framework
from compare.kit.letters import hits
from compare.kit.result import Result
from minigrad.data import normalize, open_dataset
from minigrad.data.dataset import ImageDataset
from minigrad.device import Device, get_device
from minigrad.errors import MinigradError, OptionError
from minigrad.training.checkpoints import find_checkpoint
from minigrad.training.progress import Progress
from minigrad.training.recipes import model_settings

BATCH = 100
PRINT_FREQ = 5  # batches between two lines of progress, where no bar can be drawn


@dataclass(frozen=True)
class Target:
    """What is attacked: a model with one or two checkpoints, on validation images."""

    model: str
    settings: dict[str, Any]
    image_size: int
    checkpoints: dict[str, Path]  # PLAIN, and DEFENDED if there is one
    data: ImageDataset
    device: str
    seed: int  # of the noise

    def load(self, framework: Framework, checkpoint: str) -> Any:
        """The network with the weights of a checkpoint, in evaluation mode."""
        shape = (len(self.data.classes), self.data.channels, self.image_size)
        return framework.load(self.checkpoints[checkpoint], self.model, *shape, **self.settings)


def measure(options: argparse.Namespace, begun: Result) -> Result:
    """The result: what is in --json already, and what was not measured yet."""
    target = make_target(options)
    if options.sweep:
        lines = sweep_lines(options.presets, options.sweep)
    else:
        lines = table_lines(list(target.checkpoints), options.presets, options.rows)
    results = Results(options.json, settings_of(target, options.tracks), lines, target.data.std)
    wanting = bool(options.examples) and len((results.examples or {"images": []})["images"]) != options.examples
    if not results.complete or wanting:
        frameworks = {name: FRAMEWORKS[name](target.device) for name in options.tracks}
        results.runs.append({name: value for name, value in begun.items() if name != "format"})
        attack_all(target, frameworks, results)
    if wanting:
        shown = [row for row in SHOWN_ROWS if row in options.rows] or options.rows[:1]
        first = frameworks[options.tracks[0]]
        model = target.load(first, PLAIN)
        results.examples = make_examples(
            target.data, first, model, results, options.examples, options.presets[0], shown
        )
        results.write()
    return results.content()


def make_target(options: argparse.Namespace) -> Target:
    """What the options and the checkpoint say. OptionError, DataError, CheckpointError for what is not there."""
    plain = read_trained(options)
    checkpoints = {PLAIN: plain.checkpoint}
    if options.defended:
        checkpoints[DEFENDED] = find_checkpoint(options.defended, "best.safetensors")
    data = open_dataset(plain.source, "val", plain.image_size, options.limit)
    for row in options.rows:
        if any(isinstance(value, tuple) and len(value) != data.channels for value in row):
            text = "/".join(map(written, row))
            raise OptionError(f"--rows {text}: a number for each channel, but the images have {data.channels} channels")
    settings = model_settings(plain.model, plain.image_size, plain.settings)
    device = device_for(options.device, options.tracks)
    return Target(plain.model, settings, plain.image_size, checkpoints, data, device, options.seed)


def device_for(device: str, frameworks: Sequence[str]) -> str:
    """The device's full name: minigrad looks whether it is there, unless torch alone attacks, which finds its own."""
    return str(get_device(device) if "minigrad" in frameworks or device == "auto" else Device(device))


def settings_of(target: Target, frameworks: Sequence[str]) -> dict[str, Any]:
    """What has to be the same for results to belong together; the lines stand by themselves."""
    return {
        "model": target.model,
        "settings": target.settings,
        "weights": {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in target.checkpoints.items()},
        "data": target.data.name,
        "classes": len(target.data.classes),
        "images": len(target.data),
        "image_size": target.image_size,
        "labels": hashlib.sha256(target.data.labels.tobytes()).hexdigest(),
        "tracks": list(frameworks),
        "device": target.device,
        "seed": target.seed,
    }


def attack_all(target: Target, frameworks: dict[str, Framework], results: Results) -> None:
    """Attack what is not yet attacked: path by path, on each path framework by framework, batch by batch."""
    paths = [list(lines) for _, lines in groupby(sorted(results.lines, key=results.order), lambda line: line.path)]
    networks = {
        (name, which): target.load(framework, which)
        for name, framework in frameworks.items()
        for which in target.checkpoints
    }
    print("reading the images", flush=True)
    images = np.stack([target.data.load(index, None) for index in range(len(target.data))])
    for number, lines in enumerate(paths, 1):
        where = f"{number}/{len(paths)} " + f"{lines[-1].checkpoint}, " * (len(target.checkpoints) > 1)
        for name, framework in frameworks.items():
            starts = range(len(results.hits[lines[0]][name]), len(images), BATCH)
            if not starts:
                continue
            with Progress(f"{where}{lines[-1]}, {name}", len(starts), BATCH, PRINT_FREQ) as progress:
                for start in starts:
                    batch = slice(start, start + BATCH)
                    inputs: np.ndarray = normalize(images[batch], target.data.mean, target.data.std)
                    if lines[0].preset == NOISE:
                        inputs = noisy(inputs, lines[0].epsilon, np.random.default_rng([target.seed, start]))
                    network = networks[name, lines[0].checkpoint]
                    results.add(name, attacked(framework, network, inputs, target.data.labels[batch], lines))
                    progress.update(len(inputs))
            for line in lines:
                top1, top5 = results.accuracy(line, name)
                print(f"{where}{line}, {name}: top-1 {top1:.2f}, top-5 {top5:.2f}", flush=True)


def noisy(inputs: np.ndarray, epsilon: float, draws: np.random.Generator) -> np.ndarray:
    """Inputs with uniform noise from -epsilon to epsilon; for all epsilons the same draws, only larger."""
    return inputs + epsilon * draws.uniform(-1, 1, inputs.shape).astype(inputs.dtype)


def attacked(
    framework: Framework, model: Any, inputs: np.ndarray, labels: np.ndarray, lines: Sequence[Line]
) -> dict[Line, str]:
    """The letters of one batch in all the lines of a path, which is walked once.

    inputs: float32 (N, C, H, W); labels (N,). The logits after k steps are those that step k + 1 computes anyway; only the
    end asks for one more forward pass.
    """
    images, last = framework.tensor(inputs), lines[-1]
    after: dict[int, Any] = {}
    try:
        if last.steps:
            attack = framework.preset(last.preset, steps=last.steps, epsilon=last.epsilon, alpha=last.alpha)
            for step in attack.path(model, images, framework.tensor(labels)):
                after[step.index] = step.logits
                images = step.moved
        with framework.library.no_grad():
            after[last.steps] = model(images)
        logits = {line: after[line.steps].numpy(force=True) for line in lines}
        if not all(np.isfinite(values).all() for values in logits.values()):
            raise FloatingPointError("the network's answers are NaN or infinite")
    except FloatingPointError as error:
        raise MinigradError(f"{last}: {error}") from error
    return {line: hits(values, labels) for line, values in logits.items()}
