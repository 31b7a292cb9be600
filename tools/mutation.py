"""How many errors in the source of the gradients would the tests see? Make them, one at a time, and count.

    python tools/mutation.py [--limit N] [--minutes M] [--seed S] [--only FILE] [--jobs 2]

A **mutant** is the source with one node of its syntax tree changed, inside a function that computes gradients: `backward`,
`gx`, `gy`, `gradient`, `backward_arrays`, `differentiate` and `definition` of every op, and the functions that only they
call. It is **caught** if a test that passes without it fails with it (or does not come to an end).

The committed tree is copied to a temporary folder; nothing is changed in place. One process imports the copy, torch and the
tests. A first child runs all tests once and notes which of them reach which statement. Then each mutant has a child of its
own, forked from the warm process: it puts the mutated code into the function, and runs the tests that reach the mutated
statement, the quick ones first, until one fails. All on the CPU.

The result is written to docs/mutation.md, unless it is of one file only. The exit code is 1 if fewer than 95 % of the
mutants are caught.
Source: R. DeMillo, R. Lipton, F. Sayward, Hints on Test Data Selection (1978).
"""

from __future__ import annotations
import __future__

import argparse
import ast
import builtins
import copy
import datetime
import gc
import importlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TESTS = ["tests/ops", "tests/autograd", "tests/engine", "tests/nn", "tests/properties"]
GRADIENTS = {"backward", "gx", "gy", "backward_arrays", "differentiate", "definition", "gradient"}
ADJOINTS = {"sum_to", "spread"}
"""Helpers of gradients that are of use elsewhere too."""
ENOUGH = 0.95
BUDGET = 5.0
"""Seconds of tests (as measured without a mutant) that a mutant is put through before it counts as a survivor."""
LIMIT = 90
"""Seconds after which a mutant counts as one that does not come to an end."""
MEMORY = 12 << 30
"""Bytes of address space, so that a mutant which asks for an absurd array fails."""

MORE_PADDING = "more padding than the windows reach, which they do not see"

EQUIVALENT: dict[tuple[str, str], str] = {
    ("sum_to", "True -> False"): "a reshape follows, which drops the kept axes or not",
    (
        "ZeroGradient.backward",
        "return sum_to(zeros_like(gz), self.shape) -> return -sum_to(zeros_like(gz), self.shape)",
    ): "-0",
    ("Pow.gy", "x > 0 -> x >= 0"): "x = 0 was dealt with before",
    ("Pow.gy", "self.output * float('nan') -> self.output / float('nan')"): "both are NaN",
    ("Pow.gy", "self.output * float('nan') -> float('nan')"): "both are NaN",
    ("ScaledDotProductAttention.definition", "-2 -> 2"): "of four axes, axis -2 is axis 2",
    ("ScaledDotProductAttention.definition", "0.0 -> 1.0"): "any number will do: what comes of it is thrown away",
    ("CrossEntropy.definition", "0 -> 1"): "any class will do: the row's loss is thrown away",
    ("_sum_to_value", "extra > 0 -> extra >= 0"): "with as many axes, the reshape changes nothing",
    ("Softmax.definition", "return x.exp() -> return -x.exp()"): "of an empty tensor",
    ("Softmax.definition", "x.exp() -> x"): "of an empty tensor",
    (
        "MaxPool2d.definition bottom =",
        "(height - 1) * sh + dh * (kh - 1) + 1 - h - ph -> (height - 1) * sh + dh * (kh - 1) + 1 - h + ph",
    ): MORE_PADDING,
    (
        "MaxPool2d.definition bottom =",
        "(height - 1) * sh + dh * (kh - 1) + 1 - h -> (height - 1) * sh + dh * (kh - 1) + 1 + h",
    ): MORE_PADDING,
    ("MaxPool2d.definition bottom =", "height - 1 -> height + 1"): MORE_PADDING,
    ("MaxPool2d.definition bottom =", "kh - 1 -> kh + 1"): MORE_PADDING,
    ("MaxPool2d.definition bottom =", "1 -> 2"): MORE_PADDING,
    ("MaxPool2d.definition bottom =", "0 -> 1"): MORE_PADDING,
    (
        "MaxPool2d.definition right =",
        "(width - 1) * sw + dw * (kw - 1) + 1 - w - pw -> (width - 1) * sw + dw * (kw - 1) + 1 - w + pw",
    ): MORE_PADDING,
    (
        "MaxPool2d.definition right =",
        "(width - 1) * sw + dw * (kw - 1) + 1 - w -> (width - 1) * sw + dw * (kw - 1) + 1 + w",
    ): MORE_PADDING,
    ("MaxPool2d.definition right =", "width - 1 -> width + 1"): MORE_PADDING,
    ("MaxPool2d.definition right =", "kw - 1 -> kw + 1"): MORE_PADDING,
    ("MaxPool2d.definition right =", "1 -> 2"): MORE_PADDING,
    ("MaxPool2d.definition right =", "0 -> 1"): MORE_PADDING,
    ("GroupNorm.backward_arrays", "False -> True"): "computes what nobody looks at",
}
"""Survivors that change nothing that could be seen: {(function, "before -> after"): the reason}, the function with the
beginning of the statement behind it where that matters. Rules, where there is one, are in `alternatives` and `harmless`."""


# -- mutants -----------------------------------------------------------------------------------------------------------

NEIGHBOURS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
DROPPED_METHODS = {"abs", "exp", "log", "masked_fill", "sign", "sqrt", "sum", "sum_to"}
NO_MATTER = {"strict", "copy", "order", "dtype"}  # keyword arguments: checks, copies and layouts, no numbers


@dataclass
class Site:
    """One mutant: in `function` of `file`, the node at `place` of its parent replaced."""

    file: str
    function: str
    line: int
    statement: int  # the id of the statement it lies in
    within: str  # that statement
    before: str
    after: str
    parent: ast.AST
    place: tuple[str, int | None]
    replacement: Any

    def apply(self) -> None:
        """Changes the tree."""
        name, i = self.place
        if i is None:
            setattr(self.parent, name, self.replacement)
        else:
            getattr(self.parent, name)[i] = self.replacement

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.function}: `{self.before}` -> `{self.after}`"


def alternatives(node: ast.AST, parent: ast.AST, role: str) -> Iterator[ast.AST]:
    """What could stand in this node's place by mistake. role: the name of the function's kind."""
    match node:
        case ast.BinOp(left, op, right):
            if type(op) in NEIGHBOURS:
                yield ast.BinOp(left, NEIGHBOURS[type(op)](), right)
            if isinstance(op, (ast.Mult, ast.Div, ast.Pow, ast.BitAnd, ast.BitOr)):
                yield left
            if isinstance(op, (ast.Mult, ast.BitAnd, ast.BitOr)):
                yield right
        case ast.UnaryOp(ast.USub() | ast.Not() | ast.Invert(), operand):
            yield operand
        case ast.Compare(left, [op], others) if type(op) in NEIGHBOURS:
            yield ast.Compare(left, [NEIGHBOURS[type(op)]()], others)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(NEIGHBOURS[type(op)](), values)
        case ast.AugAssign(target, op, value) if type(op) in NEIGHBOURS:
            yield ast.AugAssign(target, NEIGHBOURS[type(op)](), value)
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value)) if not isinstance(parent, ast.UnaryOp):  # of -1, the sign's mutant will do
            # The only saved inputs there are, mostly, are 0 and 1: exchanged.
            saved = isinstance(parent, ast.Subscript) and isinstance(parent.value, ast.Attribute)
            yield ast.Constant(1 - value if saved and value in (0, 1) else value + 1)
        case ast.Constant(float(value)):
            yield ast.Constant(value + (0.5 if value == 0.5 else 1.0))
        case ast.IfExp(test, body, orelse):
            if not isinstance(test, ast.Compare | ast.BoolOp):  # those have mutants of their own
                yield ast.IfExp(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.Assign([ast.Tuple(elts)], ast.Attribute(attr="inputs" | "arrays" | "needs")) if len(elts) > 1:
            swapped = [elts[1], elts[0], *elts[2:]]
            yield ast.Assign([ast.Tuple(swapped, ast.Store())], node.value)
        case ast.Attribute(value, "mT" | "T", ast.Load()):
            yield value
        case ast.Call(ast.Name("sum_to"), [gradient, *_]):
            yield gradient
        case ast.Call(ast.Name("where"), [condition, x, y]):
            yield ast.Call(node.func, [condition, y, x], [])
        case ast.Call(ast.Attribute(value, "movedim"), [source, destination]):
            yield ast.Call(node.func, [destination, source], [])
        case ast.Call(ast.Attribute(value, name)) if name in DROPPED_METHODS and text(value) not in ("xp", "np"):
            yield value
        case ast.Return(value) if value is not None:
            results = value.elts if isinstance(value, ast.Tuple) else [value]
            for i, result in enumerate(results):
                if not isinstance(result, ast.Constant):
                    changes = [ast.UnaryOp(ast.USub(), result)] if role != "helper" else []
                    if role not in ("helper", "definition"):
                        changes.append(ast.Constant(None))
                    for changed in changes:
                        if isinstance(value, ast.Tuple):
                            yield ast.Return(ast.Tuple([*results[:i], changed, *results[i + 1 :]], ast.Load()))
                        else:
                            yield ast.Return(changed)
    if isinstance(node, ast.If | ast.While) and not isinstance(node.test, ast.Compare | ast.BoolOp | ast.UnaryOp):
        changed = copy.copy(node)
        changed.test = ast.UnaryOp(ast.Not(), node.test)
        yield changed


def harmless(node: ast.AST) -> bool:
    """Whether what lies below only serves messages, checks or types."""
    if isinstance(node, ast.If):  # if ...: raise ...
        return not node.orelse and all(isinstance(s, ast.Raise) for s in node.body)
    if isinstance(node, ast.keyword):
        return node.arg in NO_MATTER
    if isinstance(node, ast.Subscript) and isinstance(
        node.value, ast.Tuple
    ):  # (*self.asked_for, False)[:3]: made long enough
        return any(isinstance(element, ast.Starred) for element in node.value.elts)
    return isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr | ast.arguments | ast.Import | ast.ImportFrom)


@dataclass
class Target:
    """A function that computes gradients: its tree, and its statements' ids."""

    file: str
    name: str
    tree: ast.FunctionDef
    statements: dict[int, ast.stmt] = field(default_factory=dict)

    def sites(self) -> Iterator[Site]:
        """All mutants of this function."""
        kind = self.name.split(".")[-1]
        role = kind if kind in GRADIENTS else "helper"
        ids = {id(s): n for n, s in self.statements.items()}

        def walk(node: ast.AST, statement: int | None) -> Iterator[Site]:
            for name, value in ast.iter_fields(node):
                several = isinstance(value, list)
                for i, child in enumerate(value if several else [value]):
                    if not isinstance(child, ast.AST) or harmless(child):
                        continue
                    if name in ("annotation", "returns", "decorator_list"):
                        continue
                    inside = ids.get(id(child), statement)
                    if inside is not None:
                        for replacement in alternatives(child, node, role):
                            ast.copy_location(replacement, child)
                            ast.fix_missing_locations(replacement)
                            yield Site(self.file, self.name, child.lineno, inside, text(self.statements[inside]), text(child),
                                       text(replacement), node, (name, i if several else None), replacement)  # fmt: skip
                    yield from walk(child, inside)

        yield from walk(self.tree, None)


def excuse(site: Site) -> str | None:
    """Why this mutant cannot be seen, if it cannot."""
    for (where, mutation), reason in EQUIVALENT.items():
        function, _, beginning = where.partition(" ")
        if (
            function == site.function
            and mutation == f"{site.before} -> {site.after}"
            and site.within.startswith(beginning)
        ):
            return reason
    return None


def text(node: ast.AST) -> str:
    """A node as one short line of source; of a compound statement, its first."""
    return ast.unparse(node).split("\n")[0].replace("|", "\\|")


# -- which functions ----------------------------------------------------------------------------------------------------


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """The functions and methods of a module, by name."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for child in node.body:
                if isinstance(child, ast.FunctionDef):
                    yield f"{node.name}.{child.name}", child


def names_in(node: ast.AST) -> Counter[str]:
    """How often each name is read within."""
    found: Counter[str] = Counter()
    for child in ast.walk(node):
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load):
            found[child.id] += 1
        elif isinstance(child, ast.Attribute):
            found[child.attr] += 1
    return found


def published(tree: ast.Module) -> Counter[str]:
    """The names that a module outside of ops/ imports, or lists as strings: what users call is no mere helper."""
    found: Counter[str] = Counter()
    docstrings = {id(child.value) for child in ast.walk(tree) if isinstance(child, ast.Expr)}
    for child in ast.walk(tree):
        if isinstance(child, ast.alias):
            found[child.name] += 1
        elif isinstance(child, ast.Constant) and isinstance(child.value, str) and id(child) not in docstrings:
            found.update(child.value.split())
    return found


def targets(root: Path) -> list[Target]:
    """The functions that compute gradients or serve those alone."""
    trees = {str(p.relative_to(root)): ast.parse(p.read_text()) for p in sorted((root / "minigrad").rglob("*.py"))}
    everywhere: Counter[str] = Counter()
    for file, tree in trees.items():
        everywhere += names_in(tree)
        if not file.startswith("minigrad/ops/"):
            everywhere += published(tree)
    mine = [
        f
        for f in trees
        if f.startswith("minigrad/ops/") or f in ("minigrad/op.py", "minigrad/fused.py", "minigrad/inplace.py")
    ]
    candidates = [(f, name, node) for f in mine for name, node in functions(trees[f])]
    chosen = {(f, name) for f, name, _ in candidates if name.split(".")[-1] in (GRADIENTS if "." in name else ADJOINTS)}
    while True:
        inside: Counter[str] = Counter()
        for f, name, node in candidates:
            if (f, name) in chosen:
                inside += names_in(node)
        more = {
            (f, name)
            for f, name, _ in candidates
            if (short := name.split(".")[-1]) in inside
            and inside[short] == everywhere[short]
            and not short.startswith("__")
        } - chosen
        if not more:
            break
        chosen |= more
    found, count = [], 0
    for f, name, node in candidates:
        if (f, name) not in chosen or _abstract(node):
            continue
        target = Target(f, name, node)
        for child in ast.walk(node):
            if isinstance(child, ast.stmt) and child is not node:
                target.statements[count] = child
                count += 1
        found.append(target)
    return found


def _abstract(node: ast.FunctionDef) -> bool:
    """Whether the body is a docstring and `raise NotImplementedError`."""
    return all(
        isinstance(s, ast.Raise) or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)) for s in node.body
    )


# -- putting code into functions ----------------------------------------------------------------------------------------


def install(targets: list[Target]) -> None:
    """Gives the functions of the imported modules the code that the trees have for them.

    The code goes into the functions that are there, so that everything that holds them (subclasses, other modules) runs it.
    """
    for target in targets:
        holder: Any = importlib.import_module(target.file.removesuffix(".py").replace("/", "."))
        path = holder.__file__
        tree: ast.stmt = target.tree
        *classes, name = target.name.split(".")
        for part in classes:  # around the method, so that super() finds its class
            holder = getattr(holder, part)
            tree = ast.ClassDef(part, [], [], [tree], [])
        module = ast.fix_missing_locations(ast.Module([tree], []))
        code = compile(module, path, "exec", flags=__future__.annotations.compiler_flag, dont_inherit=True)
        for part in [*classes, name]:
            code = next(c for c in code.co_consts if hasattr(c, "co_name") and c.co_name == part)
        held = vars(holder)[name]
        function = held.fget if isinstance(held, property) else getattr(held, "__func__", held)
        function.__code__ = code


def close_over_class(target: Target) -> None:
    """Keeps `__class__`, which super() needs, in the function even where a mutant drops super(): code must fit its function."""
    if any(isinstance(n, ast.Name) and n.id == "super" for n in ast.walk(target.tree)):
        target.tree.body.append(ast.parse("if 0:\n    __class__").body[0])


def watch(target: Target) -> None:
    """Writes a call before each statement that notes that it was reached."""
    ids = {id(s): n for n, s in target.statements.items()}
    for node in list(ast.walk(target.tree)):
        for name in ("body", "orelse", "finalbody"):
            statements = getattr(node, name, None)
            if isinstance(statements, list) and statements and isinstance(statements[0], ast.stmt):
                noted = []
                for s in statements:
                    if id(s) in ids:
                        noted += ast.parse(f"__reached__({ids[id(s)]})").body
                    noted.append(s)
                setattr(node, name, noted)


# -- running ------------------------------------------------------------------------------------------------------------


class Runner:
    """A pytest plugin: in place of running the tests once, runs them against the mutants."""

    def __init__(self, root: Path, options: argparse.Namespace) -> None:
        self.root, self.options = root, options
        self.survivors: list[tuple[Site, int]] = []
        self.timeouts: list[Site] = []
        self.caught: list[Site] = []
        self.equivalent: list[tuple[Site, str]] = []
        self.broken: list[str] = []

    def pytest_runtestloop(self, session: Any) -> bool:
        """pytest's hook: the tests are collected."""
        import minigrad

        assert Path(minigrad.__file__).is_relative_to(self.root), "tests must see the copy, not the original"
        self.items = session.items
        self.targets = targets(self.root)
        for target in self.targets:
            close_over_class(target)
        began = time.time()
        reached, self.durations, failed = self._baseline()
        self.broken = [self.items[i].nodeid for i in failed]
        print(f"{len(self.items)} tests in {time.time() - began:.0f} s, {len(failed)} of them fail without mutants")
        self.tests: dict[int, list[int]] = {
            s: sorted((t for t in tests if t not in failed), key=lambda t: self.durations[t])
            for s, tests in reached.items()
        }
        print(*self.broken, sep="\n")
        gc.freeze()
        sites = [site for target in self.targets for site in target.sites()]
        print(f"{len(sites)} mutants of {len(self.targets)} functions")
        if self.options.only:
            sites = [s for s in sites if s.file.endswith(self.options.only)]
        self.total = len(sites)
        random.Random(self.options.seed).shuffle(sites)  # so that those of a run that is cut short are a fair sample
        sites = sites[: self.options.limit]
        self._mutate(sites)
        return True

    def _fork(self, work: Any) -> tuple[int, int]:
        """Runs `work`, which returns something for json, in a child. Returns its process id and where to read the result."""
        read, write = os.pipe()
        sys.stdout.flush()
        child = os.fork()
        if child:
            os.close(write)
            return child, read
        try:
            os.close(read)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1), os.dup2(nowhere, 2)
            with open(write, "w") as result:
                json.dump(work(), result)
        finally:
            os._exit(0)

    def _run(self, i: int, following: int | None = None) -> bool:
        """Whether test i passes. `following` is the test after it, for which fixtures are kept."""
        from _pytest.runner import runtestprotocol

        following_item = None if following is None else self.items[following]
        return not any(report.failed for report in runtestprotocol(self.items[i], nextitem=following_item, log=False))

    def _baseline(self) -> tuple[dict[int, list[int]], list[float], list[int]]:
        """Which tests reach each statement; how long each test takes; which fail."""

        def work() -> Any:
            reached: dict[int, list[int]] = defaultdict(list)
            seen: set[int] = set()
            builtins.__reached__ = seen.add  # type: ignore[attr-defined]
            for target in self.targets:
                watch(target)
            install(self.targets)
            durations, failed = [], []
            for i in range(len(self.items)):
                seen.clear()
                began = time.perf_counter()
                if not self._run(i, i + 1 if i + 1 < len(self.items) else None):
                    failed.append(i)
                durations.append(time.perf_counter() - began)
                for s in seen:
                    reached[s].append(i)
            return [reached, durations, failed]

        child, read = self._fork(work)
        with open(read) as result:
            reached, durations, failed = json.load(result)
        os.waitpid(child, 0)
        return {int(s): tests for s, tests in reached.items()}, durations, failed

    def _mutate(self, sites: list[Site]) -> None:
        """Sorts the mutants into caught, survivors and equivalent ones; several children at a time."""
        killers: dict[str, list[int]] = defaultdict(list)  # tests that caught mutants of a function: tried first
        running: dict[int, tuple[Site, int, float, int]] = {}
        waiting = list(reversed(sites))
        began = time.time()
        while waiting or running:
            if self.options.minutes and time.time() - began > 60 * self.options.minutes:
                waiting.clear()
            while waiting and len(running) < self.options.jobs:
                site = waiting.pop()
                plan = self._plan(site, killers[site.function])
                child, read = self._fork(lambda site=site, plan=plan: self._attack(site, plan))
                running[child] = site, read, time.time(), len(plan)
            for child, (site, read, since, planned) in list(running.items()):
                done, _ = os.waitpid(child, os.WNOHANG)
                late = not done and time.time() - since > LIMIT
                if late:
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
                if done or late:
                    with open(read) as result:
                        said = result.read()
                    del running[child]
                    self._note(site, planned, "late" if late else json.loads(said) if said else "died", killers)
                    count = len(self.caught) + len(self.survivors) + len(self.equivalent)
                    if count % 100 == 0:
                        print(f"{count} of {len(sites)} mutants, {len(self.survivors)} survive, {time.time() - began:.0f} s",
                              flush=True)  # fmt: skip
            time.sleep(0.002)

    def _plan(self, site: Site, killers: list[int]) -> list[int]:
        """The tests to run against a mutant."""
        tests = self.tests.get(site.statement, [])
        known = set(tests)
        first = [t for t in killers if t in known][:5]
        plan, spent = list(first), 0.0
        for t in tests:
            if spent > BUDGET:
                break
            if t not in first:
                plan.append(t)
                spent += self.durations[t]
        return plan

    def _attack(self, site: Site, plan: list[int]) -> Any:
        """In a child: the test that fails, or None."""
        import resource

        gc.disable()  # a mutant lives for a second, and what was there before it is large
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        site.apply()
        install([next(t for t in self.targets if (t.file, t.name) == (site.file, site.function))])
        for i in plan:
            if not self._run(i):
                return i
        return None

    def _note(self, site: Site, planned: int, outcome: Any, killers: dict[str, list[int]]) -> None:
        if outcome is None and (reason := excuse(site)):
            self.equivalent.append((site, reason))
            return
        if outcome is None:
            self.survivors.append((site, planned))
            print(f"  survives {planned} tests: {site}", flush=True)
            return
        self.caught.append(site)
        if isinstance(outcome, int):
            row = killers[site.function]
            if outcome in row:
                row.remove(outcome)
            row.insert(0, outcome)
        else:
            self.timeouts.append(site)
            print(f"  {outcome}: {site}", flush=True)


# -- the report ---------------------------------------------------------------------------------------------------------


def report(runner: Runner, commit: str, seconds: float, command: str) -> str:
    """The page docs/mutation.md."""
    caught, survived = Counter(s.file for s in runner.caught), Counter(s.file for s, _ in runner.survivors)
    total, alive = len(runner.caught) + len(runner.survivors), len(runner.survivors)
    tried = total + len(runner.equivalent)
    sample = (
        "" if tried == runner.total else f"This is a random sample: {tried} of all {runner.total} mutants were tried. "
    )
    lines = [
        "# Do the tests see errors in the gradients?",
        "",
        "Generated by `tools/mutation.py`, which says what a mutant is; do not edit.",
        "",
        f"**{len(runner.caught)} of {total} mutants are caught: {len(runner.caught) / max(total, 1):.1%}** "
        f"({len(runner.timeouts)} of them by not coming to an end), in {len(runner.targets)} functions that compute gradients, "
        f"by {len(runner.items)} tests on the CPU.",
        "",
        f"{sample}Command `{command}`, {datetime.date.today()}, commit {commit}, {seconds / 60:.0f} minutes.",
        "",
        "| file | mutants | caught |",
        "| --- | ---: | ---: |",
    ]
    for file in sorted(caught.keys() | survived.keys()):
        lines.append(f"| {file} | {caught[file] + survived[file]} | {caught[file]} |")
    lines += [
        "",
        f"## Survivors: {alive}",
        "",
        "| where | function | mutation | tests run |",
        "| --- | --- | --- | ---: |",
    ]
    for site, tests in sorted(runner.survivors, key=lambda row: (row[0].file, row[0].line)):
        lines.append(f"| {site.file}:{site.line} | {site.function} | `{site.before}` to `{site.after}` | {tests} |")
    if runner.equivalent:
        lines += ["", "## Not counted: mutants that change nothing that could be seen", "",
                  "| where | function | mutation | why |", "| --- | --- | --- | --- |"]  # fmt: skip
        for site, reason in runner.equivalent:
            lines.append(
                f"| {site.file}:{site.line} | {site.function} | `{site.before}` to `{site.after}` | {reason} |"
            )
    if runner.broken:
        lines += [
            "",
            "## Tests left out, since they fail without a mutant",
            "",
            *(f"- {name}" for name in runner.broken),
        ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Parses the command line, copies the tree, runs, reports."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--limit", type=int, help="a random sample of so many mutants")
    parser.add_argument("--minutes", type=float, help="a random sample of as many mutants as can be tried in that time")
    parser.add_argument("--seed", type=int, default=0, help="which sample")
    parser.add_argument("--only", help="mutants of one file, such as loss.py (writes no page)")
    parser.add_argument("--jobs", type=int, default=2, help="children at a time")
    options = parser.parse_args()

    def git(*words: str) -> bytes:
        return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True).stdout

    commit = git("rev-parse", "--short", "HEAD").decode().strip()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # before anything is imported: threads do not survive a fork
    began = time.time()
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        root = Path(folder).resolve()
        with tarfile.open(fileobj=io.BytesIO(git("archive", commit))) as archive:
            archive.extractall(root, filter="data")
        os.chdir(root)
        sys.path.insert(0, str(root))
        sys.dont_write_bytecode = True
        import pytest

        runner = Runner(root, options)
        where = [t for t in TESTS if (root / t).is_dir()]
        pytest.main(
            ["-q", "-s", "--tb=native", "-p", "no:cacheprovider", "-m", "not gpu and not slow", *where],
            plugins=[runner],
        )
        os.chdir(ROOT)
    total = len(runner.caught) + len(runner.survivors)
    if not total:
        print("no mutants were run")
        return 1
    print(f"{len(runner.caught)} of {total} mutants caught, {len(runner.caught) / total:.1%}")
    if not options.only:
        page = report(runner, commit, time.time() - began, " ".join(["python tools/mutation.py", *sys.argv[1:]]))
        (ROOT / "docs" / "mutation.md").write_text(page)
    return 0 if len(runner.caught) >= ENOUGH * total else 1


if __name__ == "__main__":
    sys.exit(main())
