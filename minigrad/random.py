"""One seed decides everything: initialisation, masks, random tensors.

Numbers are drawn on the host by NumPy's Philox, a counter-based generator, and copied to the device: the same seed gives
the same numbers on the CPU and on a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Shape = Sequence[int] | int


class Generator:
    """A stream of random numbers with a seed; the same on every device, since they are drawn on the host."""

    def __init__(self, seed: int | None = None, device: Any = None) -> None:
        self.seed_value = 0
        self.manual_seed(np.random.SeedSequence().entropy % 2**63 if seed is None else seed)  # type: ignore[operator]

    def manual_seed(self, seed: int) -> Generator:
        """Starts the stream of this seed from its beginning."""
        self.seed_value = int(seed)
        self._random = np.random.Generator(np.random.Philox(self.seed_value % 2**64))
        return self

    def initial_seed(self) -> int:
        """The seed that the stream was started with."""
        return self.seed_value

    def get_state(self) -> dict[str, Any]:
        """Where the stream is: plain numbers and lists, which JSON can hold."""
        return {"seed": self.seed_value, "bit_generator": _plain(self._random.bit_generator.state)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continues a stream from where get_state noted it."""
        self.seed_value = int(state["seed"])
        bits = np.random.Philox()
        inner: Any = dict(state["bit_generator"])
        inner["state"] = {k: np.array(v, np.uint64) for k, v in inner["state"].items()}
        inner["buffer"] = np.array(inner["buffer"], np.uint64)
        bits.state = inner
        self._random = np.random.Generator(bits)

    def uniform(self, low: float, high: float, shape: Shape, dtype: Any = np.float32) -> np.ndarray:
        """Numbers from [low, high)."""
        dtype = np.dtype(dtype)
        drawn = self._random.random(shape, dtype if dtype in (np.float32, np.float64) else np.float32)
        return np.asarray(drawn * (high - low) + low, dtype)

    def normal(self, mean: float, std: float, shape: Shape, dtype: Any = np.float32) -> np.ndarray:
        """Numbers from the normal distribution."""
        dtype = np.dtype(dtype)
        drawn = self._random.standard_normal(shape, dtype if dtype in (np.float32, np.float64) else np.float32)
        return np.asarray(drawn * std + mean, dtype)

    def integers(self, low: int, high: int, shape: Shape, dtype: Any = np.int64) -> np.ndarray:
        """Integers from low to high - 1."""
        return np.asarray(self._random.integers(low, high, shape), dtype)

    def permutation(self, n: int) -> np.ndarray:
        """0 to n - 1 in random order."""
        return self._random.permutation(n)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return [int(v) for v in value]
    return int(value) if isinstance(value, np.integer) else value


default_generator = Generator(0)


def manual_seed(seed: int) -> Generator:
    """Seeds the default generator, which initialisation and masks draw from."""
    return default_generator.manual_seed(seed)


def get_rng_state() -> dict[str, Any]:
    """The default generator's state."""
    return default_generator.get_state()


def set_rng_state(new_state: dict[str, Any]) -> None:
    """Puts the default generator where `new_state` was taken."""
    default_generator.set_state(new_state)
