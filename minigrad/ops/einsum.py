"""Einstein's notation, and the products that are special cases of it.

einsum sets its operands side by side two at a time, from left to right. Each pair is one batched matrix product: letters
in both that are still needed make the batch, letters in both that are not are summed over, the rest are rows and columns.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Sequence
from math import prod
from typing import Any

from minigrad.ops.common import alone, axis, integer
from minigrad.ops.diagonals import diagonal
from minigrad.ops.matmul import matmul
from minigrad.ops.public import offer
from minigrad.tensor import Tensor, describe

LETTERS = string.ascii_uppercase + string.ascii_lowercase  # the order of letters, and their numbers in torch's lists

Labels = list[Any]
"""What each axis of a tensor is called: a letter, or a negative number for an axis under the ellipsis (-1 the last)."""


def einsum(equation: Any, *operands: Any) -> Tensor:
    """Products of the operands' elements, summed over every letter that the output does not name.

    einsum("ij,jk->ik", x, y), or with lists in place of letters: einsum(x, [0, 1], y, [1, 2], [0, 2]). A letter twice in
    one operand takes the diagonal; "..." stands for further axes, which broadcast. Without "->" the output has the ellipsis
    first, then the letters that occur once, in order. Sizes of 1 broadcast.
    """
    if isinstance(equation, str):
        if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
            operands = tuple(operands[0])
        terms, output = _parse(equation)
    else:
        given = (equation, *operands)
        output = _listed(given[-1]) if len(given) % 2 else None
        operands, terms = given[: len(given) // 2 * 2 : 2], [_listed(labels) for labels in given[1::2]]
    if len(terms) != len(operands):
        raise RuntimeError(f"einsum(): {len(operands)} operands were provided for {len(terms)} in the equation")
    labelled = [_labels(i, x, term) for i, (x, term) in enumerate(zip(operands, terms, strict=True))]
    names = _output(terms, labelled, output)
    tensors = _sized(
        [_take_diagonals(i, x, labels) for i, (x, labels) in enumerate(zip(operands, labelled, strict=True))]
    )
    result, labels = _summed(*tensors[0], {*names}.union(*[other for _, other in tensors[1:]]))
    for i, (x, other) in enumerate(tensors[1:], 2):
        needed = {*names}.union(*[later for _, later in tensors[i:]])
        result, labels = _product(
            *_summed(result, labels, needed | {*other}), *_summed(x, other, needed | {*labels}), needed
        )
    return result.permute([labels.index(name) for name in names])


def _parse(equation: str) -> tuple[list[Labels], Labels | None]:
    """The terms before "->" and the one after it, as lists of letters and Ellipsis."""

    def term(text: str) -> Labels:
        if text.count("...") > 1 or "." in text.replace("...", "", 1):
            raise RuntimeError(f"einsum(): found '.' that is not part of one ellipsis in {equation!r}")
        before, dots, after = text.partition("...")
        for letter in before + after:
            if letter not in LETTERS:
                raise RuntimeError(
                    f"einsum(): invalid subscript {letter!r} in the equation {equation!r}, subscripts must be in [a-zA-Z]"
                )
        return [*before, *([Ellipsis] if dots else []), *after]

    left, arrow, right = equation.replace(" ", "").partition("->")
    return [term(text) for text in left.split(",")], term(right) if arrow else None


def _listed(labels: Sequence[Any]) -> Labels:
    """torch's list of numbers as letters."""
    for label in labels:
        if label is not Ellipsis and not 0 <= label < len(LETTERS):
            raise RuntimeError(f"einsum(): subscript {label} is not within the valid range [0, {len(LETTERS)})")
    return [label if label is Ellipsis else LETTERS[label] for label in labels]


def _labels(i: int, x: Tensor, term: Labels) -> Labels:
    """A label for every axis of x."""
    hidden = x.ndim - len([label for label in term if label is not Ellipsis])
    if hidden < 0 or (hidden and Ellipsis not in term):
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({len(term)}) does not match the number of dimensions "
            f"({x.ndim}) for operand {i}, {describe(x)}"
        )
    return [name for label in term for name in (range(-hidden, 0) if label is Ellipsis else [label])]


def _output(terms: list[Labels], labelled: list[Labels], output: Labels | None) -> Labels:
    """The labels of the result in order."""
    hidden = sorted({label for labels in labelled for label in labels if isinstance(label, int)})
    if output is None:
        times = Counter(label for term in terms for label in term)
        return [*hidden, *[letter for letter in LETTERS if times[letter] == 1]]
    for label in output:
        if label is not Ellipsis and output.count(label) > 1:
            raise RuntimeError(f"einsum(): output subscript {label} appears more than once in the output")
        if label is not Ellipsis and not any(label in labels for labels in labelled):
            raise RuntimeError(
                f"einsum(): output subscript {label} does not appear in the equation for any input operand"
            )
    return [name for label in output for name in (hidden if label is Ellipsis else [label])]


def _take_diagonals(i: int, x: Tensor, labels: Labels) -> tuple[Tensor, Labels]:
    """Each label once: where one occurs twice, the diagonal is what counts."""
    labels = list(labels)
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            a = labels.index(label)
            b = labels.index(label, a + 1)
            if x.shape[a] != x.shape[b]:
                raise RuntimeError(
                    f"einsum(): subscript {label} is repeated for operand {i} but the sizes don't match, "
                    f"{x.shape[b]} != {x.shape[a]}"
                )
            x = diagonal(x, 0, a, b)
            del labels[b], labels[a]
            labels.append(label)
    return x, labels


def _sized(tensors: list[tuple[Tensor, Labels]]) -> list[tuple[Tensor, Labels]]:
    """Axes of length 1 expanded to the length that their label has elsewhere."""
    sizes: dict[Any, int] = {}
    for i, (x, labels) in enumerate(tensors):
        for label, n in zip(labels, x.shape, strict=True):
            seen = sizes.get(label, 1)
            if n != seen and 1 not in (n, seen):
                raise RuntimeError(
                    f"einsum(): subscript {label} has size {n} for operand {i} which does not broadcast with previously seen "
                    f"size {seen}"
                )
            sizes[label] = n if seen == 1 else seen
    return [(x.expand([sizes[label] for label in labels]), labels) for x, labels in tensors]


def _summed(x: Tensor, labels: Labels, needed: set[Any]) -> tuple[Tensor, Labels]:
    """x summed over the labels that nobody needs."""
    over = tuple([i for i, label in enumerate(labels) if label not in needed])
    return (x.sum(over, dtype=x.dtype), [label for label in labels if label in needed]) if over else (x, labels)


def _product(x: Tensor, left: Labels, y: Tensor, right: Labels, needed: set[Any]) -> tuple[Tensor, Labels]:
    """The product of two operands, summed over the labels of both that are not needed any more."""
    batch = [label for label in left if label in right and label in needed]
    summed = [label for label in left if label in right and label not in needed]
    rows = [label for label in left if label not in right]
    columns = [label for label in right if label not in left]
    x = x.permute([left.index(label) for label in batch + rows + summed])
    if not summed:
        # Nothing to sum: element by element, the columns after the rows.
        x = x.reshape((*x.shape, *[1] * len(columns)))
        y = y.permute([right.index(label) for label in batch + columns])
        y = y.reshape((*y.shape[: len(batch)], *[1] * len(rows), *y.shape[len(batch) :]))
        return x * y, batch + rows + columns
    y = y.permute([right.index(label) for label in batch + summed + columns])
    b, r = len(batch), len(rows)
    sizes = (*x.shape[: b + r], *y.shape[b + len(summed) :])
    count, middle = prod(x.shape[:b]), prod(x.shape[b + r :])
    x = x.reshape(count, prod(x.shape[b : b + r]), middle)
    y = y.reshape(count, middle, prod(y.shape[b + len(summed) :]))
    return matmul(x, y).reshape(sizes), batch + rows + columns


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Products summed over pairs of axes: the last `dims` of a with the first of b, or dims = (axes of a, axes of b)."""
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if alone(dims):
        dims = integer(dims, "dims")
        if dims < 0 or dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims >= 0 and no more than both operands have axes, but got {dims}")
        dims = (range(a.ndim - dims, a.ndim), range(dims))
    left, right = ([axis(d, x.ndim) for d in ([of] if alone(of) else of)] for x, of in ((a, dims[0]), (b, dims[1])))
    if len(left) != len(right):
        raise RuntimeError(f"both dimension lists should have same length, not {len(left)} and {len(right)}")
    for i, j in zip(left, right, strict=True):
        if a.shape[i] != b.shape[j] and 1 not in (a.shape[i], b.shape[j]):
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {a.shape[i]} in dim {i} and second has size "
                f"{b.shape[j]} in dim {j}"
            )
    rows = [i for i in range(a.ndim) if i not in left]
    columns = [j for j in range(b.ndim) if j not in right]
    names = {j: left[k] for k, j in enumerate(right)}
    return einsum(
        a, [*range(a.ndim)], b, [names.get(j, a.ndim + j) for j in range(b.ndim)], rows + [a.ndim + j for j in columns]
    )


def inner(input: Tensor, other: Tensor) -> Tensor:
    """Products summed over the last axis of both; with a 0-d tensor, the plain product."""
    if input.ndim == 0 or other.ndim == 0:
        return input * other
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(input.shape)} and {list(other.shape)}"
        )
    return tensordot(input, other, ([-1], [-1]))


def kron(input: Tensor, other: Tensor) -> Tensor:
    """Kronecker's product: every element of the input times the whole of other, side by side."""
    ndim = max(input.ndim, other.ndim)
    x, y = (v.reshape((*[1] * (ndim - v.ndim), *v.shape)) for v in (input, other))
    spaced = x.reshape([m for n in x.shape for m in (n, 1)]) * y.reshape([m for n in y.shape for m in (1, n)])
    return spaced.reshape([m * n for m, n in zip(x.shape, y.shape, strict=True)])


offer("minigrad Tensor", inner, kron)
offer("minigrad", einsum, tensordot)
