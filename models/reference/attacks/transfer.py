"""DI-, TI- and VMI-FGSM in PyTorch: the measure of those of minigrad.attacks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.reference.attacks.pgd import MIFGSM, of_channels


@dataclass(frozen=True)
class DIFGSM(MIFGSM):
    """The gradient at a randomly resized and padded image (Xie et al., 2019); draws are those of minigrad."""

    p: float = 0.5
    share: float = 0.9

    def _look(self, model: nn.Module, images: Tensor, moved: Tensor, *rest: Any) -> tuple[Tensor, ...]:  # type: ignore[override]
        if self.generator.uniform(0, 1, (), "f8") >= self.p:
            return super()._look(model, images, moved, *rest)
        share = self.share + (1 - self.share) * float(self.generator.uniform(0, 1, (), "f8"))
        small = [max(int(length * share), 1) for length in images.shape[2:]]
        before = [int(self.generator.integers(0, n - s + 1, ())) for n, s in zip(images.shape[2:], small, strict=True)]

        class Diverse(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = model

            def forward(self, x: Tensor) -> Tensor:
                made = torch.zeros_like(x)
                rows, columns = ([i * n // s for i in range(s)] for n, s in zip(x.shape[2:], small, strict=True))
                to = [slice(start, start + s) for start, s in zip(before, small, strict=True)]
                made[:, :, to[0], to[1]] = x[:, :, rows][:, :, :, columns]
                out: Tensor = self.inner(made)
                return out

        training = model.training
        try:
            return super()._look(Diverse(), images, moved, *rest)
        finally:
            model.training = training


@dataclass(frozen=True)
class TIFGSM(MIFGSM):
    """The gradient smoothed by a Gaussian (Dong et al., 2019)."""

    kernel: int = 7
    sigma: float = 3.0

    def _look(self, *given: Any) -> tuple[Tensor, ...]:  # type: ignore[override]
        logits, classes, loss, g = super()._look(*given)
        line = torch.exp(-((torch.arange(self.kernel).double() - self.kernel // 2) ** 2) / (2 * self.sigma**2))
        weight = (line[:, None] * line / line.sum() ** 2).to(g)
        planes = g.flatten(0, 1)[:, None]
        return logits, classes, loss, F.conv2d(planes, weight[None, None], padding=self.kernel // 2).view_as(g)


@dataclass(frozen=True)
class VMIFGSM(MIFGSM):
    """The gradient corrected by how it varies around the last x (Wang and He, 2021)."""

    samples: int = 20
    beta: float = 1.5
    memory: dict[str, Tensor] = field(default_factory=dict, compare=False, repr=False)

    def path(self, *given: Any) -> Any:
        """The steps of one start."""
        self.memory.clear()
        return super().path(*given)

    def _look(
        self, model: nn.Module, images: Tensor, moved: Tensor, labels: Any, targets: Any, before: Any
    ) -> tuple[Tensor, ...]:  # type: ignore[override]
        logits, classes, loss, g = super()._look(model, images, moved, labels, targets, before)
        scale, _ = self._units(images)
        reach, found = of_channels(self.epsilon, images) / scale, []
        fixed = MIFGSM(target="given", loss=self.loss, retarget=True)
        for _ in range(self.samples):
            drawn = self.generator.uniform(-self.beta, self.beta, images.shape, images.numpy().dtype)
            near = moved + torch.from_numpy(drawn) * reach
            found.append(fixed._look(model, images, near, labels, classes, None)[3])
        corrected = g + self.memory.get("v", torch.zeros_like(g))
        self.memory["v"] = torch.stack(found).mean(0) - g
        return logits, classes, loss, corrected
