"""Networks, layers, optimizers and attacks that others wrote for PyTorch, run on minigrad unchanged and compared with torch.

    python tools/strangers.py CHECKOUT [--only WORD] [--json FILE --source OWNER/NAME@COMMIT]
    python tools/strangers.py --report FILES          the table of docs/strangers.md, of such files

Every Python file of a checkout that mentions torch is loaded twice: with torch, and within minigrad.as_torch(). What can be
built of it, by its own defaults or by small settings that are guessed from the names of its arguments, is built in both,
given the same weights, and compared in float64: keys and shapes of the state dict, the outputs, every gradient. A file
**agrees** if something of it was compared and all that was compared is equal to 1e-9; it **loads** if nothing of it could be
built with torch itself; what else goes wrong is printed with its message. docs/strangers.md keeps the counts.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import inspect
import io
import json
import os
import re
import resource
import signal
import sys
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import minigrad as mg
from minigrad import testing
from minigrad.as_torch.loading import AsTorch

LIMIT = 40
"""Seconds for each thing that is built and compared."""
MEMORY = 12 << 30
"""Bytes of address space: a network that is too large by its defaults is left out, and does not take the machine along."""

GUESSES: dict[str, Any] = {
    "image_size": 32, "img_size": 32, "patch_size": 8, "num_classes": 10, "num_class": 10, "class_num": 10, "dim": 32,
    "depth": 2, "heads": 2, "dim_head": 16, "mlp_dim": 64, "channels": 3, "in_channels": 16, "out_channels": 16, "in_planes": 16,
    "inplanes": 16, "planes": 16, "channel": 64, "in_channel": 16, "out_channel": 16, "d_model": 64, "d_k": 16, "d_v": 16,
    "h": 4, "S": 8, "n": 49, "in_dim": 16, "hidden_dim": 32, "num_heads": 2, "num_patches": 16, "window_size": 4,
    "input_channels": 16, "output_channels": 16, "stride": 1, "expansion": 2, "growth_rate": 4, "kernel_size": 3, "inp": 16,
    "oup": 16, "dropout": 0.0, "embed_dim": 32, "input_dim": 16, "output_dim": 16, "num_layers": 1, "in_features": 16,
    "reduction": 4, "ratio": 4, "groups": 2, "cardinality": 2, "bottleneck_width": 4, "num_blocks": [1, 1, 1, 1], "layers": 1,
    "emb_dim": 32, "nhead": 2, "num_tokens": 4, "mlp_ratio": 2, "seq_len": 16, "n_head": 2, "hw": 8, "resolution": 8, "k": 3,
}  # fmt: skip
"""Small settings by the names that arguments often have."""


class TooLong(BaseException):
    """More than LIMIT seconds. No Exception: what tries one input after the other lets it pass."""


@contextlib.contextmanager
def limited(seconds: int = LIMIT) -> Any:
    def stop(number: int, frame: Any) -> None:
        while frame is not None and Path(frame.f_code.co_filename).name != "loading.py":
            frame = frame.f_back
        if frame is not None and frame.f_code.co_name not in ("run", "_import", "exec_module"):
            signal.alarm(1)  # torch's and minigrad's modules are being exchanged
            return
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def load(root: Path, file: Path) -> Any:
    folder, name = testing.package_of(file)
    for known in [k for k, m in sys.modules.items() if str(root) in str(getattr(m, "__file__", "") or "")]:
        del sys.modules[known]
    before = list(sys.path)
    sys.path[:0] = [str(folder), str(root)]
    try:
        return importlib.import_module(name)
    finally:
        sys.path[:] = before


def settings(thing: Any) -> dict[str, Any] | None:
    """Arguments for a class or function: what has no default is guessed; None if one cannot be."""
    found = {}
    for name, p in inspect.signature(thing).parameters.items():
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) or p.default is not p.empty:
            continue
        if name not in GUESSES:
            return None
        found[name] = GUESSES[name]
    return found


def candidates(module: Any, library: Any) -> dict[str, Any]:
    """Names of classes of modules, of functions without required arguments, and of optimizers, of this file's own."""
    found = {}
    for name, thing in vars(module).items():
        if getattr(thing, "__module__", None) != module.__name__ or name.startswith("_"):
            continue
        if inspect.isclass(thing) and (
            issubclass(thing, (library.nn.Module, library.optim.Optimizer)) or is_attack(thing)
        ):
            found[name] = thing
        elif inspect.isfunction(thing) and all(
            p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) or k in ("num_classes", "class_num")
            for k, p in inspect.signature(thing).parameters.items()
        ):
            found[name] = thing
    return found


def is_attack(thing: Any) -> bool:
    """A class whose objects are made of a model, and turn images and labels into images."""
    try:
        first = next(iter(inspect.signature(thing).parameters), None)
    except (TypeError, ValueError):
        return False
    return first in ("model", "predict") and any(hasattr(thing, name) for name in ("forward", "perturb"))


def seeded() -> None:
    torch.manual_seed(0)
    mg.manual_seed(0)
    np.random.seed(0)


def compare_network(ours: Any, theirs: Any) -> str | None:
    """None if the two classes or functions make networks that agree; a message else. LookupError: torch's cannot be tried."""
    given = settings(theirs)
    if given is None:
        raise LookupError("arguments")
    seeded()
    try:
        reference = theirs(**given)
    except Exception as error:
        raise LookupError(str(error)) from None
    if not isinstance(reference, torch.nn.Module):
        raise LookupError("no module")
    reference = reference.double().eval()
    try:
        array, expected = testing.first_run(reference, torch, None)
    except Exception as error:
        raise LookupError(str(error)) from None
    seeded()
    result = testing.Agreement("")
    testing.compare_built(result, ours(**given).double().eval(), reference, array, expected)
    if result.problems:
        return f"differ: {result.problems[0]}"
    return None if result.agree else f"WRONG VALUE {result.worst[0]}: {result.worst[2]:.1e} apart"


def compare_optimizer(ours: Any, theirs: Any) -> str | None:
    """Five steps of both on one small problem."""
    found = []
    for library, kind in ((torch, theirs), (mg, ours)):
        seeded()
        start = np.random.default_rng(0).uniform(-1, 1, (4, 3))
        parameters = [library.nn.Parameter(library.tensor(start)), library.nn.Parameter(library.tensor(start[0]))]
        try:
            optimizer = kind(parameters)
            for _ in range(5):
                optimizer.zero_grad()
                loss = ((parameters[0] * parameters[0] * 1.5).sum(1).exp() + parameters[0] @ parameters[1]).sum()
                loss.backward()
                optimizer.step()
        except Exception as error:
            if library is torch:
                raise LookupError(str(error)) from None
            raise
        found.append([p.detach().numpy() for p in parameters])
    apart = max(np.abs(a - b).max() for a, b in zip(*found, strict=True))
    return None if apart <= testing.TOLERANCE else f"WRONG VALUE after five steps: {apart:.1e} apart"


def compare_attack(ours: Any, theirs: Any) -> str | None:
    """The images that both make of one small network; of an attack that draws random numbers, their shape and range."""
    found = []
    for library, kind in ((torch, theirs), (torch, theirs), (mg, ours)):
        torch.manual_seed(len(found))
        mg.manual_seed(0)
        np.random.seed(0)
        random = np.random.default_rng(0)
        model = library.nn.Sequential(
            library.nn.Conv2d(3, 4, 3), library.nn.Tanh(), library.nn.Flatten(), library.nn.Linear(144, 5)
        )
        with library.no_grad():
            for p in model.parameters():
                p.copy_(library.tensor(random.uniform(-0.3, 0.3, tuple(p.shape))))
        model.eval()
        images = library.tensor(random.uniform(0.1, 0.9, (3, 3, 8, 8))).float()
        try:
            attack = kind(model)
            for name in ("random_start", "rand_init"):
                if hasattr(attack, name):
                    setattr(attack, name, False)
            labels = library.tensor([0, 1, 2])
            made = attack(images, labels) if callable(attack) else attack.perturb(images, labels)
            found.append(made.detach().numpy())
        except Exception as error:
            if library is torch:
                raise LookupError(str(error)) from None
            raise
    if np.array_equal(found[0], found[1]):
        apart = np.abs(found[2] - found[0]).max()
        return None if apart < 1e-4 else f"WRONG VALUE of the images: {apart:.1e} apart"
    if found[2].shape != found[0].shape or not (
        np.isfinite(found[2]).all() and found[2].min() >= -1e-6 and found[2].max() <= 1 + 1e-6
    ):
        return "shapes or range differ"
    return None


def comparison(thing: Any) -> Any:
    """How the two forms of a thing are compared."""
    if inspect.isclass(thing) and issubclass(thing, torch.optim.Optimizer):
        return compare_optimizer
    return compare_attack if inspect.isclass(thing) and is_attack(thing) else compare_network


def judge(root: Path, file: Path, limit: int = LIMIT) -> tuple[str, list[str]]:
    """(verdict, lines): "agrees", "differs", "fails", "loads" or "not torch's"."""
    try:
        with limited():
            theirs = load(root, file)
            theirs_found = candidates(theirs, torch)
    except (Exception, SystemExit, TooLong) as error:
        return "not torch's", [f"torch: {type(error).__name__}: {error}"]
    world = AsTorch()
    try:
        with limited(), world:
            ours = load(root, file)
    except (Exception, SystemExit, TooLong) as error:
        return "fails", [f"import: {line(error)}"]
    compared, problems = 0, []
    for name, thing in theirs_found.items():
        compare = comparison(thing)
        try:
            with limited(limit):
                problem = compare(getattr(ours, name), thing)
        except (LookupError, MemoryError, TooLong) as error:
            if isinstance(error, (KeyError, IndexError)):
                problem = line(error)
            else:
                continue
        except Exception as error:
            problem = line(error)
        compared += 1
        if problem:
            problems.append(f"{name}: {problem}")
    if any("WRONG VALUE" in p or "differ" in p for p in problems):
        return "differs", problems
    return ("fails" if problems else "agrees" if compared else "loads"), problems


def line(error: BaseException) -> str:
    where = traceback.extract_tb(error.__traceback__)
    frame = where[-1] if where else None
    at = f" [{Path(frame.filename).name}:{frame.lineno}]" if frame else ""
    return f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}{at}"


PAGE = Path(__file__).resolve().parent.parent / "docs" / "strangers.md"


def report(files: list[Path]) -> None:
    """Writes the table of docs/strangers.md: a row for each repository, and what went wrong in it, file by file."""
    rows, wrong, total = [], [], Counter()
    for path in files:
        found = json.loads(path.read_text())
        counts = Counter(verdict for verdict, _ in found["files"].values())
        total += counts
        others = counts["fails"] + counts["differs"]
        name, _, commit = found["source"].partition("@")
        rows.append(f"| {name} | {commit[:7]} | {counts['agrees']} | {others} | {counts['loads']} |")
        for file, (verdict, lines) in sorted(found["files"].items()):
            if verdict in ("fails", "differs"):
                wrong.append(f"- {name.split('/')[-1]}, `{file}`: {shortened(lines[0])}")
    tried = total["agrees"] + total["fails"] + total["differs"]
    head = ["| repository | commit | agree | fail or differ | load |", "| --- | --- | ---: | ---: | ---: |"]
    agree, share = total["agrees"], total["agrees"] / max(tried, 1)
    last = f"| **all** | | **{agree} of {tried}: {share:.0%}** | {tried - agree} | {total['loads']} |"
    text = PAGE.read_text()
    before, after = text[: text.index("| repository")], text[text.index("\n## ") :] if "\n## " in text else ""
    PAGE.write_text(before + "\n".join([*head, *rows, last, "", *wrong, ""]) + after)


def shortened(text: str) -> str:
    """A message without the folders of the machine that it was printed on, in one line of the page."""
    text = re.sub(r"/\S*/", "", text)
    return text if len(text) <= 150 else text[:147] + "..."


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, nargs="+", help="a folder; with --report the files of --json")
    parser.add_argument("--report", action="store_true", help="write the table of docs/strangers.md")
    parser.add_argument("--source", default="", help="what the checkout is: OWNER/NAME@COMMIT")
    parser.add_argument("--only", default="", help="files with this word in their path")
    parser.add_argument("--json", type=Path, help="write the verdicts there")
    parser.add_argument("--limit", type=int, default=LIMIT, help="seconds for each thing that is built and compared")
    arguments = parser.parse_args()
    if arguments.report:
        report(arguments.checkout)
        return 0
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    root = arguments.checkout[0].resolve()
    files = [
        f for f in sorted(root.rglob("*.py")) if arguments.only in str(f) and "torch" in f.read_text(errors="ignore")
    ]
    verdicts: dict[str, Any] = {}
    here = os.getcwd()
    for file in files:
        if file.name in ("setup.py", "conftest.py") or file.name.startswith(("test_", "train", "main")):
            continue
        verdict, lines = judge(root, file, arguments.limit)
        os.chdir(here)
        verdicts[str(file.relative_to(root))] = [verdict, lines]
        print(f"{verdict:12} {file.relative_to(root)}", flush=True)
        for text in lines if verdict != "not torch's" else lines[:1]:
            print(f"             {text}", flush=True)
    print(dict(Counter(v for v, _ in verdicts.values())))
    if arguments.json:
        arguments.json.write_text(json.dumps({"source": arguments.source or root.name, "files": verdicts}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
