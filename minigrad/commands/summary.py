"""The layers of a network: what each gives, its parameters, its multiply-adds for an image, and the memory that they take.

    minigrad summary simplenet              images of 128 pixels, 100 classes
    minigrad summary vit --depth 6 --image-size 64
    minigrad summary runs/resnet18-...      a trained one

Multiply-adds are those of convolutions, linear layers and attention, each op run as its definition in matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minigrad.autograd.observer import Observer
from minigrad.commands.arguments import Arguments, Parser, print_json, table
from minigrad.commands.network import add_network, read_network
from minigrad.errors import OptionError, did_you_mean
from minigrad.nn import Module
from minigrad.op import Op
from minigrad.ops.matmul import Matmul
from minigrad.tensor import Tensor
from minigrad.training.recipes import model_settings, models


@dataclass
class Layer:
    """A module that has parameters of its own, or no modules within. shape: of its output for one image, () if it never ran."""

    name: str
    kind: str
    shape: tuple[int, ...] = ()
    parameters: int = 0
    multiply_adds: int = 0
    output_bytes: int = 0


def run(arguments: Sequence[str]) -> int:
    """Run one image through the network, print the table."""
    options = _parser().read(arguments)
    model, channels, size, name = _network(options)
    layers = summarise(model, channels, size)
    facts = totals(model, layers)
    if options.json:
        print_json(
            {"model": name, "image": [channels, size, size], **facts, "layers": [vars(layer) for layer in layers]}
        )
        return 0
    print(f"{name}, an image of {channels} x {size} x {size}\n")
    print(as_text(layers))
    print()
    print(f"parameters     {facts['parameters']:,}, {_megabytes(facts['parameter_bytes'])}")
    print(f"multiply-adds  {facts['multiply_adds']:,} for an image")
    print(f"layer outputs  {_megabytes(facts['output_bytes'])} for an image, about what a training step keeps")
    return 0


def _parser() -> Parser:
    parser = Parser("summary", __doc__)
    parser.add_argument(
        "network", nargs="?", default=None, metavar="MODEL", help="a model's name, or a run, checkpoint, weights"
    )
    add_network(parser)
    parser.option("--classes", type=parser.number(1, 1_000_000), help="of a new model (100)")
    parser.option("--channels", type=parser.number(1, 1024), help="of its images (3)")
    parser.flag("--json", "print JSON and nothing else")
    taken: set[str] = set()
    for card in models().values():
        for name, option in card.options.items():
            if name not in taken:
                option.add_to(parser, name)
                taken.add(name)
    return parser


def _network(options: Arguments) -> tuple[Module, int, int, str]:
    """(module, channels, image size, name) of a new model or a trained one."""
    import models as networks

    known, name = models(), options.network or options.model
    given = {key: value for key, value in vars(options).items() if any(key in card.options for card in known.values())}
    if name in known and options.weights is None:
        size = options.image_size or 128
        settings, channels = model_settings(name, size, given), options.channels or 3
        return networks.create(name, options.classes or 100, channels, size, **settings), channels, size, name
    if options.network is None and options.weights is None:
        raise OptionError(f"a MODEL is wanted: {', '.join(known)}, or a run folder, a checkpoint, a file of weights")
    if options.network is not None:
        if options.weights is not None:
            raise OptionError(f"MODEL {options.network} and --weights {options.weights}: give one of the two")
        if not Path(options.network).exists():
            near = did_you_mean(options.network, known)
            raise OptionError(f"there is no model or file {options.network!r}{near}: models are {', '.join(known)}")
        options.weights = options.network
    if given or options.classes or options.channels:
        stray = next(iter(given), "classes" if options.classes else "channels")
        raise OptionError(f"--{stray.replace('_', '-')} belongs to a new model: {options.weights} has its own")
    network = read_network(options)
    return network.module, network.channels, network.image_size, network.name


class _Products(Observer):
    """Counts the multiply-adds of matrix products, by the module that is running; those by which pooling is defined are sums."""

    def __init__(self) -> None:
        super().__init__()
        self.running: list[Layer] = []

    def after_forward(self, node: Op, inputs: tuple[Any, ...], outputs: list[Tensor]) -> None:
        if isinstance(node, Matmul) and self.running and "Pool" not in self.running[-1].kind:
            self.running[-1].multiply_adds += outputs[0].numel() * inputs[0].shape[-1]


def summarise(model: Module, channels: int, size: int) -> list[Layer]:
    """The layers in the order in which they run, from one image of zeros.

    A module that another one uses without calling it (attention its linear layers) is counted as a part of that.
    """
    import minigrad

    products = _Products()
    layers = {module: Layer(name or "(the model)", type(module).__name__) for name, module in model.named_modules()}
    ran: dict[Module, Layer] = {}

    def before(module: Module, args: Any) -> None:
        products.running.append(layers[module])
        ran.setdefault(module, layers[module])

    def after(module: Module, args: Any, output: Any) -> None:
        layer = products.running.pop()
        if isinstance(output, Tensor):
            layer.shape, layer.output_bytes = tuple(output.shape[1:]), output.array.nbytes

    handles = [hook for m in layers for hook in (m.register_forward_pre_hook(before), m.register_forward_hook(after))]
    try:
        with minigrad.no_grad(), minigrad.definitions(), products:
            model.eval()(minigrad.zeros(1, channels, size, size))
    finally:
        for handle in handles:
            handle.remove()
    _count_parameters(model, model, layers, ran)
    return [
        layer
        for module, layer in ran.items()
        if layer.parameters or layer.multiply_adds or not any(child in ran for child in module.children())
    ]


def _count_parameters(module: Module, user: Module, layers: dict[Module, Layer], ran: dict[Module, Layer]) -> None:
    """Count the parameters of a module and those within: each for the module itself if it ran, else for its `user`."""
    user = module if module in ran else user
    layers[user].parameters += sum(parameter.numel() for parameter in module.parameters(recurse=False))
    for child in module.children():
        _count_parameters(child, user, layers, ran)


def totals(model: Module, layers: Sequence[Layer]) -> dict[str, int]:
    """Of the whole network, a parameter that two layers share counted once."""
    parameters = list(model.parameters())
    return {
        "parameters": sum(p.numel() for p in parameters),
        "parameter_bytes": sum(p.array.nbytes for p in parameters),
        "multiply_adds": sum(layer.multiply_adds for layer in layers),
        "output_bytes": sum(layer.output_bytes for layer in layers),
    }


def as_text(layers: Sequence[Layer]) -> str:
    """The table, within 80 columns."""
    rows = [["layer", "", "output", "params", "mult-adds"]]
    for layer in layers:
        shape = " x ".join(map(str, layer.shape)) or "-"
        rows.append([layer.name, layer.kind, shape, f"{layer.parameters:,}", f"{layer.multiply_adds:,}"])
    return table([[cell if cell != "0" else "" for cell in row] for row in rows], left=(0, 1, 2))


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.2f} MB"
