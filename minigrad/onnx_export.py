"""Networks as ONNX files, which other runtimes run: one node or a few for each op that an image goes through.

    python -m minigrad convert runs/resnet18-... resnet18.onnx

The network runs in evaluation mode on a batch of 2 and one of 3 images: what differs between the two is the size of the batch,
which the file leaves open. What does not depend on the images is a constant of the file. Needs the package onnx.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.autograd.observer import Observer
from minigrad.errors import OptionError
from minigrad.files import write_atomically
from minigrad.grad_mode import no_grad
from minigrad.nn import Module
from minigrad.op import Op
from minigrad.ops.creation import zeros
from minigrad.tensor import Tensor

OPSET = 17
BATCHES = (2, 3)


@dataclass
class _Call:
    """An op that ran, its inputs and outputs as arrays."""

    op: Op
    inputs: list[Any]
    outputs: list[Any]

    @property
    def kind(self) -> str:
        return type(self.op).__name__


class _Calls(Observer):
    """All ops, in their order; the arrays are kept, so that one's identity is its name."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[_Call] = []
        self.versions: dict[int, int] = {}

    def after_forward(self, node: Op, inputs: tuple[Any, ...], outputs: list[Tensor]) -> None:
        for x in (x for x in inputs if isinstance(x, Tensor)):
            if self.versions.setdefault(id(x.array), x._version) != x._version:
                raise OptionError(f"what {node.name()} is given was changed in place: ONNX has no such changes")
        self.versions |= {id(x.array): x._version for x in outputs}
        given = [x.array if isinstance(x, Tensor) else x for x in inputs]
        self.found.append(_Call(node, given, [x.array for x in outputs]))


def to_onnx(model: Module, path: str | Path, image_shape: Sequence[int]) -> int:
    """Write a network of images (N, *image_shape) as an ONNX file: input "images", output "logits", N open; returns its nodes.

    OptionError if onnx is not installed, an op has no counterpart here, or the file cannot be written.
    """
    try:
        import onnx
    except ImportError as error:
        raise OptionError(f"{path}: ONNX takes the package onnx, which is missing: pip install onnx") from error
    runs = [_record(model, (count, *image_shape)) for count in BATCHES]
    if [call.kind for call in runs[0][1]] != [call.kind for call in runs[1][1]]:
        raise OptionError(f"{path}: the network runs other ops on batches of {BATCHES[0]} and of {BATCHES[1]} images")
    names = {id(tensor.array): key for key, tensor in model.state_dict(keep_vars=True).items()}
    graph = _Graph(onnx.helper, names)
    graph.build(runs)
    classes = runs[0][2].shape[1:]
    made = onnx.helper.make_graph(
        graph.nodes, type(model).__name__,
        [onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["N", *image_shape])],
        [onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["N", *classes])],
        [onnx.numpy_helper.from_array(array, name) for name, array in graph.constants.items()],
    )  # fmt: skip
    opset = [onnx.helper.make_opsetid("", OPSET)]
    file = onnx.helper.make_model(made, opset_imports=opset, ir_version=8, producer_name="minigrad")
    onnx.checker.check_model(file)
    write_atomically(Path(path), file.SerializeToString())
    return len(graph.nodes)


def _record(model: Module, shape: tuple[int, ...]) -> tuple[Any, list[_Call], Any]:
    """(images, ops, logits) of a batch of zeros, one module at a time, none of them fused with the next."""
    inplace = [module for module in model.modules() if getattr(module, "inplace", False)]
    hooks = [module.register_forward_hook(lambda *_: None) for module in model.modules()]
    calls, training, images = _Calls(), model.training, zeros(*shape)
    try:
        for module in inplace:
            module.inplace = False
        with no_grad(), calls:
            logits = model.eval()(images)
    finally:
        for module in inplace:
            module.inplace = True
        model.train(training)
        for hook in hooks:
            hook.remove()
    return images.array, calls.found, logits.array


class _Graph:
    """The nodes of a file as they are made."""

    def __init__(self, helper: Any, parameters: dict[int, str]) -> None:
        self.helper, self.parameters = helper, parameters
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}
        self.names: dict[int, str] = {}  # of what depends on the images, by the identity of its array
        self.others: dict[int, Any] = {}  # of the first batch's constants, what they are of the second
        self.count = 0

    def build(self, runs: Sequence[tuple[Any, list[_Call], Any]]) -> None:
        """The nodes for what the first run did; the second shows what depends on the batch."""
        (images, calls, logits), (_, others, _) = runs
        self.names[id(images)] = "images"
        for call, other in zip(calls, others, strict=True):
            for ours, theirs in zip(call.inputs + call.outputs, other.inputs + other.outputs, strict=True):
                self.others[id(ours)] = theirs
            if any(id(x) in self.names for x in call.inputs if isinstance(x, np.ndarray)):
                if call.kind not in OPS:
                    raise OptionError(f"the op {call.op.name()} has no counterpart in ONNX here")
                made = OPS[call.kind](self, call, other)
                for array, name in zip(call.outputs, [made] if isinstance(made, str) else made, strict=True):
                    self.names[id(array)] = name
        self.node("Identity", self.names[id(logits)], out="logits")

    def node(self, kind: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        """Add a node of one output; returns its name."""
        self.count += 1
        name = out or f"{kind.lower()}_{self.count}"
        self.nodes.append(self.helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, value: Any, name: str = "", dtype: Any = np.float32) -> str:
        """An array of the file; returns its name."""
        array = np.array(value, dtype, order="C")
        self.count += 1
        name = name or f"constant_{self.count}"
        self.constants.setdefault(name, array)
        return name

    def input(self, array: Any) -> str:
        """The name of an op's input: made by a node, a parameter, or another constant, repeated for each image if need be."""
        if id(array) in self.names:
            return self.names[id(array)]
        if id(array) in self.parameters:
            return self.constant(array, self.parameters[id(array)])
        other = self.others.get(id(array))
        if not isinstance(array, np.ndarray) or not isinstance(other, np.ndarray) or other.shape == array.shape:
            return self.constant(array)
        each = other.shape[0] - array.shape[0]
        one = array[:each]
        if not np.array_equal(np.concatenate([one] * BATCHES[1]), other):
            raise OptionError("a constant of the network depends on the batch, and not image by image")
        first = self.node("Slice", self.node("Shape", "images"), *(self.constant([x], "", np.int64) for x in (0, 1)))
        ones = self.constant([1] * (one.ndim - 1), "", np.int64)
        return self.node("Tile", self.constant(one), self.node("Concat", first, ones, axis=0))


def _conv2d(graph: _Graph, call: _Call, other: _Call) -> str:
    w = call.op.window  # type: ignore[attr-defined]
    inputs = [graph.input(x) for x in call.inputs if x is not None]
    settings = {"kernel_shape": w.kernel, "strides": w.stride, "pads": [*w.padding] * 2, "dilations": w.dilation}
    return graph.node("Conv", *inputs, group=w.groups, **settings)


def _max_pool2d(graph: _Graph, call: _Call, other: _Call) -> str:
    w = call.op.window  # type: ignore[attr-defined]
    settings = {"kernel_shape": w.kernel, "strides": w.stride, "pads": [*w.padding] * 2, "dilations": w.dilation}
    return graph.node("MaxPool", graph.input(call.inputs[0]), ceil_mode=int(w.ceil_mode), **settings)


def _adaptive_avg_pool2d(graph: _Graph, call: _Call, other: _Call) -> str:
    if tuple(call.outputs[0].shape[2:]) != (1, 1):
        raise OptionError(
            f"adaptive_avg_pool2d to {call.outputs[0].shape[2:]} has no counterpart in ONNX here, to (1, 1) it has"
        )
    return graph.node("GlobalAveragePool", graph.input(call.inputs[0]))


def _batch_norm(graph: _Graph, call: _Call, other: _Call) -> str:
    x, weight, bias = call.inputs
    op: Any = call.op
    scale = graph.input(weight) if weight is not None else graph.constant(np.ones_like(op.mean))
    shift = graph.input(bias) if bias is not None else graph.constant(np.zeros_like(op.mean))
    statistics = [graph.constant(op.mean), graph.constant(op.var)]
    return graph.node("BatchNormalization", graph.input(x), scale, shift, *statistics, epsilon=float(op.eps))


def _layer_norm(graph: _Graph, call: _Call, other: _Call) -> str:
    x, weight, bias = call.inputs
    op: Any = call.op
    shape = x.shape[x.ndim - op.count :]
    scale = graph.input(weight) if weight is not None else graph.constant(np.ones(shape))
    shift = graph.input(bias) if bias is not None else graph.constant(np.zeros(shape))
    return graph.node("LayerNormalization", graph.input(x), scale, shift, axis=-op.count, epsilon=float(op.eps))


def _linear(graph: _Graph, call: _Call, other: _Call) -> str:
    x, weight, *bias = call.inputs
    name = graph.parameters.get(id(weight), "")
    product = graph.node("MatMul", graph.input(x), graph.constant(np.swapaxes(weight, 0, 1), name and f"{name}.T"))
    return graph.node("Add", product, graph.input(bias[0])) if bias and bias[0] is not None else product


def _reshaped(graph: _Graph, name: str, shape: Sequence[int], other: Sequence[int]) -> str:
    """A reshape to a shape in which what differs from another batch's is left open."""
    wanted = [ours if ours == theirs else -1 for ours, theirs in zip(shape, other, strict=True)]
    if wanted.count(-1) > 1:
        raise OptionError("a reshape of the network mixes the batch with more than one axis")
    return graph.node("Reshape", name, graph.constant(wanted, "", np.int64))


def _reshape(graph: _Graph, call: _Call, other: _Call) -> str:
    return _reshaped(graph, graph.input(call.inputs[0]), call.outputs[0].shape, other.outputs[0].shape)


def _permute(graph: _Graph, call: _Call, other: _Call) -> str:
    axes: Any = call.op
    return graph.node("Transpose", graph.input(call.inputs[0]), perm=list(axes.axes))


def _gelu(graph: _Graph, call: _Call, other: _Call) -> str:
    op: Any = call.op
    if op.approximate:
        raise OptionError("gelu(approximate='tanh') has no counterpart in ONNX here")
    x = graph.input(call.inputs[0])
    erf = graph.node("Erf", graph.node("Mul", x, graph.constant(0.5**0.5)))
    return graph.node("Mul", graph.node("Mul", x, graph.constant(0.5)), graph.node("Add", erf, graph.constant(1)))


def _split_heads(graph: _Graph, call: _Call, other: _Call) -> list[str]:
    op: Any = call.op
    n, heads, length, each = call.outputs[0].shape
    whole = graph.node(
        "Reshape", graph.input(call.inputs[0]), graph.constant([-1, length, op.parts, heads, each], "", np.int64)
    )
    turned = graph.node("Transpose", whole, perm=[2, 0, 3, 1, 4])
    return [graph.node("Gather", turned, graph.constant(i, "", np.int64), axis=0) for i in range(op.parts)]


def _join_heads(graph: _Graph, call: _Call, other: _Call) -> str:
    turned = [graph.node("Transpose", graph.input(x), perm=[0, 2, 1, 3]) for x in call.inputs]

    def flat_shape(parts: Any) -> tuple[int, ...]:
        n, heads, length, each = parts.shape
        return n, length, heads * each

    flat = [
        _reshaped(graph, name, flat_shape(x), flat_shape(y))
        for name, x, y in zip(turned, call.inputs, other.inputs, strict=True)
    ]  # fmt: skip
    return flat[0] if len(flat) == 1 else graph.node("Concat", *flat, axis=2)


def _attention(graph: _Graph, call: _Call, other: _Call) -> str:
    op: Any = call.op
    if op.causal:
        raise OptionError("causal attention has no counterpart in ONNX here")
    q, k, v, *mask = call.inputs
    scaled = graph.node("Mul", graph.input(q), graph.constant(op.scale))
    scores = graph.node(
        "MatMul", scaled, graph.node("Transpose", graph.input(k), perm=[*range(k.ndim - 2), k.ndim - 1, k.ndim - 2])
    )
    if mask and mask[0] is not None:
        added = np.where(mask[0], 0.0, -np.inf) if mask[0].dtype == bool else mask[0]
        if added is not mask[0] and id(mask[0]) in graph.others:
            theirs = graph.others[id(mask[0])]
            graph.others[id(added)] = np.where(theirs, 0.0, -np.inf)
            call.inputs.append(added)  # kept, as its identity is its name
        scores = graph.node("Add", scores, graph.input(added))
    return graph.node("MatMul", graph.node("Softmax", scores, axis=-1), graph.input(v))


def _roll(graph: _Graph, call: _Call, other: _Call) -> str:
    op: Any = call.op
    name = graph.input(call.inputs[0])
    for shift, axis in zip(op.shifts, op.dims, strict=True):
        size = call.inputs[0].shape[axis]
        name = graph.node("Gather", name, graph.constant((np.arange(size) - shift) % size, "", np.int64), axis=axis)
    return name


def _mean(graph: _Graph, call: _Call, other: _Call) -> str:
    op: Any = call.op
    axes = list(range(call.inputs[0].ndim)) if op.over is None else list(op.over)
    return graph.node("ReduceMean", graph.input(call.inputs[0]), axes=axes, keepdims=int(op.keepdim))


def _same(graph: _Graph, call: _Call, other: _Call) -> str:
    return graph.input(call.inputs[0])


def _of_all(kind: str) -> Callable[[_Graph, _Call, _Call], str]:
    return lambda graph, call, other: graph.node(kind, *(graph.input(x) for x in call.inputs))


OPS: dict[str, Callable[[_Graph, _Call, _Call], Any]] = {
    "Add": _of_all("Add"), "Sub": _of_all("Sub"), "Mul": _of_all("Mul"), "Div": _of_all("Div"), "Matmul": _of_all("MatMul"),
    "Relu": _of_all("Relu"), "Sigmoid": _of_all("Sigmoid"), "Tanh": _of_all("Tanh"), "Clone": _same, "Conv2d": _conv2d,
    "MaxPool2d": _max_pool2d, "AdaptiveAvgPool2d": _adaptive_avg_pool2d, "BatchNormApply": _batch_norm, "LayerNorm": _layer_norm,
    "Linear": _linear, "Reshape": _reshape, "Permute": _permute, "Gelu": _gelu, "SplitHeads": _split_heads,
    "JoinHeads": _join_heads, "ScaledDotProductAttention": _attention, "Roll": _roll, "Mean": _mean,
}  # fmt: skip
