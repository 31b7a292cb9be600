"""Networks, layers and optimizers that others wrote for PyTorch, run on minigrad unchanged and compared with torch.

    python tools/strangers.py CHECKOUT [--only WORD] [--json FILE]

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
from minigrad.as_torch.loading import AsTorch

LIMIT = 40
"""Seconds for each thing that is built and compared."""
TOLERANCE = 1e-9

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

INPUTS = [
    (2, 3, 32, 32), (2, 64, 7, 7), (2, 16, 8, 8), (2, 49, 64), (2, 16, 32), (2, 32), (2, 16), (2, 3, 64, 64), (2, 1, 28, 28),
    (2, 512, 7, 7), (2, 49, 512), (2, 50, 512), (2, 3, 224, 224), (2, 1, 32, 32), (2, 32, 8, 8), (1, 3, 256, 256), (2, 3, 299, 299),
]  # fmt: skip
"""Shapes that are tried, until torch takes one."""


class TooLong(Exception):
    """More than LIMIT seconds."""


@contextlib.contextmanager
def limited(seconds: int = LIMIT) -> Any:
    def stop(*args: Any) -> None:
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


def module_name(root: Path, file: Path) -> tuple[Path, str]:
    """(folder for sys.path, dotted name): the path from the outermost folder that is no package."""
    folder, parts = file.parent, [file.stem]
    while (folder / "__init__.py").exists() and folder != root:
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(parts)


def load(root: Path, file: Path) -> Any:
    folder, name = module_name(root, file)
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
        if inspect.isclass(thing) and issubclass(thing, (library.nn.Module, library.optim.Optimizer)):
            found[name] = thing
        elif inspect.isfunction(thing) and all(
            p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) or k in ("num_classes", "class_num")
            for k, p in inspect.signature(thing).parameters.items()
        ):
            found[name] = thing
    return found


def seeded() -> None:
    torch.manual_seed(0)
    mg.manual_seed(0)
    np.random.seed(0)


def run_network(model: Any, library: Any, array: np.ndarray) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    x = library.tensor(array, requires_grad=True)
    outputs = [y for y in flat(model(x)) if isinstance(y, library.Tensor) and y.requires_grad]
    if not outputs:
        raise TypeError("no output has a gradient")
    total = sum((y * library.tensor(weights(tuple(y.shape)))).sum() for y in outputs)
    total.backward()
    gradients = {n: p.grad for n, p in model.named_parameters()} | {"x": x.grad}
    return (
        [y.detach().numpy() for y in outputs],
        {n: g.detach().numpy() for n, g in gradients.items() if g is not None},
    )


def flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    return [y for v in value for y in flat(v)] if isinstance(value, (tuple, list)) else [value]


def weights(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, shape)


def compare_network(ours: Any, theirs: Any) -> str | None:
    """None if the two classes or functions make networks that agree; a message else. LookupError: torch's cannot be tried."""
    given = settings(theirs)
    if given is None:
        raise LookupError("arguments")
    seeded()
    try:
        reference = theirs(**given)
    except TooLong:
        raise
    except Exception as error:
        raise LookupError(str(error)) from None
    if not isinstance(reference, torch.nn.Module):
        raise LookupError("no module")
    reference = reference.double().eval()
    array = expected = None
    for shape in INPUTS:
        candidate = np.random.default_rng(0).uniform(-1, 1, shape)
        try:
            expected = run_network(reference, torch, candidate)
            array = candidate
            break
        except TooLong:
            raise
        except Exception:
            reference.zero_grad()
    if array is None or expected is None:
        raise LookupError("no input fits")
    seeded()
    model = ours(**given).double().eval()
    mine, other = model.state_dict(), reference.state_dict()
    if list(mine) != list(other):
        return f"keys differ: {sorted(set(mine) ^ set(other))[:4]}"
    if shapes := [k for k in mine if tuple(mine[k].shape) != tuple(other[k].shape)]:
        return f"shapes differ: {shapes[:4]}"
    model.load_state_dict({k: mg.tensor(v.numpy()) for k, v in other.items()})
    found = run_network(model, mg, array)
    return difference(found, expected)


def difference(found: Any, expected: Any) -> str | None:
    pairs = {f"output {i}": (a, b) for i, (a, b) in enumerate(zip(found[0], expected[0], strict=True))}
    if set(found[1]) != set(expected[1]):
        return f"gradients of other parameters: {sorted(set(found[1]) ^ set(expected[1]))[:4]}"
    pairs |= {f"gradient of {k}": (found[1][k], expected[1][k]) for k in expected[1]}
    for what, (a, b) in pairs.items():
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"{what}: {a.dtype} {a.shape} where torch has {b.dtype} {b.shape}"
        apart = np.abs(a - b).max(initial=0) / max(1e-3, np.abs(b).max(initial=0))
        if not apart <= TOLERANCE:
            return f"WRONG VALUE {what}: {apart:.1e} apart"
    return None


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
        except TooLong:
            raise
        except Exception as error:
            if library is torch:
                raise LookupError(str(error)) from None
            raise
        found.append([p.detach().numpy() for p in parameters])
    return difference((found[1], {}), (found[0], {}))


def judge(root: Path, file: Path) -> tuple[str, list[str]]:
    """(verdict, lines): "agrees", "differs", "fails", "loads" or "not torch's"."""
    try:
        with limited():
            theirs = load(root, file)
            theirs_found = candidates(theirs, torch)
    except (Exception, SystemExit) as error:
        return "not torch's", [f"torch: {type(error).__name__}: {error}"]
    world = AsTorch()
    try:
        with limited(), world:
            ours = load(root, file)
    except (Exception, SystemExit) as error:
        return "fails", [f"import: {line(error)}"]
    compared, problems = 0, []
    for name, thing in theirs_found.items():
        compare = (
            compare_optimizer
            if inspect.isclass(thing) and issubclass(thing, torch.optim.Optimizer)
            else compare_network
        )
        try:
            with limited():
                problem = compare(getattr(ours, name), thing)
        except (LookupError, TooLong) as error:
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--only", default="", help="files with this word in their path")
    parser.add_argument("--json", type=Path, help="write the verdicts there")
    arguments = parser.parse_args()
    root = arguments.checkout.resolve()
    files = [
        f for f in sorted(root.rglob("*.py")) if arguments.only in str(f) and "torch" in f.read_text(errors="ignore")
    ]
    verdicts: dict[str, Any] = {}
    here = os.getcwd()
    for file in files:
        if file.name in ("setup.py", "conftest.py") or file.name.startswith(("test_", "train", "main")):
            continue
        verdict, lines = judge(root, file)
        os.chdir(here)
        verdicts[str(file.relative_to(root))] = [verdict, lines]
        print(f"{verdict:12} {file.relative_to(root)}", flush=True)
        for text in lines if verdict != "not torch's" else lines[:1]:
            print(f"             {text}", flush=True)
    print(dict(Counter(v for v, _ in verdicts.values())))
    if arguments.json:
        arguments.json.write_text(json.dumps(verdicts, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
