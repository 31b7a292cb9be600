"""What python -m compare layerwise has found: its tables, and in one sentence."""

from __future__ import annotations

from compare.kit.result import Result
from compare.kit.tables import Table
from compare.layerwise.traces import BUFFER, FLOW, GRADIENT, GROUPS, OUTPUT, place


def tables(result: Result) -> list[Table]:
    """What differs first; every layer."""
    return [first_table(result), layer_table(result)]


def what(result: Result) -> str:
    """What was run, in a line."""
    if "title" in result:  # of anybody's networks
        return result["title"]
    mode = "training" if result["training"] else "evaluation"
    weights = f", weights {result['weights']}" if result["weights"] else ""
    planted = f", an error planted: {result['plant']}" if result["plant"] else ""
    size = f"{result['image_size']}x{result['image_size']}"
    return f"{result['model']}, batch {result['batch']}, {size}, {mode}, {result['dtype']}{weights}{planted}"


def first_table(result: Result) -> Table:
    """The first output, gradient and buffer that is not torch's; and how far off the others are."""
    rows = []
    for group, whats in GROUPS.items():
        within = [d for d in result["distances"] if d["what"] in whats]
        if not within:
            continue
        first = result["first"][group]
        name = "none" if first is None else first["name"] if first["what"] in (OUTPUT, BUFFER) else _where(first)
        numbers = ["", ""] if first is None else [f"{first['error']:.1e}", f"{first['allowed']:.1e}"]
        beyond = sum(d["beyond"] for d in within)
        others = [d["error"] for d in within if not d["beyond"]]
        rows.append([group, name, *numbers, f"{beyond} of {len(within)}", f"{max(others):.1e}" if others else ""])
    head = ["", "first that differs", "off by", "allowed", "differ", "furthest of the others"]
    return Table(what(result), head, rows)


def layer_table(result: Result) -> Table:
    """A row a layer in the order of computation: the largest error of each sort, with "!" where it is too large."""
    names = list(result["layers"])
    cells: dict[tuple[str, str], list[Result]] = {}
    for distance in result["distances"]:
        owned = distance["what"] in (GRADIENT, BUFFER)
        name = place(distance["name"], names) or distance["name"] if owned else distance["name"]
        cells.setdefault((name, distance["what"]), []).append(distance)
    rows = []
    for name in [*names, *dict.fromkeys(name for name, _ in cells if name not in names)]:
        row = [name, result["layers"].get(name, "")]
        for what in (OUTPUT, FLOW, GRADIENT, BUFFER):
            found = cells.get((name, what), [])
            mark = " !" if any(distance["beyond"] for distance in found) else ""
            row.append(f"{max(distance['error'] for distance in found):.1e}{mark}" if found else "")
        rows.append(row)
    head = ["layer", "kind", "output", "gradient at it", "of parameters", "statistics"]
    return Table(
        f"{result['model']}: distance from torch's, layer by layer", head, rows, ["! marks what is too far off."]
    )


def _where(first: Result) -> str:
    """The name of a gradient."""
    return first["name"] if first["what"] == GRADIENT else f"at the output of {first['name']}"


def verdict(result: Result) -> str:
    """Whether all layers are torch's, or which is not."""
    distances, first = result["distances"], result["first"]
    if result["agree"]:
        furthest = max(distances, key=lambda distance: distance["error"] / distance["allowed"])
        return (
            f"{what(result)}: all {len(result['layers'])} layers' outputs and all their gradients are torch's; the furthest, the "
            f"{furthest['what']} of {furthest['name']}, is off by {furthest['error']:.0e}, {furthest['allowed']:.0e} is allowed."
        )
    found = []
    if (output := first["outputs"]) is not None:
        kind = result["layers"][output["name"]]
        found.append(f"the first output that differs is that of {output['name']} ({kind}), {_off(output)}")
    if (gradient := first["gradients"]) is not None:
        right = f"; right still at the output of {gradient['after']}" if gradient["after"] else ""
        sake = " (the output may be why)" if output is not None else right
        found.append(f"the first gradient that differs is {_named(gradient)}, {_off(gradient)}{sake}")
    if (buffer := first["buffers"]) is not None and output is None:
        found.append(f"the first running statistic that differs is {buffer['name']}, {_off(buffer)}")
    return f"{what(result)}: {'; '.join(found)}."


def _named(gradient: Result) -> str:
    return f"that of {gradient['name']}" if gradient["what"] == GRADIENT else f"the one {_where(gradient)}"


def _off(distance: Result) -> str:
    return f"off by {distance['error']:.1e} where {distance['allowed']:.1e} is allowed"


def pictures(result: Result) -> dict[str, bytes]:
    """None: the table is enough."""
    return {}
