"""Anybody's network beside its PyTorch version: `compare.layerwise(my_model, torch_model, batch)`."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from compare.kit.distances import Arrays
from compare.kit.frameworks import framework_of
from compare.kit.tables import as_text
from compare.layerwise import show
from compare.layerwise.traces import WHOLE, Deviation, Loss, Trace, compare_traces, flat, shared, summary, trace_pass
from minigrad.errors import MinigradError


@dataclass(frozen=True)
class Comparison:
    """How far a network is from its PyTorch version, layer by layer; print it.

    model: its class. deviations: of every output, every gradient and every buffer, in the order of computation. kinds: {layer:
    its class}. partners: {a layer of ours:
    torch's name of it}. alone: layers without parameters that one of the two alone has, which are not compared.
    """

    model: str
    deviations: list[Deviation]
    kinds: dict[str, str]
    partners: dict[str, str]
    alone: list[str]

    @property
    def agree(self) -> bool:
        """Whether everything is PyTorch's."""
        return not any(deviation.beyond for deviation in self.deviations)

    @property
    def first(self) -> Deviation | None:
        """The first output that differs; if none does, the first gradient; then the first buffer. None: all is the same."""
        return next((deviation for deviation in self.deviations if deviation.beyond), None)

    def __str__(self) -> str:
        title = f"{self.model} and its PyTorch version, in float64"
        result = {"model": self.model, "title": title, **summary(self.deviations, self.kinds)}
        others = [f"{ours} is {theirs} in PyTorch" for ours, theirs in self.partners.items() if ours != theirs]
        notes = ["; ".join(others)] * bool(others) + [f"not compared: {', '.join(self.alone)}"] * bool(self.alone)
        return "\n\n".join([as_text(show.layer_table(result)), *notes, show.verdict(result)])


def layerwise(
    model: Any,
    reference: Any,
    batch: np.ndarray | Sequence[np.ndarray],
    loss: Loss | None = None,
    copy_weights: bool = True,
) -> Comparison:
    """Run a network of minigrad and its PyTorch version on a batch, and compare what every layer computes and gets back.

    batch: the input (N, ...), or a sequence of inputs; arrays of floats are compared in float64, and have their gradients
    compared too. loss(library, output): what is differentiated, of a framework's library and the model's output (None: the
    sum of the output's elements, each times a random number: a plain sum hides errors, of softmax for one).
    copy_weights: give our model torch's weights first (False: take them as they are).

    Module names need not be the same. Where the parameters' names are, layers are compared by name. Else layers are paired
    in the order in which they run, by the shapes of parameters and outputs, and those without parameters by their class too.

    Both models are copied, and stay as they are; they run in the mode (training, evaluation) in which they are. Dropout
    draws different masks in the two frameworks: use evaluation mode, or p = 0.

    MinigradError for a parameter or a layer with parameters that has no counterpart.
    """
    arrays = [batch] if isinstance(batch, np.ndarray) else list(batch)
    names = ["input"] if len(arrays) == 1 else [f"input {i}" for i in range(len(arrays))]
    inputs = {n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in zip(names, arrays, strict=True)}
    for one in (model, reference):
        framework_of(one)  # refuses what is no Module
    ours, theirs = (copy.deepcopy(one).double() for one in (model, reference))
    partners = pair(ours, theirs, inputs)
    if copy_weights:
        state, right = ours.state_dict(), theirs.state_dict()
        wrap = framework_of(ours).library.from_numpy
        found = {key: right.get(renamed(key, partners), value) for key, value in state.items()}
        ours.load_state_dict({key: wrap(np.array(value.numpy(force=True))) for key, value in found.items()})
    mine = trace_pass(ours, inputs, loss or weighted_sum)
    his = rename(
        trace_pass(theirs, inputs, loss or weighted_sum), {b: a for a, b in partners.items()}, [WHOLE, *inputs]
    )
    kinds = {name or WHOLE: type(module).__name__ for name, module in ours.named_modules()}
    alone = sorted({name.split(" ")[0] for name in mine.outputs.keys() ^ his.outputs.keys()})
    in_both = {name: kinds[name.split(" ")[0].split("[")[0]] for name in shared(mine, his)}
    return Comparison(type(model).__name__, compare_traces(mine, his), in_both, partners, alone)


def weighted_sum(library: Any, output: Any) -> Any:
    """sum of y c over the output's tensors y of floats, with numbers c ~ N(0, 1) that are always the same."""
    random = np.random.default_rng(0)
    terms = []
    for y in flat(output):
        if y.is_floating_point():
            c = library.from_numpy(np.asarray(random.standard_normal(tuple(y.shape)))).to(y.device)
            terms.append((y * c).sum())
    return sum(terms[1:], terms[0])


def calls(model: Any, inputs: Arrays) -> list[tuple[str, Any]]:
    """(name, what it is recognised by) of each run of a layer that has no layers within, in their order."""
    found: list[tuple[str, Any]] = []

    def note(name: str, module: Any, output: Any) -> None:
        own = sorted(tuple(p.shape) for p in module.parameters())
        shapes = tuple(tuple(y.shape) for y in flat(output))
        found.append((name, (tuple(own) or type(module).__name__, shapes)))

    handles = [
        module.register_forward_hook(lambda module, args, output, name=name: note(name, module, output))
        for name, module in model.named_modules()
        if not list(module.children())
    ]
    model(*map(framework_of(model).tensor, inputs.values()))
    for handle in handles:
        handle.remove()
    return found


def pair(ours: Any, theirs: Any, inputs: Arrays) -> dict[str, str]:
    """{a module or parameter of ours: torch's name of it}: by name where the parameters' names are the same, else by order.

    MinigradError for a parameter that has no counterpart, or one of another shape.
    """
    mine, his = ({name: tuple(p.shape) for name, p in model.named_parameters()} for model in (ours, theirs))
    if mine.keys() == his.keys():
        names = {name for name, _ in theirs.named_modules()}
        partners = {name: name for name, _ in ours.named_modules() if name in names} | {name: name for name in mine}
    else:
        runs = [calls(copy.deepcopy(model), inputs) for model in (ours, theirs)]
        keys = [[key for _, key in run] for run in runs]
        blocks = SequenceMatcher(None, keys[0], keys[1], autojunk=False).get_matching_blocks()
        partners = {runs[0][b.a + i][0]: runs[1][b.b + i][0] for b in blocks for i in range(b.size)}
        rest = [[key for key in own if key.rpartition(".")[0] not in known] for own, known in
                ((mine, partners.keys()), (his, partners.values()))]  # fmt: skip
        partners |= dict(zip(*rest, strict=False))
    for key, shape in mine.items():
        found = renamed(key, partners)
        if his.get(found) != shape:
            raise MinigradError(
                f"{key} {shape} has no counterpart in PyTorch's version: there is {found} {his.get(found)}"
            )
    for key in his.keys() - {renamed(key, partners) for key in mine}:
        raise MinigradError(f"{key} {his[key]} of PyTorch's version has no counterpart")
    return partners


def renamed(key: str, names: dict[str, str]) -> str:
    """The other model's name of a parameter or a buffer."""
    module, dot, own = key.rpartition(".")
    return names.get(key) or f"{names.get(module, module)}{dot}{own}"


def rename(trace: Trace, names: dict[str, str], inputs: Sequence[str]) -> Trace:
    """A trace of PyTorch's under our names; a layer that has no counterpart is called "torch:NAME"."""

    def run(key: str) -> str:
        name, rest = re.findall(r"([^ \[]*)(.*)", key)[0]
        return key if name == WHOLE else names[name] + rest if name in names else f"torch:{key}"

    def owned(key: str) -> str:
        return key if key in inputs else renamed(key, names)

    parts = (trace.outputs, run), (trace.gradients, owned), (trace.buffers, owned), (trace.flows, run)
    return Trace(*({name(key): array for key, array in part.items()} for part, name in parts))
