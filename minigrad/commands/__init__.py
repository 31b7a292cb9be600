"""The command `minigrad`, also written `python -m minigrad`: a file a command, imported when that command is given.

A command's file has `run(arguments) -> exit code`. Each is a thin layer over what the package offers to Python.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from minigrad import program
from minigrad.errors import OptionError, did_you_mean

COMMANDS = {
    "train": "train a network on images: the embedded ones, a folder, CIFAR10",
    "evaluate": "measure a trained network: top-1, each class, what it confuses",
    "predict": "what a network sees in images: the five likeliest classes",
    "explain": "where it looks: saliency, SmoothGrad and Grad-CAM, as a picture",
    "attack": "images changed so little that nobody sees it, until it is wrong",
    "convert": "weights between torch's files and safetensors, or to ONNX",
    "summary": "the layers of a network: shapes, parameters, multiply-adds",
    "trace": "a forward and a backward pass step by step, as a page",
    "compare": "minigrad beside PyTorch: gradients, speed, accuracy, ...",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code, 2 after one line where the user has to put something right."""
    return program.run(lambda: dispatch(sys.argv[1:] if arguments is None else arguments))


def dispatch(arguments: Sequence[str]) -> int:
    """The exit code of the command that stands first. OptionError for one that does not exist."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    name, *rest = arguments
    if name in ("-V", "--version"):
        import minigrad

        print(f"minigrad {minigrad.__version__}")
        return 0
    if name not in COMMANDS:
        raise OptionError(f"unknown command {name!r}{did_you_mean(name, COMMANDS)}: there are {', '.join(COMMANDS)}")
    return import_module(f"minigrad.commands.{name}").run(rest)


def usage() -> str:
    """What `minigrad --help` prints."""
    lines = ["minigrad COMMAND [options]; --help after a command lists its options", ""]
    lines += [f"  {name:9} {what}" for name, what in COMMANDS.items()]
    return "\n".join([*lines, "", "minigrad predict photo.jpg works at once: a trained network comes with it."])
