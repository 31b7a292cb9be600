"""One of the project's networks in both frameworks, layer by layer, with an error planted if one is asked for."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import models
import models.reference
from compare.kit.arguments import read_settings, read_trained
from compare.kit.distances import Arrays
from compare.kit.frameworks import leave_cores
from compare.kit.result import Result
from compare.layerwise.networks import build, random_batch, random_state
from compare.layerwise.traces import WHOLE, Trace, compare_traces, shared, summary, trace
from minigrad.errors import CheckpointError, OptionError
from minigrad.training.checkpoints import check_weights
from minigrad.training.recipes import model_settings
from minigrad.weights import load_weights

PLANTS = ("output", "input", "weight", "bias", "statistics")
WRONG = 1.01
TIMES = 4
IMAGE_SIZE, CLASSES, CHANNELS = 32, 10, 3


def measure(options: argparse.Namespace, begun: Result) -> Result:
    """The result: what is run, the layers, how far each of their arrays is from torch's, and which is the first beyond."""
    leave_cores()
    job, weights = make_job(options)
    return begun | job | walk(job, weights)


def make_job(options: argparse.Namespace) -> tuple[Result, Arrays]:
    """What is run, as JSON can hold it, and the weights of --weights, if there are any."""
    given = read_settings(options.model, options.set)
    size, classes, channels, weights, name = options.image_size or IMAGE_SIZE, CLASSES, CHANNELS, {}, None
    if options.weights is not None:
        options.data = None
        trained = read_trained(options)
        given, size, name = trained.settings, trained.image_size, trained.checkpoint.name
        weights = load_weights(trained.checkpoint, models.create(options.model, CLASSES).state_dict())
        classes, channels = shape_of(options.model, weights, trained.checkpoint)
    settings = model_settings(options.model, size, given)
    job = {
        "model": options.model,
        "settings": settings,
        "image_size": size,
        "classes": classes,
        "channels": channels,
        "batch": options.batch,
        "training": not options.eval,
        "seed": options.seed,
        "dtype": options.dtype,
        "weights": name,
        "plant": options.plant,
    }
    if weights:
        model = models.create(options.model, classes, channels, size, **settings)
        check_weights(weights, {key: tuple(value.shape) for key, value in model.state_dict().items()}, options.weights)
    return job, weights


def shape_of(model: str, weights: Arrays, file: Path) -> tuple[int, int]:
    """The classes and channels that weights are for, by their last layer and their first convolution."""
    from minigrad.nn import Conv2d

    modules = models.create(model, CLASSES).named_modules()
    first = next(name for name, module in modules if isinstance(module, Conv2d))
    keys = f"{models.MODELS[model].head}.weight", f"{first}.weight"
    if any(key not in weights or weights[key].ndim < 2 for key in keys):
        raise CheckpointError(f"{file} is of another model than {model}: it lacks {' or '.join(keys)}")
    return weights[keys[0]].shape[0], weights[keys[1]].shape[1]


def walk(job: Result, weights: Arrays) -> Result:
    """What traces.summary returns of the job."""
    settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in job["settings"].items()}
    settings |= {"num_classes": job["classes"], "channels": job["channels"], "image_size": job["image_size"]}
    state = random_state(job["model"], job["seed"], **settings) | weights

    def traced(package: Any, name: str) -> tuple[Any, Trace]:
        dtype = np.dtype(name)
        model = build(package, job["model"], dtype, state=state, **settings)
        model.train(job["training"])
        if package is models and job["plant"] is not None:
            plant(model, job["plant"])
        shape = (job["batch"], job["channels"], job["classes"])
        return model, trace(model, *random_batch(job["image_size"], dtype, job["seed"], *shape))

    model, ours = traced(models, job["dtype"])
    theirs = traced(models.reference, job["dtype"])[1]
    exact = traced(models.reference, "float64")[1] if job["dtype"] == "float32" else None
    kinds = {name or WHOLE: type(module).__name__ for name, module in model.named_modules()}
    layers = {name: kinds[name.split(" ")[0]] for name in shared(ours, theirs)}
    return summary(compare_traces(ours, theirs, exact, TIMES), layers)


def plant(model: Any, place: str) -> None:
    """Make a layer of minigrad's model wrong by 1 %. OptionError for a layer that is not there, or has nothing of the kind."""
    kind, _, name = place.partition(":")
    modules = {name: module for name, module in model.named_modules() if name}
    needed = {"weight": "weight", "bias": "bias", "statistics": "running_mean"}.get(kind)
    able = [name for name, module in modules.items() if needed is None or getattr(module, needed, None) is not None]
    if name not in able:
        raise OptionError(f"--plant {place}: the layers that can be wrong in this way are {', '.join(able) or 'none'}")
    module = modules[name]

    def pass_back_wrong(module: Any, args: Any) -> Any:
        x = args[0].clone()
        x.register_hook(lambda g: g * WRONG)
        return (x, *args[1:])

    if kind == "output":
        module.register_forward_hook(lambda module, args, output: output * WRONG)
    elif kind == "input":
        module.register_forward_pre_hook(pass_back_wrong)
    elif kind == "statistics":
        module.momentum *= WRONG
    else:
        getattr(module, kind).register_hook(lambda g: g * WRONG)
