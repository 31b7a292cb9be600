"""What a run says while it works: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from types import TracebackType
from typing import Any

PATIENCE = 20.0  # seconds: where steps take long, as under attack, a line comes without waiting for so many


def bars_wanted() -> bool:
    """Bars are for terminals, and tqdm draws them; a log file gets plain lines."""
    return sys.stdout.isatty() and find_spec("tqdm") is not None


class Progress:
    """Progress through one epoch: loss, images/s and time left, as a bar or as a line every `print_freq` steps, or 20 s."""

    def __init__(self, title: str, steps: int, batch_size: int, print_freq: int, first_step: int = 0) -> None:
        self.title, self.steps, self.batch_size, self.print_freq = title, steps, batch_size, print_freq
        self.first_step, self.step = first_step, first_step
        self.images = 0
        self.started = self.said = time.perf_counter()
        self.bar: Any = None
        if bars_wanted():
            from tqdm import tqdm

            self.bar = tqdm(
                desc=title,
                total=steps * batch_size,
                initial=first_step * batch_size,
                unit=" images",
                file=sys.stdout,
                dynamic_ncols=True,
                leave=False,
            )

    @property
    def is_due(self) -> bool:
        """Whether the step under way is one whose loss is printed; a bar has that of the same steps."""
        return (self.step + 1) % self.print_freq == 0 or time.perf_counter() - self.said > PATIENCE

    def update(self, images: int, loss: float | None = None) -> None:
        """One step more, with its images and the mean loss so far, if there is one to tell."""
        due, loss_text = self.is_due, "" if loss is None else f"loss {loss:.4f}"
        self.step += 1
        self.images += images
        if self.bar is not None:
            self.said = time.perf_counter()
            self.bar.set_postfix_str(loss_text, refresh=False)
            self.bar.update(images)
        elif due:
            self.said = time.perf_counter()
            elapsed = time.perf_counter() - self.started
            left = elapsed / (self.step - self.first_step) * (self.steps - self.step)
            print(
                f"{self.title}  step {self.step}/{self.steps}  {loss_text}{'  ' if loss_text else ''}"
                f"{self.images / elapsed:.0f} images/s  {duration(left)} left",
                flush=True,
            )

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.close()


def duration(seconds: float) -> str:
    """Seconds as people say them: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
