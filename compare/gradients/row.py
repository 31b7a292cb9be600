"""One row of the table: the largest errors of all cases of a name, and whether they are what they may be.

In float64 each array of minigrad's is within TOLERANCE_64 of torch's, of the largest element; on every draw. In float32 both
are compared with torch's float64: ours may be off by twice as much as torch's own, plus FLOOR_32. How far an array is off is the
root of the mean square, over several draws, of the largest error: of a few numbers rounding makes what it likes, and torch's
own two ways of attention break that rule on one draw in thirty. What breaks it on the first draws is drawn again, AGAIN times
as often in all, before it is called wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from compare.gradients.derivatives import FLOOR_32, PARTS, Distance, Outcome, distances
from compare.kit.distances import norm_distance
from compare.kit.result import Result

AGAIN = 8
Distances = Callable[[Outcome, Outcome, Outcome | None], Iterable[Distance]]


class Subject(Protocol):
    """What is computed by "minigrad", by its "definition"s and by "torch", in a precision; str() says what."""

    single: bool
    note: str | None

    def outcome(self, framework: str, dtype: Any, seed: int) -> Outcome: ...


def measure_row(
    group: str,
    name: str,
    subjects: Sequence[Subject],
    seeds: Sequence[int],
    against: str = "torch",
    whole: bool = False,
) -> Result:
    """A row: {"group", "name", "cases", "float64", "float32", "agree", "why", "note", "seconds"}.

    float64: {part: largest error, None where there is none}; float32: {part: [ours, torch's]} of the array that comes nearest
    to what it may be off. against: what float64 is compared with, "torch" or "definition". whole: the rule for networks, see
    `_whole`. why: the first thing that is wrong.
    """
    started = time.perf_counter()
    double: dict[str, float] = {}
    single: dict[str, list[float]] = {}
    problems: list[str] = []
    notes: dict[str | None, None] = {}
    for subject in subjects:
        try:
            problems += _double(subject, seeds[:1] if whole else seeds, against, double)
            if whole:
                problems += _whole(subject, seeds, single, notes)
            elif subject.single:
                problems += _single(subject, seeds, single, notes, again=not problems)
        except Exception as error:  # of one framework or of both: the other rows are still measured
            problems.append(f"{subject}: {type(error).__name__}: {' '.join(str(error).split())}")
    notes |= dict.fromkeys(subject.note for subject in subjects if subject.note)
    return {
        "group": group,
        "name": name,
        "cases": len(subjects),
        "float64": {part: double.get(part) for part in PARTS},
        "float32": {part: single.get(part) for part in PARTS},
        "agree": not problems,
        "why": problems[0] if problems else None,
        "note": "; ".join(map(str, notes)) or None,
        "seconds": round(time.perf_counter() - started, 3),
    }


def _double(subject: Subject, seeds: Sequence[int], against: str, largest: dict[str, float]) -> Iterator[str]:
    """Notes the largest float64 errors; gives what is wrong."""
    for seed in seeds:
        ours, theirs = (subject.outcome(name, np.float64, seed) for name in ("minigrad", against))
        for found in distances(ours, theirs):
            largest[found.part] = max(largest.get(found.part, 0.0), found.error)
            if not found.fine:
                yield f"{subject}: float64, {found.place}: {said(found)}"


def _single(
    subject: Subject,
    seeds: Sequence[int],
    nearest: dict[str, list[float]],
    notes: dict[str | None, None],
    again: bool,
) -> Iterator[str]:
    """Notes for each part the float32 errors that come nearest to what is allowed; gives what is wrong.

    Where the first draws break the rule, AGAIN times as many decide, unless `again` is False: the row is wrong anyway.
    """
    squares: dict[tuple[str, str], list[float]] = {}
    pooled: dict[tuple[str, str], list[float]] = {}
    more = range(max(seeds) + 1, max(seeds) + 1 + (AGAIN - 1) * len(seeds))
    drawn = 0
    for batch in (seeds, more if again else ()):
        for seed in batch:
            exact = subject.outcome("torch", np.float64, seed)
            ours, theirs = (subject.outcome(name, np.float32, seed) for name in ("minigrad", "torch"))
            for found in distances(ours, theirs, exact):
                if found.problem is not None:
                    yield f"{subject}: float32, {found.place}: {found.problem}"
                pair = squares.setdefault((found.part, found.place), [0.0, 0.0])
                pair[:] = pair[0] + found.error**2, pair[1] + (found.torchs or 0.0) ** 2
        drawn += len(batch)
        pooled = {key: [(total / drawn) ** 0.5 for total in pair] for key, pair in squares.items()}
        if all(share(*pair) <= 1 for pair in pooled.values()):
            break
    if drawn > len(seeds):
        notes[f"float32 over {drawn} draws"] = None
    for (part, place), (error, torchs) in pooled.items():
        if part not in nearest or share(error, torchs) > share(*nearest[part]):
            nearest[part] = [error, torchs]
        if share(error, torchs) > 1:
            allowed = Distance(part, place, error, torchs, 2 * torchs + FLOOR_32)
            yield f"{subject}: float32, {place}: {said(allowed)}"


def _whole(
    subject: Subject, seeds: Sequence[int], best: dict[str, list[float]], notes: dict[str | None, None]
) -> Iterator[str]:
    """The rule for networks in float32: the arrays of a part are taken together, in the 2-norm, and one batch has to do.

    A ReLU whose input is 0 but for rounding opens or stays shut, two equal pixels of a pool win or lose; many gradients change
    with it, in torch as here. Such a batch says nothing, so the next one is drawn; the row notes how many it took.
    """
    for taken, seed in enumerate(seeds, 1):
        exact = subject.outcome("torch", np.float64, seed)
        ours, theirs = (subject.outcome(name, np.float32, seed) for name in ("minigrad", "torch"))
        found: dict[str, list[float]] = {}
        for part, arrays in (("value", "outputs"), ("first", "first"), ("second", "second")):
            found[part] = [_apart(getattr(o, arrays), getattr(exact, arrays)) for o in (ours, theirs)]
        if not best or max(share(*pair) for pair in found.values()) < max(share(*pair) for pair in best.values()):
            best.update(found)
        if all(share(*pair) <= 1 for pair in best.values()):
            if taken > 1:
                notes[f"float32: the first {taken - 1} of {taken} batches met a kink"] = None
            return
    for part, (error, torchs) in best.items():
        if share(error, torchs) > 1:
            allowed = Distance(part, part, error, torchs, 2 * torchs + FLOOR_32)
            yield f"{subject}: float32, {part}, {len(seeds)} batches: {said(allowed)}"


def _apart(some: list[Any], exact: list[Any]) -> float:
    """The relative distance of lists of arrays, in the 2-norm; an absent one is zeros."""
    pairs = [(np.zeros_like(e) if a is None else a, e) for a, e in zip(some, exact, strict=True) if e is not None]
    return norm_distance([a for a, _ in pairs], [e for _, e in pairs])


def share(error: float, torchs: float) -> float:
    """A float32 error, of what is allowed."""
    return error / (2 * torchs + FLOOR_32)


def said(found: Distance) -> str:
    """What is wrong with an array, in words."""
    if found.problem is not None:
        return found.problem
    return f"off by {found.error:.2g} of the largest element, {found.allowed:.2g} allowed"
