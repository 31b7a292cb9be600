"""detect_anomaly that names the layer, too: features.3."""

from __future__ import annotations

from typing import Any

from minigrad.autograd.anomaly import detect_anomaly
from minigrad.autograd.observer import recorded
from minigrad.op import Op
from minigrad.tensor import Tensor
from minigrad.tracing.places import Places


class detect_anomaly_in_layers(detect_anomaly):
    """As `detect_anomaly`; its error says in which module of the network the op ran, forward and backward."""

    def __init__(self, check_nan: bool = True, check_inf: bool = True) -> None:
        super().__init__(check_nan, check_inf)
        self._places = Places(anywhere=True)

    def after_forward(self, node: Op, inputs: tuple[Any, ...], outputs: list[Tensor]) -> None:
        module, _ = self._places.here()
        try:
            super().after_forward(node, inputs, outputs)
        except RuntimeError as error:
            raise RuntimeError(f"{module}: {error}" if module else str(error)) from error
        if module and recorded(node, outputs):
            node.made_at = f"{node.made_at}, in {module}"
