"""Products with Jacobians and Hessians of a function, under torch's names (torch.autograd.functional).

func takes Tensors and returns a Tensor or a tuple of them; `inputs` and `v` are a Tensor or a tuple, and what comes back has
their form. With J[o, i] = d y_o / d x_i and H[i, j] = d^2 y / d x_i d x_j:

    vjp  v J    one backward pass                    vhp  v H    two
    jvp  J v    two: v J is linear in v, and its     hvp  H v    three
                own vjp, with v, is J v

create_graph: what comes back is part of the graph. strict: an input that an output does not depend on is an error, rather
than zeros. Zeros stand in wherever no gradient leads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad.autograd.calls import grad
from minigrad.fused import Alias
from minigrad.grad_mode import enable_grad, set_grad_enabled, state
from minigrad.ops.creation import ones_like, zeros_like
from minigrad.ops.shape import stack
from minigrad.tensor import Tensor

Tensors = Tensor | tuple[Tensor, ...]
Several = tuple[Tensor, ...]


def vjp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """(func(*inputs), v J), v of the outputs' shapes; None: 1, for an output of one element."""
    with enable_grad():
        tupled, xs = _tensors(inputs, "inputs", "vjp")
        xs = _fresh(xs, create_graph)
        several, ys = _outputs(func, xs, "vjp", strict)
        vs = _directions(v, ys, several, "vjp", "the user-provided function returns a single Tensor", create_graph)
    with set_grad_enabled(create_graph or state.grad):
        products = _pull(ys, xs, vs, create_graph, strict, "The output of the user-provided function")
    return _given_back(ys, several, create_graph), _given_back(products, tupled, create_graph)


def jvp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """(func(*inputs), J v), v of the inputs' shapes; None: 1, for an input of one element."""
    with enable_grad():
        tupled, xs = _tensors(inputs, "inputs", "jvp")
        xs = _fresh(xs, create_graph)
        vs = _directions(
            v, xs, tupled, "jvp", "the input to the user-provided function is a single Tensor", create_graph
        )
        several, ys = _outputs(func, xs, "jvp", strict)
        products = _push(ys, xs, vs, create_graph, strict)
    return _given_back(ys, several, create_graph), _given_back(products, several, create_graph)


def jacobian(
    func: Callable[..., Any],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """J as a Tensor of shape (*output, *input); a tuple for several inputs, of tuples for several outputs.

    One backward pass for each element of the outputs. vectorize and the forward mode are not built.
    """
    _refuse(vectorize, strategy, "jacobian")
    with enable_grad():
        tupled, xs = _tensors(inputs, "inputs", "jacobian")
        xs = _fresh(xs, create_graph)
        several, ys = _outputs(func, xs, "jacobian", strict)
        blocks = []
        for i, y in enumerate(ys):
            what = f"Output {i} of the user-provided function"
            rows = [
                _pull((element,), xs, (ones_like(element),), create_graph, strict, what)
                for element in (y.reshape(-1).unbind() if y.numel() else ())
            ]
            blocks.append(
                tuple([
                    stack([row[k] for row in rows]).reshape(*y.shape, *x.shape) if rows
                    else x.new_zeros((*y.shape, *x.shape))
                    for k, x in enumerate(xs)
                ])
            )  # fmt: skip
    result = tuple([_given_back(block, tupled, create_graph) for block in blocks])
    return result if several else result[0]


def hessian(
    func: Callable[..., Any],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """H of a function with one output of one element: (*input, *input), or a tuple of tuples for several inputs."""
    _refuse(vectorize, outer_jacobian_strategy, "hessian")
    tupled, xs = _tensors(inputs, "inputs", "hessian")

    def gradients(*points: Tensor) -> Several:
        found: Several = jacobian(
            lambda *at: _scalar(func, at, "hessian", strict).reshape(()), points, create_graph=True
        )
        if strict:
            _check_depend(
                found,
                "While computing the hessian, found that the jacobian of the user-provided function with respect to input",
            )
        return found

    blocks = jacobian(gradients, xs, create_graph, strict)
    return blocks if tupled else blocks[0][0]


def vhp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """(func(*inputs), v H) for one output of one element, v of the inputs' shapes."""
    with enable_grad():
        y, gradients, xs, vs, tupled = _gradients(func, inputs, v, create_graph, strict, "vhp")
    with set_grad_enabled(create_graph or state.grad):
        products = _pull(gradients, xs, vs, create_graph, strict, "The jacobian of the user-provided function")
    return _given_back((y,), False, create_graph), _given_back(products, tupled, create_graph)


def hvp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """(func(*inputs), H v) for one output of one element, v of the inputs' shapes. Where H is symmetric, vhp is cheaper."""
    with enable_grad():
        y, gradients, xs, vs, tupled = _gradients(func, inputs, v, create_graph, strict, "hvp")
        products = _push(gradients, xs, vs, create_graph, strict)
    return _given_back((y,), False, create_graph), _given_back(products, tupled, create_graph)


# -- the parts ----------------------------------------------------------------------------------------------------------


def _gradients(
    func: Callable[..., Any], inputs: Tensors, v: Tensors | None, create_graph: bool, strict: bool, name: str
) -> tuple[Tensor, Several, Several, Several, bool]:
    """(y, its gradients as part of the graph, fresh inputs, v, whether the inputs came as a tuple)."""
    tupled, xs = _tensors(inputs, "inputs", name)
    xs = _fresh(xs, create_graph)
    vs = _directions(v, xs, tupled, name, "the input to the user-provided function is a single Tensor", create_graph)
    y = _scalar(func, xs, name, strict)
    found = _pull((y,), xs, (ones_like(y),), True, strict, "The output of the user-provided function")
    if strict:
        _check_depend(
            found,
            "While computing the hessian, found that the jacobian of the user-provided function with respect to input",
        )
    return y, found, xs, vs, tupled


def _pull(ys: Several, xs: Several, vs: Several, create_graph: bool, strict: bool, what: str) -> Several:
    """v J, zeros where an output does not depend on an input."""
    roots = [(y, v) for y, v in zip(ys, vs, strict=True) if y.requires_grad]
    found: tuple[Tensor | None, ...] = (None,) * len(xs)
    if roots:
        outputs, starts = zip(*roots, strict=True)
        found = grad(outputs, xs, starts, retain_graph=True, create_graph=create_graph, allow_unused=True)
    for i, gradient in enumerate(found):
        if gradient is None and strict:
            raise RuntimeError(f"{what} is independent of input {i}. This is not allowed in strict mode.")
    return tuple([zeros_like(x) if g is None else g for x, g in zip(xs, found, strict=True)])


def _push(ys: Several, xs: Several, vs: Several, create_graph: bool, strict: bool) -> Several:
    """J v: the gradient, with respect to u, of (u J) v."""
    us = tuple([zeros_like(y).requires_grad_() for y in ys])
    pulled = _pull(ys, xs, us, True, strict, "The output of the user-provided function")
    roots = [(g, v) for g, v in zip(pulled, vs, strict=True) if g.requires_grad]
    found: tuple[Tensor | None, ...] = (None,) * len(us)
    if roots:
        outputs, starts = zip(*roots, strict=True)
        found = grad(outputs, us, starts, retain_graph=True, create_graph=create_graph, allow_unused=True)
    return tuple([zeros_like(y) if g is None else g for y, g in zip(ys, found, strict=True)])


def _tensors(value: Any, what: str, name: str) -> tuple[bool, Several]:
    """(whether it is a tuple, as a tuple of Tensors)."""
    tupled = isinstance(value, tuple)
    several = value if tupled else (value,)
    for i, x in enumerate(several):
        if not isinstance(x, Tensor):
            which = f"value at index {i}" if tupled else f"given {what}"
            raise TypeError(
                f"The {what} given to {name} must be either a Tensor or a tuple of Tensors but the {which} has type {type(x)}."
            )
    return tupled, several


def _fresh(xs: Several, create_graph: bool) -> Several:
    """The inputs as tensors of their own, so that one that func reaches by another way is not taken for an argument."""
    return tuple([Alias()(x) if create_graph and x.requires_grad else x.detach().requires_grad_() for x in xs])


def _outputs(func: Callable[..., Any], xs: Several, name: str, strict: bool) -> tuple[bool, Several]:
    several, ys = _tensors(func(*xs), "outputs of the user-provided function", name)
    for i, y in enumerate(ys):
        if strict and not y.requires_grad:
            raise RuntimeError(
                f"Output {i} of the user-provided function does not require gradients. The outputs must be computed in a "
                "differentiable manner from the input when running in strict mode."
            )
    return several, ys


def _scalar(func: Callable[..., Any], xs: Several, name: str, strict: bool) -> Tensor:
    several, ys = _outputs(func, xs, name, strict)
    if several:
        raise RuntimeError(f"The function given to {name} should return a single Tensor")
    if ys[0].numel() != 1:
        raise RuntimeError(f"The Tensor returned by the function given to {name} should contain a single element")
    return ys[0]


def _directions(v: Tensors | None, refs: Several, tupled: bool, name: str, single: str, create_graph: bool) -> Several:
    """v as a tuple, of the shapes of `refs`; a 1 for None."""
    if v is None:
        if len(refs) != 1 or refs[0].numel() != 1:
            raise RuntimeError(f"The vector v can only be None if {single} with a single element.")
        return (ones_like(refs[0]),)
    _, vs = _tensors(v, "v", name)
    if len(vs) != len(refs):
        raise RuntimeError(
            f"v is a tuple of invalid length: should be {len(refs)} but got {len(vs)}." if tupled
            else "The given v should contain a single Tensor."
        )  # fmt: skip
    for i, (x, ref) in enumerate(zip(vs, refs, strict=True)):
        if x.shape != ref.shape:
            entry = f"Entry {i} in " if tupled else ""
            raise RuntimeError(f"{entry}v has invalid size: should be {list(ref.shape)} but got {list(x.shape)}.")
    return tuple([x if create_graph and x.requires_grad else x.detach() for x in vs])


def _check_depend(gradients: Several, what: str) -> None:
    for i, gradient in enumerate(gradients):
        if not gradient.requires_grad:
            raise RuntimeError(f"{what} {i} is independent of the input. This is not allowed in strict mode.")


def _given_back(found: Several, tupled: bool, create_graph: bool) -> Any:
    result = found if create_graph else tuple([x.detach() for x in found])
    return result if tupled else result[0]


def _refuse(vectorize: bool, strategy: str, name: str) -> None:
    if strategy not in ("reverse-mode", "forward-mode"):
        raise ValueError(f'{name}: expected strategy to be either "forward-mode" or "reverse-mode", got {strategy!r}')
    if vectorize or strategy == "forward-mode":
        raise NotImplementedError(f"{name}: vectorize=True and the forward mode are not built")
