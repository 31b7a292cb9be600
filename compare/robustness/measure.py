"""How python -m compare robustness measures: network by network, framework by framework, part by part, kept as they come."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from compare.kit.attacks import Threat
from compare.kit.command import say
from compare.kit.frameworks import FRAMEWORKS
from compare.kit.letters import Difference, difference
from compare.kit.networks import load_all, read_networks, size_of
from compare.kit.result import Result, read_result, write_result
from compare.robustness.parts import FULL, PARTS, QUICK, Subject
from minigrad.attacks import AttackWarning
from minigrad.data import normalize, open_dataset
from minigrad.errors import MinigradError, OptionError

NEEDS = {"autoattack": 4, "attacks": 3}
"""Classes that a part needs at least: the targeted DLR loss takes four, DLR three."""


def measure(options: argparse.Namespace, begun: Result) -> Result:
    """{"runs", "settings", "found": {network: {framework: {part: figures}}}, "agree"}: what is in --json already, and the rest.

    runs: of each time that the command went on, where the figures come from.
    """
    networks = read_networks(options.networks, options)
    source, size = size_of(networks, options)
    data = open_dataset(source, "val", size, options.images)
    for part in options.parts:
        if len(data.classes) < NEEDS.get(part, 1):
            raise OptionError(f"--parts: {part} needs {NEEDS[part]} classes, {data.name} has {len(data.classes)}")
    pixels = np.stack([data.load(index, None) for index in range(len(data))])
    threat, effort = Threat.of(options, data), FULL if options.full else QUICK
    settings = {
        "networks": [network.facts() for network in networks],
        "data": data.name,
        "images": len(data),
        "image_size": size,
        "threat": str(threat),
        "units": options.units,
        "effort": vars(effort) | {"strengths": list(effort.strengths)},
        "sigma": options.sigma,
        "tracks": options.tracks,
        "device": options.device,
        "seed": options.seed,
    }
    runs = [{name: value for name, value in begun.items() if name != "format"}]
    fresh = {"format": begun["format"], "runs": runs, "settings": settings, "parts": options.parts, "found": {}}
    result = _begun(options, fresh)
    first = normalize(pixels[:1], data.mean, data.std)
    for name in options.tracks:
        framework = FRAMEWORKS[name](options.device)
        for label, model in load_all(networks, framework, data, size, first).items():
            subject = Subject(
                framework, model, pixels, data.labels, data.mean, data.std, threat, effort, options.sigma, options.seed
            )
            figures = result["found"].setdefault(label, {}).setdefault(name, {})
            for part in options.parts:
                if part not in figures:
                    say(f"{label}, {name}: {part}")
                    figures[part] = _measured(part, subject)
                    write_result(options.json, result)
    say("")
    result["agree"] = all(d.alike for d in differences(result))
    write_result(options.json, result)
    return result


def _measured(part: str, subject: Subject) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AttackWarning)  # the audit counts gradients of zero
            return PARTS[part](subject)
    except (ValueError, FloatingPointError) as error:
        raise MinigradError(f"{part}: {error}") from error


def _begun(options: argparse.Namespace, fresh: Result) -> Result:
    """What the file has already, if it is of the same settings; networks may be added. OptionError if not: it stays."""
    if options.json is None or not options.json.exists():
        return fresh
    result = read_result(options.json, fresh["format"])
    kept = dict(result.get("settings", {}))
    known, asked = ({n["label"]: n for n in settings.get("networks", [])} for settings in (kept, fresh["settings"]))
    other = [name for name, wanted in fresh["settings"].items() if name != "networks" and kept.get(name) != wanted]
    other += [label for label in known if label in asked and known[label] != asked[label]]
    if other:
        raise OptionError(f"--json {options.json} has other {other[0]}: nothing was overwritten")
    result["settings"]["networks"] = list((known | asked).values())
    result["runs"] += fresh["runs"]
    parts = [part for part in PARTS if part in {*result["parts"], *options.parts}]
    return result | {"parts": parts}


def differences(result: Result) -> list[Difference]:
    """How far the second framework is from the first in each figure that is of letters; of one framework, none."""
    found = []
    for by in result["found"].values():
        ours, *others = (dict(letters_of(figures)) for figures in by.values())
        for theirs in others:
            found += [difference(ours[key], theirs[key], "top1") for key in ours if key in theirs]
    return found


def letters_of(figures: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(name, letters) of all the figures of a network in a framework that have them."""
    if "clean" in figures:
        yield "clean", figures["clean"]
    yield from figures.get("attacks", {}).items()
    if "autoattack" in figures:
        yield "autoattack", figures["autoattack"]["letters"]
    for row in figures.get("curve", []):
        yield f"pgd {row['epsilon']:g}", row["pgd"]
        yield f"noise {row['epsilon']:g}", row["noise"]
