"""torch.distributions: draws of uniform, normal and Bernoulli numbers."""

from __future__ import annotations

from typing import Any

import minigrad as mg

__all__ = ["Bernoulli", "Normal", "Uniform", "bernoulli", "normal", "uniform"]


class Distribution:
    """Parameters that broadcast, and draws of them: sample(shape) has the shape `shape + batch_shape`."""

    def __init__(self, *parameters: Any) -> None:
        self._parameters = mg.broadcast_tensors(*[mg.as_tensor(p, dtype=_float(p)) for p in parameters])

    @property
    def batch_shape(self) -> Any:
        return self._parameters[0].shape

    def sample(self, sample_shape: Any = ()) -> Any:
        with mg.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no rsample")

    def _shape(self, sample_shape: Any) -> tuple[int, ...]:
        return (*sample_shape, *self.batch_shape)


def _float(value: Any) -> Any:
    return value.dtype if isinstance(value, mg.Tensor) and value.is_floating_point() else mg.float32


class Uniform(Distribution):
    """Numbers from [low, high)."""

    def __init__(self, low: Any, high: Any, validate_args: Any = None) -> None:
        super().__init__(low, high)
        self.low, self.high = self._parameters

    def rsample(self, sample_shape: Any = ()) -> Any:
        drawn = mg.rand(self._shape(sample_shape), dtype=self.low.dtype, device=self.low.device)
        return self.low + drawn * (self.high - self.low)


class Normal(Distribution):
    """Normal numbers of mean loc and standard deviation scale."""

    def __init__(self, loc: Any, scale: Any, validate_args: Any = None) -> None:
        super().__init__(loc, scale)
        self.loc, self.scale = self._parameters

    def rsample(self, sample_shape: Any = ()) -> Any:
        drawn = mg.randn(self._shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + drawn * self.scale

    def log_prob(self, value: Any) -> Any:
        """-(value - loc)^2 / (2 scale^2) - log(scale sqrt(2 pi))."""
        z = (value - self.loc) / self.scale
        return -0.5 * z * z - self.scale.log() - 0.9189385332046727


class Bernoulli(Distribution):
    """1 with probability probs (or sigmoid(logits)), else 0."""

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: Any = None) -> None:
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        super().__init__(mg.as_tensor(logits).sigmoid() if probs is None else probs)
        (self.probs,) = self._parameters

    def sample(self, sample_shape: Any = ()) -> Any:
        return mg.bernoulli(self.probs.detach().expand(self._shape(sample_shape)))


class _Only:
    """A module of one distribution."""

    def __init__(self, distribution: type) -> None:
        setattr(self, distribution.__name__, distribution)


bernoulli, normal, uniform = _Only(Bernoulli), _Only(Normal), _Only(Uniform)
