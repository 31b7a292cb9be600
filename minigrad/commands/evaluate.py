"""Measure a trained network: `minigrad evaluate RUN` is `minigrad train --evaluate --resume RUN`.

Without RUN it is the network that comes with minigrad.
"""

from __future__ import annotations

from collections.abc import Sequence

from minigrad.commands import train

NAMES = ("--resume", "--weights", "-r", "-w")


def run(arguments: Sequence[str]) -> int:
    """Measure what stands first, or what --resume or --weights name."""
    from minigrad.commands.network import EMBEDDED_WEIGHTS

    rest = list(arguments)
    if rest and not rest[0].startswith("-"):
        first = rest.pop(0)
        rest = ["--weights" if first == "imagenet" else "--resume", first, *rest]
    elif not any(word.partition("=")[0] in (*NAMES, "-h", "--help") for word in rest):
        rest = ["--resume", str(EMBEDDED_WEIGHTS), *rest]
    return train.run(["--evaluate", *rest], "minigrad evaluate")
