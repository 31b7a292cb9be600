"""Train a network: the script train_minigrad.py, or with --torch its PyTorch version, with all their options."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec

from minigrad.errors import MinigradError


def run(arguments: Sequence[str], command: str = "minigrad train") -> int:
    """Train as the options say."""
    from minigrad.training.run import run_script

    name = "train_torch" if "--torch" in arguments else "train_minigrad"
    if name == "train_torch" and find_spec("torch") is None:
        raise MinigradError("--torch needs PyTorch, which is missing: pip install torch torchvision")
    script = import_module(name)
    rest = [argument for argument in arguments if argument != "--torch"]
    return run_script(script.train, list(script.MODELS), rest, f"{name}.py", command)
