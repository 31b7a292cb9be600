"""Models that are hard to ask, made askable: an average over randomness (EOT), a gradient through what has none (BPDA)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad.attacks.amounts import integer
from minigrad.autograd import Function
from minigrad.nn import Module
from minigrad.tensor import Tensor


class EOT(Module):
    """Expectation over transformation: a random model's logits, averaged over `samples` calls of it.

        logits = 1 / samples sum_k model(t_k(x))

    t is a random transformation of images (N, C, H, W), if one is given; without one the model itself is random. An attack on
    EOT(model) goes up the mean, whose gradient is the mean of the gradients. Each call costs `samples` passes.

    Source: A. Athalye et al., Synthesizing Robust Adversarial Examples (2018), 3.1.
    """

    def __init__(
        self, model: Callable[[Tensor], Tensor], samples: int = 20, transform: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        super().__init__()
        self.model, self.samples, self.transform = model, integer("samples", samples), transform

    def forward(self, x: Tensor) -> Tensor:
        """The mean logits (N, classes)."""
        total: Any = 0
        for _ in range(self.samples):
            total = total + self.model(x if self.transform is None else self.transform(x))
        return total / self.samples


class BPDA(Module):
    """Backward pass differentiable approximation: y = f(x) forward, and backward the gradient of another function than f.

    f may be anything that maps Tensors to Tensors: rounding, JPEG, a lookup. `backward`, the stand-in, is differentiable and of
    f's shapes; by default the identity, which suits whatever leaves an image about as it was. nn.Sequential(BPDA(f), model) is
    what to attack in the place of nn.Sequential(f, model).

    Source: A. Athalye et al., Obfuscated Gradients Give a False Sense of Security (2018), 4.1.
    """

    def __init__(
        self, function: Callable[[Tensor], Tensor], backward: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        super().__init__()
        self.function, self.stand_in = function, backward

    def forward(self, x: Tensor) -> Tensor:
        """f(x), with the stand-in's gradient."""
        straight = x if self.stand_in is None else self.stand_in(x)
        value = self.function(x.detach()).detach()
        if value.shape != straight.shape:
            raise ValueError(
                f"the stand-in gives {tuple(straight.shape)}, the function {tuple(value.shape)}: they have to be alike"
            )
        found: Tensor = _Instead.apply(straight, value)
        return found


class _Instead(Function):
    """The second input's value, the first one's gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor, None]:
        return gy, None
