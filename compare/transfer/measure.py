"""What python -m compare transfer measures: every attack on every network, and what all networks answer to it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np

from compare.kit.attacks import Threat, make
from compare.kit.command import say
from compare.kit.frameworks import FRAMEWORKS, Framework
from compare.kit.letters import difference
from compare.kit.networks import BATCH, answers, load_all, read_networks, size_of
from compare.kit.result import Result
from minigrad.data import normalize, open_dataset
from minigrad.errors import MinigradError

Letters = dict[str, str]
"""{network: of each image, whether it is right}."""


def measure(options: argparse.Namespace, begun: Result) -> Result:
    """{"clean": {framework: Letters}, "attacked": {attack: {framework: {source: Letters}}}}, with the settings."""
    networks = read_networks(options.networks, options)
    source, size = size_of(networks, options)
    data = open_dataset(source, "val", size, options.limit)
    pixels = np.stack([data.load(index, None) for index in range(len(data))])
    inputs = normalize(pixels, data.mean, data.std)
    threat = Threat.of(options, data)
    found: Result = {"clean": {}, "attacked": {name: {} for name in options.attacks}}
    for name in options.tracks:
        framework = FRAMEWORKS[name](options.device)
        models = load_all(networks, framework, data, size, inputs[:1])
        found["clean"][name] = asked(framework, models, inputs, data.labels)
        for attack in options.attacks:
            found["attacked"][attack][name] = rows = {}
            for label, model in models.items():
                say(f"{name}: {attack} on {label}")
                moved = perturbed(framework, model, attack, threat, options, inputs, data.labels)
                rows[label] = asked(framework, models, moved, data.labels)
    say("")
    settings = {
        "networks": [network.facts() for network in networks],
        "data": data.name,
        "classes": len(data.classes),
        "images": len(data),
        "image_size": size,
        "threat": str(threat),
        "steps": options.steps,
        "tracks": options.tracks,
        "device": options.device,
        "seed": options.seed,
    }
    return begun | {"settings": settings, **found, "agree": all(d.alike for d in differences(found))}


def perturbed(
    framework: Framework, model: Any, attack: str, threat: Threat, options: argparse.Namespace, inputs: np.ndarray,
    labels: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """The images (N, C, H, W) under the attack, which was made on one network."""
    made = make(framework, attack, threat, options.steps, options.seed)
    found = []
    try:
        for start in range(0, len(inputs), BATCH):
            x, y = (framework.tensor(array[start : start + BATCH]) for array in (inputs, labels))
            found.append(made(model, x, y).numpy(force=True))
    except (ValueError, FloatingPointError) as error:
        raise MinigradError(f"{attack}: {error}") from error
    return np.concatenate(found)


def asked(framework: Framework, models: Mapping[str, Any], inputs: np.ndarray, labels: np.ndarray) -> Letters:
    """What all networks answer."""
    return {label: answers(framework, model, inputs, labels) for label, model in models.items()}


def differences(found: Mapping[str, Any]) -> list[Any]:
    """How far the second framework is from the first in each figure; of one framework, none."""
    pairs = []
    for tables in [found["clean"], *found["attacked"].values()]:
        ours, *theirs = tables.values()
        pairs += [pair for other in theirs for pair in zip(flat(ours), flat(other), strict=True)]
    return [difference(a, b, "top1") for a, b in pairs]


def flat(table: Mapping[str, Any]) -> list[str]:
    """All letters of nested tables."""
    return [x for value in table.values() for x in (flat(value) if isinstance(value, Mapping) else [value])]
