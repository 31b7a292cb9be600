"""--logger: what is measured goes to Weights & Biases or MLflow as well, by their own libraries, imported when asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from minigrad.errors import MinigradError, OptionError


def check_logger(name: str | None) -> None:
    """OptionError, before anything is made, if the library is not installed."""
    if name is not None and find_spec(name) is None:
        raise OptionError(f"--logger {name} takes the package {name}, which is missing: pip install {name}")


class Logger:
    """A run at wandb or mlflow. MinigradError, in one line, where the library cannot begin: not logged in, no network."""

    def __init__(self, name: str, title: str, folder: str) -> None:
        self.name, self.broken = name, False
        try:
            self.library: Any = import_module(name)
            if name == "wandb":
                self.run = self.library.init(project="minigrad", name=title, dir=folder)
            else:
                self.library.set_experiment("minigrad")
                self.run = self.library.start_run(run_name=title)
        except Exception as error:  # each library has its own kinds
            raise MinigradError(f"--logger {name} cannot begin: {' '.join(str(error).split())}") from error

    def config(self, values: Mapping[str, Any]) -> None:
        """The run's options."""
        if self.name == "wandb":
            self._try(lambda: self.run.config.update(dict(values), allow_val_change=True))
        else:
            self._try(lambda: self.library.log_params({key: str(value) for key, value in values.items()}))

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Numbers at a step, counted in batches."""
        if self.name == "wandb":
            self._try(lambda: self.run.log(dict(values), step=step))
        else:
            self._try(lambda: self.library.log_metrics({key: float(v) for key, v in values.items()}, step=step))

    def close(self, failed: bool = False) -> None:
        """The run is at its end, or was stopped before it."""
        if self.name == "wandb":
            self._try(lambda: self.run.finish(exit_code=int(failed)))
        else:
            self._try(lambda: self.library.end_run("FAILED" if failed else "FINISHED"))

    def _try(self, send: Callable[[], Any]) -> None:
        """What cannot be sent is not worth a run: the first time a note says so, and from then on nothing is sent."""
        if self.broken:
            return
        try:
            send()
        except Exception as error:  # each library has its own kinds
            self.broken = True
            print(f"note: --logger {self.name} fails, and gets no more: {' '.join(str(error).split())}")
