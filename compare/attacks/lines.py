"""What python -m compare attacks measures, line by line; what was reported of it; and whether two frameworks agree.

A line is a checkpoint under an attack, and of each image whether the network's answer is right. The lines of one preset,
epsilon and alpha lie on one path: 10 steps are the first 10 of 20.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from minigrad import attacks

PRESETS = tuple(attacks.PRESETS)
CLEAN, NOISE = "clean", "noise"  # in place of a preset: the images as they are, and a random point of the same box
ROWS = ((10, 0.1, 0.01), (20, 0.05, 0.01), (100, 0.01, 0.01), (20, 0.1, 0.01), (20, 1.0, 0.01), (10, 0.2, 1.0))
EPSILONS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
SWEEP_STEPS, SWEEP_SHARE = 10, 4  # steps of epsilon / 4: an image can cross the box, and come back
PLAIN, DEFENDED = "plain", "defended"

# Of the original report: SimpleNet on MiniPlaces, 10,000 images, top-1 and top-5. Its attack went up the loss of the least
# likely class, which is the preset `report`.
REPORTED = {
    CLEAN: (43.6789, 73.2803), (10, 0.1, 0.01): (39.97, 64.89), (20, 0.05, 0.01): (40.27, 66.38),
    (100, 0.01, 0.01): (42.88, 72.70), (20, 0.1, 0.01): (39.52, 62.73), (20, 1.0, 0.01): (39.05, 61.13),
    (10, 0.2, 1.0): (9.79, 24.26),
}  # fmt: skip
# The same after 10 epochs of training: plain, and with a 5-step attack on each batch with probability .2.
REPORTED_DEFENCE = {
    PLAIN: {CLEAN: (22.28, 51.68), (10, 0.1, 0.01): (14.38, 37.58)},
    DEFENDED: {CLEAN: (20.75, 50.30), (10, 0.1, 0.01): (19.12, 46.03)},
}


def written(value: Any) -> str:
    """A number of a row, or one for each channel: 0.1, or 0.1:0.2:0.3."""
    return ":".join(f"{number:g}" for number in (value if isinstance(value, tuple) else (value,)))


@dataclass(frozen=True)
class Line:
    """A checkpoint (PLAIN, DEFENDED) under an attack: a preset, NOISE or CLEAN, with steps, epsilon and alpha.

    epsilon and alpha are numbers, or tuples of one for each channel.
    """

    checkpoint: str
    preset: str
    steps: int = 0
    epsilon: Any = 0.0
    alpha: Any = 0.0

    @property
    def row(self) -> tuple[int, Any, Any]:
        """(steps, epsilon, alpha), as the tables of RECIPE.md have them."""
        return self.steps, self.epsilon, self.alpha

    @property
    def path(self) -> tuple[str, str, Any, Any]:
        """What lines on one path share."""
        return self.checkpoint, self.preset, self.epsilon, self.alpha

    def __str__(self) -> str:
        if self.preset == CLEAN:
            return CLEAN
        budget = f"{self.epsilon:g}" if self.preset == NOISE else "/".join(map(written, self.row))
        return f"{budget} {self.preset}"

    def reported(self, pair: bool) -> tuple[float, float] | None:
        """Top-1 and top-5 of the original, if it had this line; pair: beside a defended checkpoint."""
        figures = REPORTED_DEFENCE[self.checkpoint] if pair else REPORTED
        if self.preset == CLEAN:
            return figures[CLEAN]
        return figures.get(self.row) if self.preset == "report" else None


def table_lines(checkpoints: Sequence[str], presets: Sequence[str], rows: Sequence[tuple]) -> list[Line]:
    """The clean line and all rows under all presets, checkpoint by checkpoint."""
    return [
        line
        for checkpoint in checkpoints
        for line in (
            Line(checkpoint, CLEAN),
            *(Line(checkpoint, preset, *row) for row in rows for preset in presets),
        )
    ]


def sweep_lines(presets: Sequence[str], epsilons: Sequence[float]) -> list[Line]:
    """Clean, and for each epsilon above 0 noise and all presets."""
    lines = [Line(PLAIN, CLEAN)]
    for epsilon in sorted(epsilon for epsilon in epsilons if epsilon > 0):
        lines.append(Line(PLAIN, NOISE, 0, epsilon))
        lines += [Line(PLAIN, preset, SWEEP_STEPS, epsilon, epsilon / SWEEP_SHARE) for preset in presets]
    return lines
