"""Compares minigrad with PyTorch on PyTorch's own samples: the inputs that its test suite gives each of its operators.

    python tools/torch_samples.py                     every operator whose name minigrad has, in float64 and float32
    python tools/torch_samples.py gather nn.functional.pad     these alone, and what is wrong with each sample that fails
    python tools/torch_samples.py --more              the longer lists, which PyTorch calls reference inputs
    python tools/torch_samples.py --errors            the calls that PyTorch refuses: minigrad has to refuse them too

A sample passes where values, types, shapes, gradients under a random cotangent and second gradients are PyTorch's: to 1e-10 of
the largest element in float64, in float32 no further from PyTorch's float64 than twice its own float32 is. Of what is drawn at
random, shapes and types are compared. Operators of integers alone are run in int64. It exits with 1 where something failed.

What is left over: second gradients of norms at 0, NaN in PyTorch and 0 here; the gradient of hardsigmoid, where PyTorch's
float64 takes a sixth in float32; second gradients of binary_cross_entropy, where PyTorch adds 1e-12 to what it divides by; and
results that nearly cancel (layer_norm of two numbers, sums in float32), where neither side has the digits.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import random
import sys
import types
import unittest
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

import minigrad
import minigrad.linalg
import minigrad.nn.functional
import minigrad.special
from compare.gradients.derivatives import DIRECTIONS, SEEDS, Outcome, as_numpy, derive, distances, draw, flat, matching
from minigrad.autograd import grad

NOT_OURS = {
    "empty", "empty_like", "new_empty",  # of no value
    "nn.functional.silu.complex", "addmm.decomposed", "bmm.triton_optimized",  # the same samples under another name
}  # fmt: skip


def operators() -> list[Any]:
    """PyTorch's descriptions of its operators, of those whose names minigrad has."""
    if importlib.util.find_spec("expecttest") is None:  # PyTorch derives test cases from it, of which none is run here
        stand_in = types.ModuleType("expecttest")
        stand_in.TestCase = unittest.TestCase  # type: ignore[attr-defined]
        sys.modules["expecttest"] = stand_in
    from torch.testing._internal import common_methods_invocations as invocations

    invocations.wrapper_set_seed = _unseeded  # so that what is drawn at random shows itself
    return [op for op in invocations.op_db if full_name(op) not in NOT_OURS and ours(op) is not None]


def _unseeded(op: Any, *args: Any, **kwargs: Any) -> Any:
    return op(*args, **kwargs)


def full_name(op: Any) -> str:
    """The operator's name and its variant's."""
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name


def ours(op: Any) -> Callable[..., Any] | None:
    """minigrad's function of that name; the Tensor's method or attribute where it has only that."""
    *path, name = op.name.split(".")
    place: Any = minigrad
    for part in path:
        place = getattr(place, part, None)
    function = getattr(place, name, None)
    function = function if callable(function) and not isinstance(function, type) else None
    if function is None and (path or not hasattr(minigrad.Tensor, name)):
        return None
    call = op.op
    if isinstance(call, types.FunctionType) and call.__module__.startswith("torch.testing"):
        # PyTorch's own few lines around the operator, with minigrad where they say torch.
        names = {**call.__globals__, "torch": minigrad, "F": minigrad.nn.functional}
        return types.FunctionType(call.__code__, names, name, call.__defaults__, call.__closure__)
    return function or getattr(minigrad.Tensor, name)


@dataclass
class Case:
    """One call: the arguments as PyTorch's, in places where minigrad's are put in turn."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def of_torch(self, dtype: Any = None) -> tuple[Any, dict[str, Any], list[Any]]:
        """Fresh arguments for PyTorch, floating-point tensors in `dtype`, and those that are differentiated."""
        leaves: list[Any] = []

        def make(t: torch.Tensor) -> torch.Tensor:
            wide = dtype is not None and t.is_floating_point()
            made = t.detach().to(dtype) if wide else _laid_out(t)
            return _leaf(made, t.requires_grad, leaves)

        convert = None if dtype is None else {torch.dtype: lambda d: dtype if d.is_floating_point else d}
        return _mapped(self.args, make, convert), _mapped(self.kwargs, make, convert), leaves

    def of_minigrad(self) -> tuple[Any, dict[str, Any], list[Any]]:
        """The same for minigrad, with the same strides."""
        leaves: list[Any] = []

        def make(t: torch.Tensor) -> minigrad.Tensor:
            made = minigrad.from_numpy(_laid_out(t).numpy(force=True)).detach()
            return _leaf(made, t.requires_grad, leaves)

        convert = {torch.Size: tuple, torch.device: str, torch.dtype: lambda d: getattr(minigrad, str(d)[6:])}
        return _mapped(self.args, make, convert), _mapped(self.kwargs, make, convert), leaves


def _laid_out(t: torch.Tensor) -> torch.Tensor:
    """A copy with the same strides, zeros of expanded axes among them."""
    t = t.detach().resolve_conj().resolve_neg()
    if not t.numel():
        return t.clone()
    size = 1 + sum((n - 1) * s for n, s in zip(t.shape, t.stride(), strict=True))
    return torch.as_strided(t, (size,), (1,)).clone().as_strided(t.shape, t.stride())


def _leaf(t: Any, differentiated: bool, leaves: list[Any]) -> Any:
    if differentiated:
        leaves.append(t.requires_grad_())
    return t


def _mapped(value: Any, make: Callable[[Any], Any], convert: Any = None) -> Any:
    """The arguments with every tensor made anew, other objects of PyTorch's converted."""
    if isinstance(value, torch.Tensor):
        return make(value)
    if convert and type(value) in convert:
        return convert[type(value)](value)
    if isinstance(value, dict):
        return {k: _mapped(v, make, convert) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)([_mapped(v, make, convert) for v in value])
    return value


def outcome(call: Any, arguments: tuple[Any, Any, list[Any]], grad_of: Any, order: int, tensor: Any) -> Outcome:
    """What a call computes: outputs, gradients under random cotangents, second gradients."""
    args, kwargs, leaves = arguments
    outputs = flat(call(*args, **kwargs))
    cotangents = [None if c is None else tensor(c).requires_grad_() for c in matching(SEEDS, outputs)]
    cotangents += [None] * (len(outputs) - len(cotangents))
    found = derive(outputs, leaves, cotangents, lambda i, g: tensor(draw(DIRECTIONS[i], g)), grad_of, order)
    return Outcome(*[[as_numpy(x) for x in xs] for xs in (outputs, *found)])


def cases(op: Any, dtype: torch.dtype, more: bool) -> Iterator[Case]:
    """The operator's samples. Of PyTorch's reference inputs, the first argument alone is differentiated."""
    differentiated = op.supports_autograd and dtype.is_floating_point
    for seed in (torch.manual_seed, random.seed, np.random.seed):  # each operator's samples are its own, in any order
        seed(0)
    for sample in (op.reference_inputs if more else op.sample_inputs)(
        "cpu", dtype, requires_grad=differentiated and not more
    ):
        if more and differentiated and isinstance(sample.input, torch.Tensor) and sample.input.is_floating_point():
            sample.input.requires_grad_()
        yield Case((sample.input, *sample.args), dict(sample.kwargs))


def refused_by_torch(op: Any) -> Iterator[tuple[Case, type]]:
    """The calls that PyTorch refuses, and what it raises."""
    if op.error_inputs_func is None:
        return
    for error in op.error_inputs("cpu"):
        yield (
            Case((error.sample_input.input, *error.sample_input.args), dict(error.sample_input.kwargs)),
            error.error_type,
        )


def trouble(op: Any, call: Any, case: Case, dtype: torch.dtype) -> str | None:
    """What is wrong with minigrad's answer; "" if nothing is; None where PyTorch itself gives none."""
    order = 2 if op.supports_gradgrad else 1

    def torchs(wide: Any = None) -> Outcome:
        torch.manual_seed(0)
        try:
            return outcome(op.op, case.of_torch(wide), torch.autograd.grad, order, torch.from_numpy)
        except (RuntimeError, NotImplementedError):
            torch.manual_seed(0)
            return outcome(op.op, case.of_torch(wide), torch.autograd.grad, 1 if order == 2 else 0, torch.from_numpy)

    try:
        expected = torchs()
        varies = any(not _same(expected.outputs, _drawn_again(op, case, seed)) for seed in (1, 2, 3))
    except Exception:
        return None
    depth = 2 if expected.taped else 1
    try:
        got = outcome(call, case.of_minigrad(), grad, 0 if varies else depth, minigrad.from_numpy)
    except Exception as error:
        return f"refused: {type(error).__name__}: {str(error)[:200]}"
    if varies:
        forms = [[(np.shape(y), getattr(y, "dtype", type(y))) for y in ys] for ys in (got.outputs, expected.outputs)]
        return "" if forms[0] == forms[1] else f"failed: {forms[0]} against {forms[1]}"
    for part in ("first", "taped", "second"):  # no graph and a gradient of zeros mean the same
        lists = getattr(got, part), getattr(expected, part)
        for short, long in (lists, lists[::-1]):
            short += [None] * (len(long) - len(short))
    exact = None
    if dtype == torch.float32:
        with contextlib.suppress(Exception):
            exact = torchs(torch.float64)
            for part in ("first", "taped", "second"):
                getattr(exact, part).extend([None] * (len(getattr(expected, part)) - len(getattr(exact, part))))
    try:
        wrong = [d for d in distances(got, expected, exact) if not d.fine]
    except Exception as error:
        return f"failed: {error!r}"
    return (
        f"failed: {wrong[0].place}: {wrong[0].problem or f'{wrong[0].error:.2g}, {wrong[0].allowed:.2g} allowed'}"
        if wrong
        else ""
    )


def _drawn_again(op: Any, case: Case, seed: int) -> list[Any]:
    torch.manual_seed(seed)
    args, kwargs, _ = case.of_torch()
    return [as_numpy(y) for y in flat(op.op(*args, **kwargs))]


def _same(a: list[Any], b: list[Any]) -> bool:
    return all(
        np.array_equal(x, y, equal_nan=getattr(x, "dtype", np.dtype(bool)).kind == "f")
        for x, y in zip(a, b, strict=True)
    )


def not_refused(op: Any, call: Any, case: Case, kind: Any) -> str | None:
    """What is wrong with minigrad's answer to a call that PyTorch refuses."""
    args, kwargs, _ = case.of_torch()
    try:
        op.op(*args, **kwargs)
        return None
    except Exception as error:
        theirs = error
    try:
        args, kwargs, _ = case.of_minigrad()
        call(*args, **kwargs)
    except Exception as error:
        return "" if isinstance(error, type(theirs)) else f"failed: {error!r} against PyTorch's {theirs!r}"
    return f"failed: no error where PyTorch says {theirs!r}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="operators, as torch names them (all that minigrad has)")
    parser.add_argument("--more", action="store_true", help="PyTorch's reference inputs: more of them")
    parser.add_argument("--errors", action="store_true", help="the calls that PyTorch refuses")
    parser.add_argument("--float64", action="store_true", help="in float64 alone")
    parser.add_argument(
        "--all", action="store_true", help="a line for every operator, not only for those with a sample that fails"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    try:
        known = operators()
    except ImportError as error:
        print(f"PyTorch's samples cannot be imported here: {error}")
        return 2
    chosen = [op for op in known if not arguments.names or {op.name, full_name(op)} & set(arguments.names)]
    table: dict[str, Counter[str]] = defaultdict(Counter)
    total: Counter[str] = Counter()
    for op in chosen:
        call = ours(op)
        if arguments.errors:
            found = [("error", not_refused(op, call, case, kind), case) for case, kind in refused_by_torch(op)]
        else:
            floats = [d for d in (torch.float64, torch.float32)[: 1 if arguments.float64 else 2] if d in op.dtypes]
            found = [
                (str(dtype)[6:], trouble(op, call, case, dtype), case)
                for dtype in floats or [d for d in (torch.int64,) if d in op.dtypes]
                for case in cases(op, dtype, arguments.more)
            ]
        name = full_name(op)
        reasons: Counter[str] = Counter()
        for dtype, wrong, case in found:
            if wrong is None:
                continue
            verdict = wrong.partition(":")[0] or "passed"
            table[name][verdict] += 1
            total[verdict] += 1
            total[dtype, verdict] += 1  # type: ignore[index]
            if wrong:
                reasons[f"{dtype} {wrong}"] += 1
                if arguments.names:
                    print(f"    {dtype} {wrong}\n        {described(case)}")
        counts = table[name]
        if counts and (arguments.all or counts["passed"] < sum(counts.values())):
            print(
                f"{name:44} passed {counts['passed']:4}  failed {counts['failed']:3}  refused {counts['refused']:3}",
                flush=True,
            )
            for reason, count in reasons.most_common(4) if not arguments.names else ():
                print(f"    {count} x {reason}")
    print(share(total, len(table)))
    return 0 if total["failed"] + total["refused"] == 0 else 1


def described(case: Case) -> str:
    """The arguments, tensors by type, shape and strides."""

    def make(t: torch.Tensor) -> Any:
        return f"{str(t.dtype)[6:]}{tuple(t.shape)}{'' if t.is_contiguous() else f' strides {t.stride()}'}"

    return f"{_mapped(case.args, make)} {_mapped(case.kwargs, make)}"[:400]


def share(total: Counter[Any], names: int) -> str:
    """The last lines: how many samples passed, by type and of all."""
    lines = []
    for dtype in [*sorted({key[0] for key in total if isinstance(key, tuple)}), None]:
        passed, failed, refused = (total[(dtype, v) if dtype else v] for v in ("passed", "failed", "refused"))
        count = passed + failed + refused
        lines.append(
            f"{dtype or f'all, {names} operators'}: {passed} of {count} passed ({passed / max(count, 1):.2%}), "
            f"{failed} failed, {refused} refused"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
