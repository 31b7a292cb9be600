"""Weights between torch's files and safetensors, bit for bit; and a network with its weights as an ONNX file.

minigrad convert resnet18.pth resnet18.safetensors
minigrad convert runs/resnet18-... resnet18.onnx       for other runtimes
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from minigrad import convert
from minigrad.commands.arguments import Parser
from minigrad.commands.network import add_network, read_network
from minigrad.errors import OptionError
from minigrad.files import check_target


def run(arguments: Sequence[str]) -> int:
    """Convert, and print how many tensors, or nodes, there were."""
    if not any(argument.endswith(".onnx") for argument in arguments):
        return convert.run(arguments, "minigrad convert", __doc__)
    parser = Parser("convert", __doc__)
    parser.add_argument("source", metavar="IN", help="a run, a checkpoint, weights")
    parser.add_argument("target", metavar="OUT.onnx", help="the file to write")
    add_network(parser)
    parser.flag("--force", "overwrite OUT.onnx if it is there")
    options = parser.read(arguments)
    target = Path(options.target)
    if target.suffix != ".onnx":
        raise OptionError(f"{options.source} is ONNX: it is written here, and not read")
    check_target(target, "OUT.onnx")
    if target.exists() and not options.force:
        raise OptionError(f"{target} is there already: --force overwrites it")
    from minigrad.onnx_export import to_onnx

    options.weights = options.source
    network = read_network(options)
    count = to_onnx(network.module, target, (network.channels, network.image_size, network.image_size))
    print(
        f"{target}: {count} nodes; images (N, {network.channels}, {network.image_size}, {network.image_size}), normalised"
    )
    return 0
