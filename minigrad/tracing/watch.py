"""Watch: over the steps of a training, layer by layer, the norms of gradients and updates, and the share of dead units.

    with mg.watch(model, optimizer) as w:
        train()
    w.picture("watch.png")
    print(w)

The same for a model of torch, with torch's optimizer. Nothing is hooked into a model of minigrad, so that its layers fuse as
they do otherwise; ReLUs of torch's get a hook as long as it is watched.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.autograd.observer import Observer, recorded
from minigrad.device import CPU, to_device
from minigrad.files import write_atomically
from minigrad.nn.module import Module
from minigrad.op import Op
from minigrad.tensor import Tensor
from minigrad.tracing.breaks import dead_units
from minigrad.tracing.places import Places


def _numbers(x: Any) -> np.ndarray:
    """The numbers of a tensor of minigrad or of torch, on the host."""
    return to_device(x.array, CPU) if isinstance(x, Tensor) else x.detach().cpu().numpy()


def _norm(x: np.ndarray) -> float:
    return float(np.sqrt(np.einsum("i,i->", x.ravel(), x.ravel(), dtype=np.float64)))


class Watch:
    """What `mg.watch(model, optimizer)` returns; it watches within a `with`.

    The gradient is what the optimizer is given (clipped, where it is clipped), the update what its step changes. A unit, a
    place along axis 1 of a ReLU's result, is dead if it gives 0 for the whole batch of the step's last forward pass.
    """

    def __init__(self, model: Any, optimizer: Any, every: int, folder: str | Path | None, first: int) -> None:
        if every < 1:
            raise ValueError(f"every should be at least 1, not {every}")
        self.parameters: dict[str, Any] = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.steps: list[int] = []
        """The numbers of the steps that were looked at."""
        self.gradients: dict[str, list[float]] = {name: [] for name in self.parameters}
        """|gradient| of each parameter; NaN where it has none."""
        self.weights: dict[str, list[float]] = {name: [] for name in self.parameters}
        self.updates: dict[str, list[float]] = {name: [] for name in self.parameters}
        """|what the optimizer's step changes|."""
        self.dead: dict[str, list[float]] = {}
        """The share of dead units of each layer of ReLUs; NaN where it did not run."""
        self._model, self._optimizer, self._every, self._folder = model, optimizer, every, folder
        self._count, self._first = first, first
        self._before: dict[str, np.ndarray] = {}
        self._seen: dict[str, float] = {}
        self._attached: list[Any] = []
        self._events: Any = None

    # -- watching -----------------------------------------------------------------------------------------------------

    def __enter__(self) -> Watch:
        if self._optimizer is not None:
            self._attached = [
                self._optimizer.register_step_pre_hook(lambda *_: self._begin()),
                self._optimizer.register_step_post_hook(lambda *_: self._end()),
            ]
        else:
            self._begin()
        if isinstance(self._model, Module):
            self._observer = _Relus(self)
            self._observer.__enter__()
        else:
            self._attached += [_hook_of_torch(self, name, m) for name, m in self._model.named_modules() if _is_relu(m)]
        return self

    def __exit__(self, *exception: object) -> None:
        if isinstance(self._model, Module):
            self._observer.__exit__(*exception)
        for handle in self._attached:
            handle.remove()
        if self._events is not None:
            self._events.close()
        if self._folder is not None and self.steps:
            self.picture(Path(self._folder) / "watch.png")

    @property
    def looking(self) -> bool:
        """Whether the step that is under way is one of those that are looked at."""
        return self._count % self._every == 0

    def step(self) -> None:
        """Ends a step, after `optimizer.step()`, where the watch was not given the optimizer."""
        if self._optimizer is not None:
            raise RuntimeError("the optimizer's own steps count: step() is for a watch that was made without one")
        self._end()
        self._begin()

    def note_dead(self, layer: str, share: float) -> None:
        """The share of a layer's units that are dead in this step."""
        self._seen[layer] = share

    def _begin(self) -> None:
        if self.looking:
            self._before = {name: _numbers(p).copy() for name, p in self.parameters.items()}

    def _end(self) -> None:
        if self.looking:
            self.steps.append(self._count)
            for name, p in self.parameters.items():
                now, before = _numbers(p), self._before[name]
                self.gradients[name].append(np.nan if p.grad is None else _norm(_numbers(p.grad)))
                self.weights[name].append(_norm(before))
                self.updates[name].append(_norm(now - before))
            for layer in [*self.dead, *[layer for layer in self._seen if layer not in self.dead]]:
                shares = self.dead.setdefault(layer, [np.nan] * (len(self.steps) - 1))
                shares.append(self._seen.get(layer, np.nan))
            self._seen.clear()
            if self._folder is not None:
                self._write_events()
        self._count += 1

    # -- what it saw --------------------------------------------------------------------------------------------------

    def picture(self, path: str | Path) -> None:
        """Draws three heat maps into a PNG, a row a layer: gradients, updates over weights, dead units. Needs matplotlib."""
        from minigrad.tracing.watch_picture import draw

        write_atomically(Path(path), draw(self.steps, self.gradients, self.relative_updates(), self.dead))

    def tensorboard(self, folder: str | Path) -> None:
        """Writes all that was seen as TensorBoard scalars: gradient/NAME, update/NAME (over the weight), dead/LAYER."""
        events = _Events(Path(folder), self._first)
        for i, step in enumerate(self.steps):
            events.write(self._scalars(i), step)
        events.close()

    def _write_events(self) -> None:
        if self._events is None:
            self._events = _Events(Path(str(self._folder)), self._first)
        self._events.write(self._scalars(-1), self.steps[-1])

    def _scalars(self, i: int) -> dict[str, float]:
        found = {f"gradient/{name}": values[i] for name, values in self.gradients.items()}
        found |= {f"update/{name}": values[i] for name, values in self.relative_updates().items()}
        found |= {f"dead/{layer}": values[i] for layer, values in self.dead.items()}
        return {name: value for name, value in found.items() if np.isfinite(value)}

    def relative_updates(self) -> dict[str, list[float]]:
        """|update| / |weight| of each parameter, step by step."""
        return {
            name: [u / w if w else np.nan for u, w in zip(updates, self.weights[name], strict=True)]
            for name, updates in self.updates.items()
        }

    def __str__(self) -> str:
        """The last step as a table."""
        if not self.steps:
            return "nothing was watched: no step was made"
        width = max(len(name) for name in [*self.parameters, *self.dead])
        relative = self.relative_updates()
        lines = [f"step {self.steps[-1]}", f"{'':{width}}  {'gradient':>10}  {'weight':>10}  {'update/weight':>13}"]
        for name in self.parameters:
            figures = self.gradients[name][-1], self.weights[name][-1], relative[name][-1]
            lines.append(f"{name:{width}}  {figures[0]:10.3g}  {figures[1]:10.3g}  {figures[2]:13.3g}")
        lines += [
            f"{layer:{width}}  {100 * shares[-1]:.3g} % of its units are dead" for layer, shares in self.dead.items()
        ]
        return "\n".join(lines)


class _Relus(Observer):
    """Notes the share of dead units of every op that ends in a ReLU."""

    def __init__(self, watch: Watch) -> None:
        self.watch, self.places = watch, Places(anywhere=True)

    def after_forward(self, node: Op, inputs: tuple[Any, ...], outputs: list[Tensor]) -> None:
        if not self.watch.looking or not recorded(node, outputs):
            return
        share = dead_units(node.name(), outputs[0].array)
        if share is not None:
            self.watch.note_dead(self._relu(self.places.here()[0]) or node.name(), share)

    def _relu(self, module: str) -> str:
        """The ReLU's own name: of "features.0-2", which ran as one, "features.1"."""
        first, dash, _ = module.partition("-")
        if not dash:
            return module
        parent, _, name = first.rpartition(".")
        names = list(self.watch._model.get_submodule(parent)._modules)
        after = names[names.index(name) + 1]
        return f"{parent}.{after}" if parent else after


def _is_relu(module: Any) -> bool:
    return type(module).__name__ in ("ReLU", "ReLU6")


def _hook_of_torch(watch: Watch, name: str, module: Any) -> Any:
    def hook(module: Any, args: Any, output: Any) -> None:
        if watch.looking and output.requires_grad:
            share = dead_units("relu", _numbers(output))
            if share is not None:
                watch.note_dead(name, share)

    return module.register_forward_hook(hook)


class _Events:
    """A file of TensorBoard events; what a killed run wrote from its first step on is hidden. Needs tensorboardX."""

    def __init__(self, folder: Path, first: int) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        folder.mkdir(parents=True, exist_ok=True)
        self.file = EventsWriter(str(folder / "watch"))
        self.event = Event
        start = SessionLog(status=SessionLog.START)
        self.file.write_event(Event(wall_time=time.time(), step=first, session_log=start))

    def write(self, values: dict[str, float], step: int) -> None:
        """Adds the scalars of a step."""
        from tensorboardX.summary import scalar

        for name, value in values.items():
            self.file.write_event(self.event(wall_time=time.time(), step=step, summary=scalar(name, value)))
        self.file.flush()

    def close(self) -> None:
        """Finishes the file."""
        self.file.close()
