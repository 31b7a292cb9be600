"""Every model on a small batch: the cross-entropy, its gradients by all weights and by the images, and their gradients again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

import minigrad
import minigrad.nn.functional
import models
import models.reference
from compare.gradients.derivatives import DIRECTIONS, SEEDS, Outcome, run_minigrad, run_torch
from minigrad.random import Generator

IMAGES, CLASSES = 4, 7
SIZE = 48


@dataclass(frozen=True)
class Network:
    """A model in training mode, dropping paths by the masks of one generator of minigrad."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    note: str | None = None
    single: bool = True

    def __str__(self) -> str:
        return f"{self.name}{self.settings or ''}"

    def outcome(self, track: str, dtype: Any, seed: int) -> Outcome:
        """The loss and the logits; gradients of the loss by the images and by every parameter, of both orders."""
        size = self.settings.get("image_size", SIZE)
        random = np.random.default_rng(seed)
        images = random.standard_normal((IMAGES, 3, size, size)).astype(np.float32).astype(dtype)
        target = random.integers(0, CLASSES, IMAGES)
        cotangents, directions = ([1000 * seed + s for s in seeds] for seeds in (SEEDS, DIRECTIONS))
        framework, package = (torch, models.reference) if track == "torch" else (minigrad, models)
        model = package.create(self.name, CLASSES, generator=Generator(seed), **self.settings)  # type: ignore[attr-defined]
        model.load_state_dict({k: torch.from_numpy(v) if track == "torch" else v for k, v in self.state(seed).items()})
        model = model.double() if dtype == np.float64 else model
        parameters = list(model.parameters())

        def loss(x: Any) -> Any:
            logits = model(x)
            return framework.nn.functional.cross_entropy(logits, framework.from_numpy(target)), logits.detach()

        if track == "torch":
            with sdpa_kernel(SDPBackend.MATH):  # torch's fast attention has no second gradient
                return run_torch(loss, [images], {}, cotangents, directions, 2, parameters)
        return run_minigrad(loss, [images], {}, cotangents, directions, "cpu", 2, leaves=parameters)

    def state(self, seed: int) -> dict[str, np.ndarray]:
        """torch's fresh weights, moved: no weight of a norm is 1, no bias 0."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            fresh = models.reference.create(self.name, CLASSES, **self.settings).state_dict()
        random = np.random.default_rng(seed)
        found = {}
        for key, value in fresh.items():
            moved = value.numpy().copy()
            if moved.dtype.kind == "f" and not key.endswith("running_var"):
                moved += random.normal(0, 0.05, moved.shape).astype(np.float32)
            found[key] = moved
        return found


MODELS = {name: [Network(name, dict(card.small))] for name, card in models.MODELS.items()}
