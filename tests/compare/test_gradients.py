"""python -m compare gradients: it knows every name that has a gradient, and sees an error that is planted."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad
import minigrad.nn.functional
import minigrad.optim
from compare.__main__ import main
from compare.gradients import COMMAND, layers, names, networks, trajectories
from compare.gradients.cases import Case
from compare.gradients.derivatives import FLOOR_32, Outcome, distances
from compare.gradients.measure import Plan, choose, plans
from compare.gradients.row import AGAIN, measure_row
from compare.gradients.show import pictures, tables, verdict
from compare.kit.result import read_result
from compare.kit.tables import as_html, as_markdown, as_text
from minigrad.autograd.observer import Observer
from minigrad.backends import cpu
from minigrad.errors import OptionError


def measured(*arguments: str, folder: Path) -> tuple[int, dict[str, Any]]:
    """The exit code of a run, and its rows by group and name."""
    file = folder / "result.json"
    code = main(["gradients", *arguments, "--json", str(file)])
    return code, {(row["group"], row["name"]): row for row in read_result(file, COMMAND.format)["rows"]}


# -- every name has a row


def test_every_public_name_with_a_gradient_has_cases() -> None:
    """An op that is new has to be in compare/gradients/ops.py, or in names.WITHOUT with the reason."""
    assert [name for name in names.differentiable() if not names.op_cases(name)] == []
    assert len(names.differentiable()) > 400


def test_what_is_listed_is_there() -> None:
    """No case and no exception is of a name that is gone, and none is both."""
    known = names.functions()
    assert [name for name in [*names.WITHOUT, *names.ops.T.by_name] if name not in known] == []
    assert names.WITHOUT.keys() & names.ops.T.by_name.keys() == set()


def test_a_new_op_without_cases_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    functional = minigrad.nn.functional
    monkeypatch.setattr(functional, "twice", lambda x: x * 2, raising=False)
    monkeypatch.setattr(functional, "__all__", [*functional.__all__, "twice"])
    monkeypatch.setattr(minigrad.Tensor, "thrice", lambda x: x * 3, raising=False)
    new = [name for name in names.differentiable() if not names.op_cases(name)]
    assert sorted(new) == ["Tensor.thrice", "nn.functional.twice"]


PASSES_ON = {
    "cuts the tensor off its graph, or says what the graph is to hold",
    "wants a GPU; the tests run it through the stand-in for CuPy",
    "a copy for Python's own use, a leaf",
    "Tensor.to in other words",
    "the tensor itself",
    "draws random numbers, and passes a gradient on: tests/as_torch/test_names.py",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name, reason in names.WITHOUT.items() if reason not in PASSES_ON])
def test_what_has_no_row_has_no_gradient(name: str) -> None:
    """Whatever it takes of these arguments, no tensor with a gradient comes out."""
    function = names.functions()[name]
    function = getattr(function, "fget", function)
    for shape in ((), (3,), (2, 3)):
        for rest in ([], [0.5], [1], [minigrad.ones(*shape)], [minigrad.ones(*shape), 0.5]):
            x = minigrad.rand(*shape).requires_grad_()
            try:
                results = function(x, *rest)
            except Exception:
                continue
            results = results if isinstance(results, (tuple, list)) else [results]
            # What was made in place is made of x; no_grad's `x.requires_grad` is a bool, not a tensor.
            assert not any(r.requires_grad for r in results if isinstance(r, minigrad.Tensor)), name


def test_every_module_loss_optimizer_and_model_has_a_row() -> None:
    planned = {
        group: {plan.name for plan in plans() if plan.group == group}
        for group in ("module", "loss", "optimizer", "model")
    }
    modules = {name for name in minigrad.nn.__all__ if isinstance(getattr(minigrad.nn, name), type)}
    assert planned["module"] | planned["loss"] | names.HOLDERS.keys() == modules - {*minigrad.nn.not_built.__all__}
    optimizers = {name for name in minigrad.optim.__all__ if isinstance(getattr(minigrad.optim, name), type)}
    assert planned["optimizer"] == optimizers - {"Optimizer"}
    assert planned["model"] == set(importlib.import_module("models").MODELS)
    assert all(plan.subjects for plan in plans())


def test_every_fused_op_has_a_row_in_which_it_runs() -> None:
    """The graph of one of its cases holds the op; under `definitions` it does not."""
    for name in names.fused_names():
        graphs = [ops_of(case, name) for case in names.fused_cases(name)]
        assert any(name in fast and name not in slow for fast, slow in graphs), name


def ops_of(case: Case, name: str) -> tuple[set[str], set[str]]:
    """What the ops of a case's graph are known as, on the fast path and on the definitions'."""
    found = []
    for track in ("minigrad", "definition"):
        seen: set[str] = set()

        class Watch(Observer):
            def before_forward(self, node: Any, inputs: Any, seen: set[str] = seen) -> None:
                seen.add(getattr(type(node), "known_as", ""))

        with Watch():
            case.outcome(track, np.float64, 0)
        found.append(seen)
    return found[0], found[1]


# -- an error that is planted is found


def scaled(which: int, factor: float, of: Any) -> Any:
    """A kernel whose result (of several: the one of that number) is off by a factor."""

    def kernel(*args: Any, **kwargs: Any) -> Any:
        results = of(*args, **kwargs)
        if not isinstance(results, tuple):
            return results * factor
        return tuple([r * factor if i == which and r is not None else r for i, r in enumerate(results)])

    return kernel


def in_float16(of: Any) -> Any:
    """A kernel that in float32, and only there, computes with three digits."""

    def kernel(*args: Any, **settings: Any) -> Any:
        y = of(*args, **settings)
        return y if y.dtype == np.float64 else y.astype(np.float16).astype(np.float32)

    return kernel


def later(of: Any) -> Any:
    """AdamW with the bias correction of the next step."""
    return lambda *arrays, step, **settings: of(*arrays, step=step + 1, **settings)


WRONG = "float64, gradient of input 0: off by 0.001"
PLANTED = [
    ("gelu_backward", lambda of: scaled(0, 1.001, of), ("op", "nn.functional.gelu"), WRONG),
    ("gelu_backward", lambda of: scaled(0, 1.001, of), ("fused", "gelu"), WRONG),
    ("layer_norm_backward", lambda of: scaled(1, -1.0, of), ("module", "LayerNorm"), "float64, gradient of input 1: off by 2 "),
    ("max_pool2d", lambda of: scaled(0, 1 + 1e-8, of), ("module", "MaxPool2d"), "float64, output 0: off by 1e-08"),
    ("linear", in_float16, ("op", "nn.functional.linear"), "float32, output 0: off by"),
    ("cross_entropy_backward", lambda of: scaled(0, 1.001, of), ("loss", "CrossEntropyLoss"), WRONG),
    ("cross_entropy_backward", lambda of: scaled(0, 1.001, of), ("model", "simplenet"), WRONG),
    ("adamw_step", later, ("optimizer", "AdamW"), "float64, output 0: off by"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "kernel, wrong, row, why", PLANTED, ids=lambda value: str(value) if isinstance(value, tuple) else ""
)
def test_a_planted_error_fails(
    kernel: str, wrong: Any, row: tuple[str, str], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    group, name = row
    monkeypatch.setattr(cpu, kernel, wrong(getattr(cpu, kernel)))
    code, rows = measured("--group", group, "--only", name, folder=tmp_path)
    assert code == 1 and not rows[row]["agree"]
    assert why in rows[row]["why"], rows[row]["why"]
    printed = capsys.readouterr().out
    assert "WRONG" in printed and printed.rstrip().splitlines()[-1].startswith(
        "1 of 1 rows do not compute what torch does"
    )


def test_a_wrong_definition_fails_in_the_second_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fast path is right: values and plain gradients are; what is differentiated again goes the definition's way."""
    silu = importlib.import_module("minigrad.ops.activation").Silu
    definition = silu.definition
    monkeypatch.setattr(silu, "definition", lambda self, x: definition(self, x) * 1.001)
    row = measure_row("op", "nn.functional.silu", names.op_cases("nn.functional.silu"), range(2))
    assert row["float64"]["value"] < 1e-14 and row["float64"]["second"] > 1e-4
    assert "recorded gradient of input 0" in row["why"]
    assert not measure_row("fused", "silu", names.fused_cases("silu"), range(1), "definition")["agree"]


def test_an_error_of_one_row_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **settings: Any) -> Any:
        raise RuntimeError("a kernel\nthat fails")

    monkeypatch.setattr(cpu, "gelu", broken)
    code, rows = measured("--only", "gelu", "--only", "nn.functional.silu", folder=tmp_path)
    assert code == 1 and rows["op", "nn.functional.silu"]["agree"]
    assert "RuntimeError: a kernel that fails" in rows["op", "nn.functional.gelu"]["why"]


def test_float32_is_judged_over_several_draws() -> None:
    """Three times torch's error on every draw is too much; on one that torch hit by luck it is not."""

    class Subject:
        note, single = None, True

        def __init__(self, ours: list[float], theirs: list[float]) -> None:
            self.errors, self.runs = {"minigrad": ours, "torch": theirs}, 0

        def outcome(self, track: str, dtype: Any, seed: int) -> Outcome:
            self.runs += dtype == np.float32 and track == "minigrad"
            error = 0.0 if dtype == np.float64 else self.errors[track][seed % 2]
            return Outcome([np.array([1.0 + error], dtype)], [], [])

    unlucky = Subject([3e-6, 3e-6], [1e-6, 3e-6])
    row = measure_row("op", "x", [unlucky], range(2))
    assert row["agree"] and row["float32"]["value"] == pytest.approx([3e-6, 5**0.5 * 1e-6], rel=0.05)
    assert unlucky.runs == 2
    wrong = Subject([6e-6, 6e-6], [2e-6, 2e-6])
    row = measure_row("op", "x", [wrong], range(2))
    assert not row["agree"] and "float32, output 0: off by 6e-06" in row["why"]
    assert wrong.runs == 2 * AGAIN


def test_absent_gradients_are_zeros_and_nan_is_noticed() -> None:
    def one(ours: Any, theirs: Any, exact: Any = None) -> Any:
        outcomes = [Outcome([], [x], []) for x in (ours, theirs)]
        return next(iter(distances(*outcomes, None if exact is None else Outcome([], [exact], []))))

    assert one(None, np.zeros(3)).fine and one(np.zeros(3), None).fine
    assert not one(None, np.ones(3)).fine and not one(np.ones(3), None).fine
    assert "NaN" in one(np.array([1.0, np.nan]), np.ones(2)).problem
    assert "shape" in one(np.ones(2), np.ones((2, 1))).problem
    assert "float32" in one(np.ones(2, np.float32), np.ones(2)).problem
    single = one(*[np.array([1.0 + e], np.float32) for e in (1e-6, 0)], np.ones(1))
    assert single.allowed == FLOOR_32 and not single.fine


# -- the command


def test_a_part_of_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, rows = measured("--only", "softmax", "--only", "Adagrad", folder=tmp_path)
    assert code == 0
    groups = {group for group, _ in rows}
    assert groups == {"op", "fused", "module", "optimizer"} and ("op", "special.softmax") in rows
    row = rows["op", "nn.functional.softmax"]
    assert set(row) == {"group", "name", "cases", "float64", "float32", "agree", "why", "note", "seconds"}
    assert all(0 < row["float64"][part] < 1e-13 for part in ("value", "first", "second"))
    assert all(0 < error < 1e-5 for pair in row["float32"].values() for error in pair)
    assert rows["optimizer", "Adagrad"]["float64"] == {
        "value": pytest.approx(0, abs=1e-13),
        "first": None,
        "second": None,
    }
    assert "compute what torch does" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_figures(tmp_path: Path) -> None:
    results = []
    for seed in ("3", "3", "4"):
        _, rows = measured("--only", "nn.functional.silu", "--seed", seed, folder=tmp_path)
        results.append([{k: v for k, v in row.items() if k != "seconds"} for row in rows.values()])
    assert results[0] == results[1] != results[2]


def test_tables_picture_and_verdict_of_a_file(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    measured("--only", "gelu", "--only", "hardsigmoid", "--only", "Adadelta", folder=tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    summary, *groups = tables(result)
    assert [table.title for table in groups] == [
        "functions and methods", "fused ops, against their definitions", "modules", "optimizers, the weights over fifty steps",
    ]  # fmt: skip
    assert len(summary.rows) == len(groups)
    assert any("torch's own has float32's sixth" in note for note in groups[0].notes)
    for table in [summary, *groups]:
        assert all(len(row) <= len(table.head) for row in table.rows)
        assert as_text(table) and as_markdown(table) and as_html(table)
    assert verdict(result).startswith(f"All {len(result['rows'])} rows")
    (picture,) = pictures(result).values()
    assert picture.startswith(b"\x89PNG")
    result["rows"][0] |= {"agree": False, "why": "something"}
    assert verdict(result).startswith("1 of ") and tables(result)[0].rows == [[result["rows"][0]["name"], "something"]]


def test_what_matches() -> None:
    every = [
        Plan("op", "nn.functional.gelu", []),
        Plan("module", "GELU", []),
        Plan("op", "conv2d", []),
        Plan("model", "vit", []),
    ]

    def chosen(groups: Any, *patterns: str) -> list[str]:
        return [plan.name for plan in choose(every, groups, patterns)]

    assert chosen(None, "gelu") == ["nn.functional.gelu", "GELU"]
    assert chosen(["op"], "gelu") == ["nn.functional.gelu"]
    assert chosen(None, "nn.functional.*", "conv?d") == ["nn.functional.gelu", "conv2d"]
    assert chosen(["model"]) == ["vit"] and len(chosen(None)) == 4
    with pytest.raises(OptionError, match="--only con2d: no row is called so; near it are conv2d"):
        choose(every, None, ["gelu", "con2d"])
    with pytest.raises(OptionError, match="--only zzz: .*the groups are op, fused, module"):
        choose(every, None, ["zzz"])


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--only", "con2d"], "near it are conv2d"),
        (["--group", "ops"], "invalid choice: 'ops'"),
        (["--seed", "-1"], "a whole number from 0"),
        (["--json", "nowhere/result.json"], "no file can be written there"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gradients", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_file_of_something_else_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "result.json"
    file.write_text('{"format": "compare speed 2"}')
    assert main(["gradients", "--only", "relu", "--json", str(file)]) == 2
    assert file.read_text() == '{"format": "compare speed 2"}' and "nothing was overwritten" in capsys.readouterr().err


def test_without_torch_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("compare.kit.arguments.find_spec", lambda name: None)
    assert main(["gradients"]) == 2
    assert "pip install" in capsys.readouterr().err


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gradients", "--list", "--group", "model"]) == 0
    assert capsys.readouterr().out.split() == [word for name in networks.MODELS for word in ("model", name)]


def test_the_tables_of_cases_say_what_they_are() -> None:
    """Each case prints as a call; names of cases are those of their rows."""
    for table in (layers.LAYERS, layers.LOSSES, trajectories.OPTIMIZERS, networks.MODELS):
        assert all(str(case).startswith(name) for name, cases in table.items() for case in cases)
    assert str(names.op_cases("nn.functional.gelu")[1]) == "nn.functional.gelu((3, 4, 5), approximate=tanh)"
