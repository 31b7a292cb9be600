"""What arguments torch takes: by its own parser, by Python's signatures, by the first lines of its docstrings.

Functions written in C have no signature. Where they have several, torch lists them in the error that a call with far too
many arguments raises; where they have one, it is the operator's schema, from which the parser is made.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

REQUIRED = inspect.Parameter.empty


class Argument(NamedTuple):
    """A parameter: its default is REQUIRED where it has none."""

    name: str
    default: Any
    keyword_only: bool


Signature = list[Argument]


def signatures(owner: Any, name: str) -> list[Signature]:
    """The signatures under which torch takes arguments, without a method's self; none where torch tells nothing."""
    function, method = getattr(owner, name), isinstance(owner, type)
    try:
        kinds = {p.kind for p in inspect.signature(function).parameters.values()}
        if kinds != {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:  # torch's switches between two
            return [of_python(function)[method:]]
    except ValueError:
        pass
    return listed(function, method) or from_schemas(function, method)


def of_python(function: Callable[..., Any]) -> Signature:
    """The named arguments of what is written in Python."""
    named = [
        p
        for p in inspect.signature(function).parameters.values()
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    return [Argument(p.name, p.default, p.kind is p.KEYWORD_ONLY) for p in named]


def listed(function: Callable[..., Any], method: bool) -> list[Signature]:
    """The signatures that the parser lists when none fits."""
    try:
        function(*[torch.ones(2)][:method], *[object()] * 30)
    except (TypeError, RuntimeError) as error:
        text = str(error).partition("but expected")[2]
        found = [written(match) for match in re.findall(r"\((.*)\)", text)]
        return [[a for a in one if not (method and a.name in ("self", "input"))] for one in found]
    return []


def from_schemas(function: Callable[..., Any], method: bool) -> list[Signature]:
    """The arguments of the operators of that name, but for those that write into `out` and those of named axes."""
    found = []
    for schema in torch._C._jit_get_schemas_for_operator(f"aten::{function.__name__}"):
        given, _, text = str(schema).partition("->")
        written_into = "(a!)" in given and not function.__name__.endswith("_")
        if written_into or "Dimname" in given or ("Tensor" not in text and "Tensor self" not in given):
            continue
        one = [
            Argument(
                "input" if a.name == "self" else a.name,
                a.default_value if a.has_default_value() else REQUIRED,
                a.kwarg_only,
            )
            for a in schema.arguments
        ]
        found.append(one[method:])
    return found


def written(text: str) -> Signature:
    """`Tensor input, int dim=-1, *, Tensor out = None`, or `input: Tensor, dim: int = -1`, as arguments."""
    found, keyword_only = [], False
    for part in re.split(r",(?![^(\[{]*[)\]}])", text):
        name, _, default = (half.strip() for half in part.partition("="))
        name = name.partition(":")[0].strip()
        if name == "*":
            keyword_only = True
        elif re.fullmatch(r"[\w. ]*\w", name) and not name[0].isdigit():
            found.append(Argument(name.split()[-1], value(default) if default else REQUIRED, keyword_only))
    return found


def value(text: str) -> Any:
    """The default that is written so; the text itself where it is no literal."""
    try:
        return ast.literal_eval(text.replace("{", "(").replace("}", ",)"))
    except (ValueError, SyntaxError):
        return text


def documented(owner: Any, name: str) -> set[str]:
    """The arguments that the first lines of the docstring, and torch's own overrides, name."""
    function, names = getattr(owner, name), set()
    for line in (function.__doc__ or "").splitlines():
        match = re.match(rf"\s*{name}\((.*?)\)\s*(->.*)?$", line)
        names |= {a.name for a in written(match[1])} if match else set()
    override = torch.overrides.get_testing_overrides().get(function)
    if override is not None:
        names |= {a.name for a in of_python(override)}
    return names


VALUES = {
    "Tensor": torch.ones(2, 3), "int": 0, "float": 0.5, "Number": 1, "bool": False, "str": "sum", "tuple of ints": (1,),
    "tuple of Tensors": (torch.ones(2),), "torch.dtype": torch.float32, "torch.device": "cpu",
}  # fmt: skip


def takes(owner: Any, name: str, argument: str) -> bool:
    """Whether torch takes an argument of that name, found out by calling: all that it asks for is given, bit by bit."""
    function, given = getattr(owner, name), {argument: object()}
    for _ in range(20):
        try:
            function(*[torch.ones(2, 3)][: isinstance(owner, type)], **given)
        except Exception as error:
            text = str(error)
        else:
            return True
        missing = re.findall(r"['\"](\w+)['\"]", text) if "missing" in text else []
        wrong = re.search(r"argument '(\w+)'.* must be ([\w. ]+), not", text)
        if f"unexpected keyword argument '{argument}'" in text or re.search(r"takes no (keyword )?arguments", text):
            return False
        if "but expected" in text:
            return any(argument == a.name for one in listed(function, isinstance(owner, type)) for a in one)
        if missing and set(missing) - set(given):
            given |= dict.fromkeys(missing, object())
        elif wrong and wrong[1] != argument and given.get(wrong[1]) is not VALUES[wrong[2]]:
            given[wrong[1]] = VALUES[wrong[2]]
        else:
            return True
    raise AssertionError(f"{name}({argument}=) could not be called: {text}")
