"""torch.nn.parallel where there is one device: the module itself, under the name `module`."""

from __future__ import annotations

from typing import Any

from minigrad.nn.module import Module


class DataParallel(Module):
    """Runs its module on one device. State-dict keys begin with "module.", as in torch."""

    def __init__(self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0) -> None:
        super().__init__()
        self.module, self.dim = module, dim
        self.device_ids: list[int] = []

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)
