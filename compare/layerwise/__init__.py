"""python -m compare bisect MODEL: the first layer whose output is not torch's, and the first gradient that is not.

Both tracks run the model once, forward, cross-entropy, backward, from the same weights on the same batch with the same masks.
Every layer's output is held against torch's in the order in which it was computed, and every gradient in the order in which it
came back: at a layer's output, then of its parameters, then at the output of the layer below. The first that is too far off
names the layer at fault; what follows it is wrong for its sake. Last, the running statistics.

Too far: in float64 (--dtype), more than 1e-9 of the largest element. In float32 the yardstick is torch's own distance from its
float64: four times that, plus half a last digit (one array of one batch is a small sample; where batch norm divides by a small
deviation, luck alone makes it 2.6 times). A ReLU whose input is 0 but for rounding may open in one track alone, too: what float32
finds at one seed alone, and float64 at none, is that.

The weights are random numbers, in norms, biases and running statistics too, for a
fresh bias of 0 or variance of 1 hides many an error; or those of a file (--weights). The images are random numbers.

To see it find something, --plant KIND:LAYER makes minigrad's LAYER wrong by 1 %:

  output      what it returns
  input       the gradient that it passes back
  weight      its weight's gradient
  bias        its bias's gradient
  statistics  how fast its running mean and variance move

For example, and what is found:

  bisect simplenet --plant output:features.5         output of features.5 (and every gradient, for its sake)
  bisect simplenet --plant weight:features.5         gradient of features.5.weight
  bisect simplenet --plant bias:features.12          gradient of features.12.bias
  bisect simplenet --plant input:features.10         gradient at the output of features.9; right at that of features.10
  bisect simplenet-bn --plant statistics:features.2  buffer of features.2.running_mean
  bisect simplenet-bn --plant input:features.11      gradient at the output of features.10; right at that of features.11
  bisect vit --plant input:blocks.1.norm2            gradient at the output of blocks.1.drop_path, that of attention's branch;
                                                     right at that of blocks.1.norm2
  bisect vit --plant input:blocks.2.attn             gradient at the output of blocks.2.norm1; right at that of blocks.2.attn

The exit code is 1 if anything differs. It takes seconds.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import models
import models.reference
from compare.kit.arguments import Parser, count, need_torch, read_settings, read_trained
from compare.kit.result import check_target, origin, write_result
from compare.kit.tables import Table, as_text
from compare.layerwise import measure as layers
from compare.layerwise.measure import BUFFER, FLOW, GRADIENT, GROUPS, OUTPUT, Distance, place
from minigrad.errors import CheckpointError, OptionError
from minigrad.nn import Conv2d
from minigrad.training.checkpoints import check_weights
from minigrad.training.recipes import model_settings
from minigrad.weights import load_weights

FORMAT = "compare bisect 1"
PLANTS = ("output", "input", "weight", "bias", "statistics")
WRONG = 1.01
TIMES = 4
IMAGE_SIZE, CLASSES, CHANNELS = 32, 10, 3

Result = dict[str, Any]


def run(arguments: Sequence[str]) -> int:
    """Run both tracks, print what differs first, write --json. Returns 0, or 1 if anything differs."""
    options = parse(arguments)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # or torch's threads spin, and take the cores from ours
    need_torch()
    job, state = make_job(options)
    result: Result = {"format": FORMAT, **origin("bisect", arguments), **job}
    result |= walk(job, state)
    write_result(options.json, result)
    print("\n\n".join([*map(as_text, tables(result)), verdict(result)]))
    return 0 if result["agree"] else 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a command line. OptionError for what is unknown, out of range, or cannot be written."""
    parser = Parser("bisect", __doc__)
    add = parser.add_argument
    add("model", choices=list(models.MODELS), help="the network")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the model: depth=6, shift=true")
    add("--batch", type=count(1, 65536), default=4, help="images (4)")
    add("--image-size", type=count(8, 4096), help=f"pixels a side ({IMAGE_SIZE}; that of --weights)")
    add("--eval", action="store_true", help="in evaluation mode: running statistics, no masks (training mode)")
    add("--seed", type=count(0, 2**31 - 1), default=2024, help="decides weights and batch (2024)")
    add("--dtype", choices=["float64", "float32"], default="float64", help="(float64)")
    add("--weights", help="a run folder (its best checkpoint), a checkpoint, or a file of weights (random numbers)")
    add("--plant", metavar="KIND:LAYER", help="make minigrad's LAYER wrong by 1 %%, see above")
    add("--json", type=Path, metavar="FILE", help="write everything that was measured to this file")
    options = parser.parse_args(arguments)
    check_target(options.json, FORMAT)
    if options.plant is not None and options.plant.partition(":")[0] not in PLANTS:
        raise OptionError(f"--plant {options.plant}: one of {', '.join(PLANTS)} is wanted, a colon, and a layer")
    return options


def make_job(options: argparse.Namespace) -> tuple[Result, dict[str, np.ndarray]]:
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


def shape_of(model: str, weights: dict[str, np.ndarray], file: Path) -> tuple[int, int]:
    """The classes and channels that weights are for, by their last layer and their first convolution."""
    modules = models.create(model, CLASSES).named_modules()
    first = next(name for name, module in modules if isinstance(module, Conv2d))
    keys = f"{models.MODELS[model].head}.weight", f"{first}.weight"
    if any(key not in weights or weights[key].ndim < 2 for key in keys):
        raise CheckpointError(f"{file} is of another model than {model}: it lacks {' or '.join(keys)}")
    return weights[keys[0]].shape[0], weights[keys[1]].shape[1]


def walk(job: Result, weights: dict[str, np.ndarray]) -> Result:
    """{"layers": {name: kind of layer}, "distances": [...], "first": {...}, "agree"}: see compare/layers.py."""
    settings: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in job["settings"].items()
    }
    shape: dict[str, Any] = {
        "num_classes": job["classes"],
        "channels": job["channels"],
        "image_size": job["image_size"],
    }
    state = layers.random_state(job["model"], job["seed"], **settings, **shape) | weights

    def trace(package: Any, dtype: str) -> tuple[Any, layers.Trace]:
        model = layers.build(package, job["model"], np.dtype(dtype), state=state, **settings, **shape)
        model.train(job["training"])
        if package is models and job["plant"] is not None:
            plant(model, job["plant"])
        batch = layers.random_batch(
            job["image_size"], np.dtype(dtype), job["seed"], job["batch"], job["channels"], job["classes"]
        )
        return model, layers.trace(model, *batch)

    model, ours = trace(models, job["dtype"])
    theirs = trace(models.reference, job["dtype"])[1]
    exact = trace(models.reference, "float64")[1] if job["dtype"] == "float32" else None
    found = layers.compare_traces(ours, theirs, exact, TIMES)
    kinds = {name or "logits": type(module).__name__ for name, module in model.named_modules()}
    return {
        "layers": {name: kinds[name.split(" ")[0]] for name in layers.shared(ours, theirs)},
        "distances": [{**asdict(distance), "beyond": distance.beyond} for distance in found],
        "first": {what: first_beyond(found, whats) for what, whats in GROUPS.items()},
        "agree": not any(distance.beyond for distance in found),
    }


def first_beyond(distances: Sequence[Distance], whats: Sequence[str]) -> Result | None:
    """The first distance of these sorts that is beyond what is allowed, and "after": the layer at whose output all was
    still right just before; None if there is none."""
    after = None
    for distance in distances:
        if distance.what not in whats:
            continue
        if distance.beyond:
            return {**asdict(distance), "after": after}
        if distance.what in (FLOW, OUTPUT):
            after = distance.name
    return None


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


# showing


def tables(result: Result) -> list[Table]:
    """What differs first; every layer."""
    return [first_table(result), layer_table(result)]


def told(result: Result) -> str:
    """What was run, in a line."""
    mode = "training" if result["training"] else "evaluation"
    weights = f", weights {result['weights']}" if result["weights"] else ""
    planted = f", an error planted: {result['plant']}" if result["plant"] else ""
    size = f"{result['image_size']}x{result['image_size']}"
    return f"{result['model']}, batch {result['batch']}, {size}, {mode}, {result['dtype']}{weights}{planted}"


def first_table(result: Result) -> Table:
    """The first output, gradient and buffer that is not torch's; and how far off the others are."""
    rows = []
    for group, whats in GROUPS.items():
        within = [d for d in result["distances"] if d["what"] in whats]
        if not within:
            continue
        first = result["first"][group]
        name = "none" if first is None else first["name"] if first["what"] in (OUTPUT, BUFFER) else _where(first)
        numbers = ["", ""] if first is None else [f"{first['error']:.1e}", f"{first['allowed']:.1e}"]
        beyond = sum(d["beyond"] for d in within)
        others = [d["error"] for d in within if not d["beyond"]]
        rows.append([group, name, *numbers, f"{beyond} of {len(within)}", f"{max(others):.1e}" if others else ""])
    head = ["", "first that differs", "off by", "allowed", "differ", "furthest of the others"]
    return Table(told(result), head, rows)


def layer_table(result: Result) -> Table:
    """A row a layer in the order of computation: the largest error of each sort, with "!" where it is too large."""
    names = list(result["layers"])
    cells: dict[tuple[str, str], list[Result]] = {}
    for distance in result["distances"]:
        owned = distance["what"] in (GRADIENT, BUFFER)
        name = place(distance["name"], names) or distance["name"] if owned else distance["name"]
        cells.setdefault((name, distance["what"]), []).append(distance)
    rows = []
    for name in [*names, *dict.fromkeys(name for name, _ in cells if name not in names)]:
        row = [name, result["layers"].get(name, "")]
        for what in (OUTPUT, FLOW, GRADIENT, BUFFER):
            found = cells.get((name, what), [])
            mark = " !" if any(distance["beyond"] for distance in found) else ""
            row.append(f"{max(distance['error'] for distance in found):.1e}{mark}" if found else "")
        rows.append(row)
    head = ["layer", "kind", "output", "gradient at it", "of parameters", "statistics"]
    return Table(
        f"{result['model']}: distance from torch's, layer by layer", head, rows, ["! marks what is too far off."]
    )


def _where(first: Result) -> str:
    """The name of a gradient."""
    return first["name"] if first["what"] == GRADIENT else f"at the output of {first['name']}"


def verdict(result: Result) -> str:
    """Whether all layers are torch's, or which is not."""
    distances, first = result["distances"], result["first"]
    if result["agree"]:
        furthest = max(distances, key=lambda distance: distance["error"] / distance["allowed"])
        return (
            f"{told(result)}: all {len(result['layers'])} layers' outputs and all their gradients are torch's; the furthest, the "
            f"{furthest['what']} of {furthest['name']}, is off by {furthest['error']:.0e}, {furthest['allowed']:.0e} is allowed."
        )
    found = []
    if (output := first["outputs"]) is not None:
        kind = result["layers"][output["name"]]
        found.append(f"the first output that differs is that of {output['name']} ({kind}), {_off(output)}")
    if (gradient := first["gradients"]) is not None:
        right = f"; right still at the output of {gradient['after']}" if gradient["after"] else ""
        sake = " (the output may be why)" if output is not None else right
        found.append(f"the first gradient that differs is {_named(gradient)}, {_off(gradient)}{sake}")
    if (buffer := first["buffers"]) is not None and output is None:
        found.append(f"the first running statistic that differs is {buffer['name']}, {_off(buffer)}")
    return f"{told(result)}: {'; '.join(found)}."


def _named(gradient: Result) -> str:
    return f"that of {gradient['name']}" if gradient["what"] == GRADIENT else f"the one {_where(gradient)}"


def _off(distance: Result) -> str:
    return f"off by {distance['error']:.1e} where {distance['allowed']:.1e} is allowed"


def pictures(result: Result) -> dict[str, bytes]:
    """None: the table says it all."""
    return {}
