"""A PyTorch network as a model for the attacks and the audit here: its answers and its gradients, unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minigrad.autograd import Function
from minigrad.nn import Module
from minigrad.ops.creation import from_numpy
from minigrad.tensor import Tensor


class FromTorch(Module):
    """`network`, a torch.nn.Module from images (N, C, H, W) to logits (N, classes), called with minigrad's Tensors.

    Every attack, the audit and AutoAttack take it in the place of a model of minigrad. In evaluation mode the network is in
    evaluation mode while it answers, and in its own modes afterwards; no .grad is left on its parameters. It stays on its device:
    images go there, logits and gradients come back.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        if not hasattr(network, "state_dict") or isinstance(network, Module):
            raise ValueError(f"FromTorch wraps a torch.nn.Module, got {type(network).__name__}")
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """The network's logits."""
        found: Tensor = _Call.apply(x, self)
        return found

    @contextmanager
    def mode(self) -> Iterator[None]:
        """The network in evaluation mode, unless this module is in training mode; afterwards as before."""
        before = {module: module.training for module in self.network.modules()}
        if not self.training:
            self.network.eval()
        try:
            yield
        finally:
            for module, training in before.items():
                module.training = training

    def state(self) -> dict[str, Any]:
        """What an attack has to leave alone: the audit compares it."""
        parts = {**dict(self.network.named_parameters()), **dict(self.network.named_buffers())}
        found: dict[str, Any] = {
            f"{name or 'network'}.training": m.training for name, m in self.network.named_modules()
        }
        for name, tensor in parts.items():
            grad = tensor.grad
            found[name] = tensor.detach().cpu().numpy().tobytes()
            found[f"{name}.grad"] = None if grad is None else grad.detach().cpu().numpy().tobytes()
            found[f"{name}.requires_grad"] = tensor.requires_grad
        return found


class _Call(Function):
    """One call of the network."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, model: FromTorch) -> Tensor:
        import torch

        first = next(iter(model.network.parameters()), None)
        inputs = torch.from_numpy(x.numpy(force=True).copy()).to("cpu" if first is None else first.device)
        ctx.device, wanted = x.device, x.requires_grad
        with model.mode(), torch.set_grad_enabled(wanted):
            ctx.inputs = inputs.requires_grad_(wanted)
            ctx.logits = model.network(ctx.inputs)
        return from_numpy(ctx.logits.detach().cpu().numpy().copy()).to(x.device)

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor | None, None]:
        import torch

        if not ctx.logits.requires_grad:
            return None, None
        upstream = torch.from_numpy(gy.numpy(force=True).copy()).to(ctx.logits.device)
        (g,) = torch.autograd.grad(ctx.logits, ctx.inputs, upstream, retain_graph=True, materialize_grads=True)
        return from_numpy(g.cpu().numpy().copy()).to(ctx.device), None
