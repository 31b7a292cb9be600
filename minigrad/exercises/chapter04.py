"""Chapter 4, the engine: the order of the turns, and the memory that freeing saves."""

from __future__ import annotations

from typing import Any

from minigrad.exercises.judge import exercise, expect, judges, require

GRAPH = {0: [], 1: [], 2: [0, 1], 3: [1], 4: [2, 3], 5: [2], 6: [4, 2]}


@exercise
def turns(parents, result):
    """The numbers of the nodes behind `result` (and its own) in the order in which an engine visits them.

    parents: {number of a node: the numbers of those that it was made from}. Each node once, after all that were made from it.
    """


@judges(turns)
def _(answer: Any) -> None:
    got = list(answer(GRAPH, 6))
    require(
        5 not in got, "node 5 is not behind node 6: the graph of a result is what it was made from, and nothing else"
    )
    require(len(got) == len(set(got)), f"{got}: a node has two turns. Let it wait until its gradient is complete")
    require(set(got) == {0, 1, 2, 3, 4, 6}, f"{got}: these are not the nodes behind 6")
    for node, ways in GRAPH.items():
        for parent in ways if node in got else ():
            require(
                got.index(node) < got.index(parent),
                f"{got}: {parent} has its turn before {node}, which was made from it",
            )
    require(list(answer(GRAPH, 3)) == [3, 1], "turns of node 3 should be [3, 1]")


@exercise
def peak(sizes, free):
    """The most bytes alive at once, where op i of a chain saves sizes[i] bytes forward.

    The backward pass begins at the last op. To run its backward, op i makes a gradient of sizes[i] bytes, alive only during
    its turn. With free=True what op i saved is dropped after its turn, with free=False never.
    """


@judges(peak)
def _(answer: Any) -> None:
    chain = [10, 10, 10]
    words = {"forward alone keeps this; the gradient of the turn comes on top": 30}
    expect(answer(chain, True), 40, "peak([10, 10, 10], True)", words)
    expect(
        answer([50, 10, 10], True), 100, "peak([50, 10, 10], True)", {"look at every turn, not only at the first": 80}
    )
    expect(answer([50, 10, 10], False), 120, "peak([50, 10, 10], False)", {"nothing is dropped with free=False": 100})
