"""gradcheck and gradgradcheck: gradients compared with finite differences."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.autograd.calls import grad
from minigrad.autograd.differences import (
    MOST_ELEMENTS,
    Differences,
    Index,
    WrongForm,
    analytic_jacobian,
    as_tuple,
    differentiable,
    disagreements,
    has_overlap,
    like,
    on_host,
)
from minigrad.autograd.observer import only_observers
from minigrad.grad_mode import enable_grad
from minigrad.tensor import Tensor, describe


class GradcheckError(RuntimeError):
    """What gradcheck found. `kind` is "gradient", "kink", "shape", "dtype", "nondeterministic" or "unconnected"."""

    def __init__(
        self,
        message: str,
        kind: str = "gradient",
        input: int | None = None,
        index: Index | None = None,
        analytic: float | None = None,
        numeric: float | None = None,
        op: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind, self.input, self.index = kind, input, index
        self.analytic, self.numeric, self.op = analytic, numeric, op


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether the gradients of func(*inputs) agree with central differences, |a - n| <= atol + rtol |n|, n measured.

    Inputs that require a gradient should be float64. Every element of every Jacobian is compared; fast_mode compares one
    random direction in and one out instead. Each output's gradient is taken alone, the others' being undefined, so
    check_undefined_grad asks for nothing more. Arguments and defaults are torch's; forward mode and batched gradients
    are not built.

    Raises GradcheckError (or returns False) with the worst element, its two values, the op that is likely at fault and
    how it looks wrong. A point where the slopes on both sides differ, however small the step, is reported as a kink.
    """
    for name, value in (
        ("check_batched_grad", check_batched_grad), ("check_batched_forward_grad", check_batched_forward_grad),
        ("check_forward_ad", check_forward_ad), ("masked", masked),
    ):  # fmt: skip
        if value:
            raise NotImplementedError(f"gradcheck: {name} is not built")
    if not check_backward_ad:
        raise ValueError("Expected at least one of check_forward_ad or check_backward_ad to be True")
    args = as_tuple(inputs)
    _check_inputs(args)
    try:
        with only_observers(), enable_grad():
            _check(func, args, eps, atol, rtol, nondet_tol, check_grad_dtypes, fast_mode)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """gradcheck of the gradients of func: their own gradients, with respect to the inputs and to grad_outputs.

    grad_outputs: what the first backward pass starts from, random if None (not contiguous in memory, if
    gen_non_contig_grad_outputs). The other arguments are gradcheck's.
    """
    if check_fwd_over_rev or not check_rev_over_rev:
        raise NotImplementedError("gradgradcheck: forward mode is not built; reverse over reverse is")
    args = as_tuple(inputs)
    _check_inputs(args)
    with enable_grad():
        outputs = differentiable(as_tuple(func(*args)))
    if grad_outputs is None:
        random = np.random.default_rng(0)
        starts = [like(random.uniform(-1, 1, y.numel()), y) for y in outputs]
        if gen_non_contig_grad_outputs:
            starts = [s.unsqueeze(-1).expand(*s.shape, 2).clone()[..., 0] if s.ndim else s for s in starts]
        starts = [s.detach().requires_grad_() for s in starts]
    else:
        starts = [s.detach().requires_grad_() for s in as_tuple(grad_outputs)]
    count = len(args)
    wrt = [i for i, x in enumerate(args) if isinstance(x, Tensor) and x.requires_grad]

    def gradients(*more: Any) -> tuple[Tensor, ...]:
        ys = differentiable(as_tuple(func(*more[:count])))
        found = grad(ys, [more[i] for i in wrt], more[count:], create_graph=True, allow_unused=True)
        return tuple([g for g in found if g is not None])

    return gradcheck(
        gradients, (*args, *starts), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception,
        nondet_tol=nondet_tol, check_undefined_grad=check_undefined_grad, check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad, fast_mode=fast_mode, masked=masked,
    )  # fmt: skip


def _check_inputs(args: tuple[Any, ...]) -> None:
    wrt = [(i, x) for i, x in enumerate(args) if isinstance(x, Tensor) and x.requires_grad]
    if not wrt:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
        )
    for i, x in wrt:
        if x.dtype != np.float64:
            warnings.warn(
                f"Input #{i}, {describe(x)}, requires gradient and is not a double precision floating point. "
                "This check will likely fail if all the inputs are not of double precision.",
                stacklevel=3,
            )
        if has_overlap(x):
            raise RuntimeError(
                f"The {i}th input has a dimension with stride 0. gradcheck only supports inputs that are non-overlapping to be "
                "able to compute the numerical gradients correctly. You should call .contiguous() on the input before passing "
                "it to gradcheck."
            )


def _check(
    func: Callable[..., Any],
    args: tuple[Any, ...],
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float,
    check_grad_dtypes: bool,
    fast_mode: bool,
) -> None:
    differences = Differences(func, args, eps)
    if check_grad_dtypes or nondet_tol < float("inf"):
        _check_repeated(differences, nondet_tol, check_grad_dtypes, atol, rtol)
    size = sum(args[i].numel() for i in differences.wrt) * sum(y.numel() for y in differences.outputs)
    if fast_mode and _agrees_along(differences, atol, rtol):
        return
    if fast_mode and size > MOST_ELEMENTS:
        raise GradcheckError(
            "Gradients computed numerically and analytically in fast mode are not equal, along a random direction of all inputs; "
            f"the Jacobians are too large to look at in full.{_fault(differences, atol, rtol)[0]}"
        )
    for i in differences.wrt:
        try:
            analytic = analytic_jacobian(differences.outputs, args, i) if differences.connected else None
        except WrongForm as form:
            text, op = _fault(differences, atol, rtol)
            raise GradcheckError(f"{form}: its shape is not the input's.{text}", "shape", i, op=op) from None
        for o, numeric in enumerate(differences.jacobian(i)):
            _compare(
                differences, i, o, np.zeros_like(numeric) if analytic is None else analytic[o], numeric, atol, rtol
            )


def _compare(differences: Differences, i: int, o: int, a: np.ndarray, n: np.ndarray, atol: float, rtol: float) -> None:
    wrong = disagreements(a, n, atol, rtol)
    if not wrong:
        return
    x, y, place = differences.inputs[i], differences.outputs[o], differences.places[o]
    kinks = 0
    for row, element in wrong:
        kinks += (is_kink := differences.is_kink(i, element, o, row, a[row, element]))
        if not is_kink:
            break
    if is_kink:
        row, element = wrong[0]
    index = tuple(int(k) for k in np.unravel_index(element, x.shape))
    at = [int(k) for k in np.unravel_index(row, y.shape)]
    values = (
        f"d output{at} / d input{list(index)}: analytic {a[row, element]:.9g}, numeric {n[row, element]:.9g}\n"
        f"  input {i}: {describe(x)}; output {place}: {describe(y)}"
    )
    found = (i, index, float(a[row, element]), float(n[row, element]))
    if is_kink:
        ahead, here, behind = (differences.along(i, element, s)[o][row] for s in (differences.eps, 0, -differences.eps))
        slopes = f"{(here - behind) / differences.eps:.6g} below and {(ahead - here) / differences.eps:.6g} above"
        raise GradcheckError(
            f"output {place} has a kink at input {i}, element {list(index)}: its slope is {slopes}, however small the step, so "
            f"that no gradient there can agree with a difference across it. Move the input away from it.\n  {values}",
            "kink",
            *found,
        )
    if not differences.connected:
        raise GradcheckError(
            "Numerical gradient for function expected to be zero: no output requires a gradient, yet moving an input changes "
            f"an output. Was the graph cut (detach, .data, no_grad, NumPy)?\n  {values}",
            "unconnected",
            *found,
        )
    from minigrad.autograd.mistakes import Evidence, name_mistake

    text, op = _fault(differences, atol, rtol)
    raise GradcheckError(
        f"Jacobian mismatch for output {place} with respect to input {i}: {len(wrong)} of {a.size} elements, {kinks} of them at a "
        f"kink.\n  worst: {values}\n  it has {name_mistake(Evidence(a, n, differences, i, o))}{text}",
        "gradient",
        *found,
        op,
    )


def _fault(differences: Differences, atol: float, rtol: float) -> tuple[str, str | None]:
    """What the doctor says of the ops: lines of text, and the name of the first that is wrong."""
    from minigrad.autograd.doctor import diagnose  # a large file, which is of use where something is wrong

    findings = diagnose(differences.fn, differences.inputs, eps=differences.eps, atol=atol, rtol=rtol)
    if not findings:
        return (
            "\n  each op by itself agrees with differences of its own: something between the ops hides a path from the graph "
            "(detach, .data, no_grad, .item(), NumPy), or changes from call to call",
            None,
        )
    return "".join(f"\n  op at fault: {finding}" for finding in findings), findings[0].op


def _agrees_along(differences: Differences, atol: float, rtol: float) -> bool:
    """v J u from the gradients against differences along u: one random direction of all inputs, one of all outputs."""
    random = np.random.default_rng(0)
    args, outputs = differences.inputs, differences.outputs
    directions = {}
    for i in differences.wrt:
        u = random.standard_normal(args[i].numel())
        directions[i] = u / max(float(np.linalg.norm(u)), 1e-300)
    weights = [random.uniform(0.1, 1, y.numel()) for y in outputs]
    numeric = sum(w @ m for w, m in zip(weights, differences.directional(directions), strict=True))
    analytic = 0.0
    if differences.connected:
        starts = [like(w, y) for w, y in zip(weights, outputs, strict=True)]
        wrt = [args[i] for i in differences.wrt]
        for i, gradient in zip(differences.wrt, grad(outputs, wrt, starts, True, allow_unused=True), strict=True):
            if gradient is not None and gradient.shape != args[i].shape:
                return False
            analytic += 0.0 if gradient is None else float(on_host(gradient) @ directions[i])
    return bool(abs(analytic - numeric) <= atol + rtol * abs(numeric))


def _check_repeated(
    differences: Differences, nondet_tol: float, check_grad_dtypes: bool, atol: float, rtol: float
) -> None:
    """The same backward pass twice gives the same gradients; they have their inputs' types, if asked."""
    if not differences.connected:
        return
    random = np.random.default_rng(1)
    wrt = [differences.inputs[i] for i in differences.wrt]
    starts = [like(random.uniform(-1, 1, y.numel()), y) for y in differences.outputs]
    passes = [grad(differences.outputs, wrt, starts, True, allow_unused=True) for _ in range(2)]
    for i, x, first, second in zip(differences.wrt, wrt, *passes, strict=True):
        if first is None or second is None:
            continue
        if check_grad_dtypes and first.dtype != x.dtype:
            raise GradcheckError(f"the gradient of input {i}, {describe(x)}, is {describe(first)}", "dtype", i)
        apart = np.abs(on_host(first) - on_host(second)).max(initial=0.0)
        if apart > nondet_tol:
            text, op = _fault(differences, atol, rtol)
            raise GradcheckError(
                "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives "
                f"different values: those of input {i}, {describe(x)}, are up to {apart:.3g} apart, nondet_tol={nondet_tol}{text}",
                "nondeterministic",
                i,
                op=op,
            )
