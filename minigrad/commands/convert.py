"""Weights between torch's files and safetensors, bit for bit: `minigrad.convert`."""

from __future__ import annotations

from collections.abc import Sequence

from minigrad import convert


def run(arguments: Sequence[str]) -> int:
    """Convert, and print how many tensors there were."""
    return convert.run(arguments, "minigrad convert")
