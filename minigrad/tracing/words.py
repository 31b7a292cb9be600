"""What a step computes, in words and numbers: the formula of an op, read from its docstring, with these numbers in it.

"z = x y;  gx = gz y,  gy = gz x." becomes "gx = gz y = 0.5 * 3 = 1.5". A formula is shown with numbers only where it gives
the number that the op gave: it is evaluated, and compared. Matrix products are written out for one element.
"""

from __future__ import annotations

import inspect
import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.device import CPU, to_device
from minigrad.fused import FusedOp
from minigrad.op import Op
from minigrad.tracing.steps import Node, Visit
from minigrad.tracing.values import Value

_GRADIENT = re.compile(
    r"\b(g_?[A-Za-z]\w*)(?:\[[^\]]*\])? = (.+?)(?=;|,\s+g_?[A-Za-z]\w*(?:\[[^\]]*\])? =|\.(?:\s|$)|$)", re.S
)
_RESULT = re.compile(r"\s*(\w+)(?:\[[^\]]*\])? = ")


@dataclass
class Formula:
    """An op's docstring as formulas."""

    forward: str
    """"z = x y", or the docstring's first sentence."""
    output: str
    """The name of the result in it: "z"."""
    gradients: dict[str, str]
    """{"gx": "gz y", ...}, as far as the docstring gives them."""
    names: list[str]
    """The inputs' names, in their places."""
    rest: str
    """What else the docstring says."""

    def of_input(self, i: int) -> str:
        """The formula of input i's gradient, "gx = gz y"; what the docstring says instead, where it gives none."""
        name = self.gradient_name(i)
        return f"{name} = {self.gradients[name]}" if name in self.gradients else self.rest

    def gradient_name(self, i: int) -> str:
        """As the docstring writes the gradient of input i: gX for an input x."""
        wanted = f"g{self.names[i]}" if i < len(self.names) else ""
        found = [name for name in self.gradients if name.replace("_", "").lower() == wanted.replace("_", "").lower()]
        if not found and len(self.gradients) == 1 and i == 0:
            found = list(self.gradients)
        return found[0] if found else wanted


def formula(op: Op) -> Formula:
    """The formulas in the docstring of an op's class."""
    text = " ".join((inspect.getdoc(type(op)) or "").split())
    gradients = {name: right.strip() for name, right in _GRADIENT.findall(text)}
    start = _GRADIENT.search(text)
    forward = re.split(r";|\.(?:\s|$)", text[: start.start()] if start and start.start() else text)[0].strip(" ,")
    result = _RESULT.match(forward)
    rest = "" if gradients else text[len(forward) :].strip(" .;")
    return Formula(forward, result[1] if result else "", gradients, _input_names(op), rest)


def _input_names(op: Op) -> list[str]:
    method = getattr(type(op), "compute", None) or (op.definition if isinstance(op, FusedOp) else type(op).forward)
    parameters = [p for p in inspect.signature(method).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    return [p.name for p in parameters if p.name != "self"]


def number(x: Any) -> str:
    """A number with four digits."""
    if isinstance(x, (bool, str)) or not isinstance(x, (int, float, np.number)):
        return str(x)
    value = float(x)
    return f"{int(value)}" if value.is_integer() and abs(value) < 1e6 else f"{value:.4g}"


def in_numbers(node: Node, visit: Visit | None = None, input: int = 0) -> str:
    """The formula with numbers, "z = x y = 2 * 3 = 6": forward, or backward that of an input's gradient; "" if it has none.

    Of arrays it is one element: of the result's (forward) or gradient's (backward) largest magnitude.
    """
    said = formula(node.op)
    known = _arrays(node, said, visit)
    if visit is None:
        name, right = said.output, said.forward.partition(" = ")[2]
        result = _array(node.outputs[0]) if node.outputs else None
    else:
        name = said.gradient_name(input)
        right = said.gradients.get(name, "")
        result = next((_array(sent.value) for sent in visit.sent if sent.input == input), None)
    if result is None or not right or not result.size or result.dtype.kind != "f":
        return ""
    return _product(name, right, result, known) or _pointwise(name, right, result, known)


def _arrays(node: Node, said: Formula, visit: Visit | None) -> dict[str, Any]:
    """{name in the formula: array or number}."""
    known: dict[str, Any] = {}
    for name, x in zip(said.names, node.inputs, strict=False):
        known[name] = known[name.upper()] = _array(x) if isinstance(x, Value) else x
    if said.output and node.outputs:
        known[said.output] = _array(node.outputs[0])
    if visit is not None and visit.gradients and visit.gradients[0] is not None:
        known[f"g{said.output}"] = _array(visit.gradients[0])
        if not said.output:
            known["gy"] = known["gz"] = _array(visit.gradients[0])
    return {name: x for name, x in known.items() if isinstance(x, (int, float, np.ndarray))}


def _array(x: Value) -> np.ndarray | None:
    return None if x.array is None else to_device(x.array, CPU)


def _at(x: np.ndarray) -> tuple[int, ...]:
    """The element of largest magnitude."""
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(np.abs(np.nan_to_num(x)))), x.shape))


def _index(at: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, at))}]" if at else ""


# -- formulas of single elements ------------------------------------------------------------------------------------------


_TOKEN = re.compile(r"\s*(\d+\.?\d*|[A-Za-z_]\w*|\^|[-+*/()|,])")
_FUNCTIONS: dict[str, Any] = {
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "arcsin": np.arcsin,
    "arccos": np.arccos, "arctan": np.arctan, "arsinh": np.arcsinh, "arcosh": np.arccosh, "artanh": np.arctanh,
    "ln": np.log, "log": np.log, "log2": np.log2, "log10": np.log10, "sqrt": np.sqrt, "sign": np.sign, "max": np.maximum,
    "min": np.minimum,
}  # fmt: skip
TERMS = 3
"""So many terms of a sum are written out: those of largest magnitude."""


def _pointwise(name: str, right: str, result: np.ndarray, known: dict[str, Any]) -> str:
    """One element of a formula of elements; where the result is smaller, the sum over what it was repeated along."""
    arrays = {key: x for key, x in known.items() if re.search(rf"\b{key}\b", right)}
    try:
        whole = np.broadcast_shapes(result.shape, *[x.shape for x in arrays.values() if isinstance(x, np.ndarray)])
    except ValueError:
        return ""
    at = _at(result)
    padded = (1,) * (len(whole) - result.ndim) + result.shape
    place = (0,) * (len(whole) - result.ndim) + at
    where = tuple([slice(None) if n != m else i for n, m, i in zip(padded, whole, place, strict=True)])
    here = {
        key: np.ravel(np.broadcast_to(x, whole)[where]).astype(np.float64) if isinstance(x, np.ndarray) else float(x)
        for key, x in arrays.items()
    }
    for formula in _without_remarks(right):
        terms = _evaluated(formula, here)
        if terms is not None and _close(terms, float(result[at])):
            whole_formula = formula if whole == padded else f"sum of {formula}"
            written, value = _summed(formula, here, terms), number(result[at])
            return " = ".join([f"{name}{_index(at)}", whole_formula, *([written] if written != value else []), value])
    return ""


def _without_remarks(right: str) -> list[str]:
    """The formula up to each comma, the last first, then the whole: what follows a comma may be a remark in words."""
    return [right[: match.start()] for match in re.finditer(r", ", right)][::-1] + [right]


def _close(terms: np.ndarray, result: float) -> bool:
    return math.isclose(float(terms.sum()), result, rel_tol=1e-3, abs_tol=1e-5 * float(np.abs(terms).sum()) + 1e-30)


def _summed(right: str, here: dict[str, Any], terms: np.ndarray) -> str:
    """The largest terms of a sum with numbers for names."""
    largest = np.argsort(-np.abs(terms), kind="stable")[:TERMS]
    written = [
        _written(right, {key: float(x[k]) if isinstance(x, np.ndarray) else x for key, x in here.items()})
        for k in largest
    ]
    return _sum_of(written, terms, largest)


def _sum_of(written: list[str], terms: np.ndarray, largest: np.ndarray) -> str:
    rest = len(terms) - len(largest)
    if rest:
        left = float(terms.sum() - terms[largest].sum())
        written = [*written, f"{number(left)} by {rest} smaller term{'s' if rest > 1 else ''}"]
    return " + ".join([written[0], *[f"({w})" if w.startswith("-") else w for w in written[1:]]])


def _written(right: str, here: dict[str, float]) -> str:
    """The formula with numbers for names, and signs where a product is written by standing side by side."""
    out: list[str] = []
    tokens = _tokens(right)
    for k, (token, between) in enumerate(tokens):
        if between:
            out.append(" * ")
        if token in here:
            value = number(here[token])
            power = k + 1 < len(tokens) and tokens[k + 1][0] == "^"
            out.append(f"({value})" if value.startswith("-") and (out or power) else value)
        elif token == ",":
            out.append(", ")
        elif token in "+-/*" and out and not out[-1].endswith("("):
            out.append(f" {token} ")
        else:
            spaced = token in _FUNCTIONS and k + 1 < len(tokens) and tokens[k + 1][0] != "("
            out.append(f"{token} " if spaced else token)
    return "".join(out).strip()


def _tokens(right: str) -> list[tuple[str, bool]]:
    """(token, whether a product sign belongs before it)."""
    found: list[tuple[str, bool]] = []
    place = 0
    while place < len(right.rstrip()):
        match = _TOKEN.match(right, place)
        if match is None:
            raise ValueError(right[place:])
        token, place = match[1], match.end()
        ends = (
            bool(found)
            and (found[-1][0] == ")" or re.fullmatch(r"[\w.]+", found[-1][0]))
            and found[-1][0] not in _FUNCTIONS
        )
        starts = token == "(" or re.fullmatch(r"[\w.]+", token)
        found.append((token, bool(ends and starts)))
    return found


def _evaluated(right: str, here: dict[str, Any]) -> np.ndarray | None:
    """The values of a formula, flat; None where it is not one of numbers, names and functions alone."""
    try:
        with np.errstate(all="ignore"):
            return np.atleast_1d(np.asarray(_Parser(_tokens(right), here).whole(), np.float64))
    except (ValueError, KeyError, IndexError, ZeroDivisionError, OverflowError, TypeError):
        return None


class _Parser:
    """Evaluates sums of products of powers; "x y" is a product, "sin x" an application, "e^x" the exponential."""

    def __init__(self, tokens: list[tuple[str, bool]], here: dict[str, Any]) -> None:
        self.tokens, self.products = [token for token, _ in tokens] + [""], [between for _, between in tokens] + [False]
        self.here, self.place = here, 0

    def whole(self) -> Any:
        value = self.sum()
        if self.tokens[self.place]:
            raise ValueError(self.tokens[self.place])
        return value

    def take(self) -> str:
        self.place += 1
        return self.tokens[self.place - 1]

    def sum(self) -> Any:
        value = self.product()
        while self.tokens[self.place] in ("+", "-"):
            value = value + self.product() if self.take() == "+" else value - self.product()
        return value

    def product(self) -> Any:
        value = self.power()
        while self.tokens[self.place] in ("*", "/") or self.products[self.place]:
            if self.products[self.place]:
                value = value * self.power()
            else:
                value = value * self.power() if self.take() == "*" else value / self.power()
        return value

    def power(self) -> Any:
        if self.tokens[self.place] == "-":
            self.take()
            return -self.power()
        value = self.atom()
        if self.tokens[self.place] == "^":
            self.take()
            value = value ** self.power()
        return value

    def atom(self) -> Any:
        token = self.take()
        if token == "(":
            value = self.sum()
            if self.take() != ")":
                raise ValueError(token)
            return value
        if token in self.here:
            return self.here[token]
        if token in _FUNCTIONS:
            if self.tokens[self.place] != "(":
                return _FUNCTIONS[token](self.power())
            self.take()
            arguments = [self.sum()]
            while self.take() == ",":
                arguments.append(self.sum())
            return _FUNCTIONS[token](*arguments)
        if token in ("e", "pi"):
            return getattr(math, token)
        return float(token)


# -- matrix products ------------------------------------------------------------------------------------------------------


_FACTORS = re.compile(r"(\w+)(\^T)? (\w+)(\^T)?(?: \+ b)?(?: over .*)?$")


def _product(name: str, right: str, result: np.ndarray, known: dict[str, Any]) -> str:
    """One element of a product of two matrices: "gW[1, 2] = 0.3 * 0.5 + 0.2 * 0.1 + ... = 0.19"."""
    match = _FACTORS.match(right)
    if match is None or result.ndim != 2:
        return ""
    left, left_t, other, other_t = match.groups()
    x, y = known.get(left), known.get(other)
    if not (isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and x.ndim == y.ndim == 2):
        return ""
    i, j = _at(result)
    row, column = (x[:, i] if left_t else x[i]), (y[j] if other_t else y[:, j])
    if row.shape != column.shape:
        return ""
    products = row.astype(np.float64) * column
    bias = known.get("b", 0.0) if right.endswith("+ b") else 0.0
    bias = float(bias[j] if isinstance(bias, np.ndarray) else bias)
    if not _close(np.append(products, bias), float(result[i, j])):
        return ""
    largest = np.argsort(-np.abs(products), kind="stable")[:TERMS]
    written = [f"{number(row[k])} * {_bracketed(column[k])}" for k in largest]
    plus = f" + {_bracketed(bias)}" if bias else ""
    return f"{name}[{i}, {j}] = {_sum_of(written, products, largest)}{plus} = {number(result[i, j])}"


def _bracketed(x: Any) -> str:
    return f"({number(x)})" if x < 0 else number(x)
