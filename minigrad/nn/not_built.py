"""Layers of torch's that images do not need: they can be imported, subclassed and mentioned, and refuse when they are built."""

from __future__ import annotations

from typing import Any

from minigrad.nn.module import Module

NAMES = {
    "volumes (3-d layers)": """AdaptiveAvgPool3d AdaptiveMaxPool3d AvgPool3d BatchNorm3d CircularPad3d ConstantPad3d Conv3d
        ConvTranspose3d Dropout3d FractionalMaxPool3d InstanceNorm3d LPPool3d MaxPool3d MaxUnpool3d ReflectionPad3d
        ReplicationPad3d ZeroPad3d""",
    "recurrent layers": "GRU GRUCell LSTM LSTMCell RNN RNNBase RNNCell RNNCellBase",
    "lazy layers": """LazyBatchNorm1d LazyBatchNorm2d LazyConv1d LazyConv2d LazyConvTranspose1d LazyConvTranspose2d
        LazyInstanceNorm1d LazyInstanceNorm2d LazyLinear UninitializedParameter""",
    "sparse and sequence layers": "AdaptiveLogSoftmaxWithLoss CTCLoss EmbeddingBag",
    "this layer": "CrossMapLRN2d FractionalMaxPool2d",
}
"""What is not built -> the names of torch's classes."""


def _refusing(name: str, what: str) -> type[Module]:
    def refuse(self: Any, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(f"nn.{name}: {what} is not built in minigrad, which is made for images")

    return type(name, (Module,), {"__init__": refuse, "__doc__": f"Not built: {what}.", "__module__": __name__})


CLASSES = {name: _refusing(name, what) for what, names in NAMES.items() for name in names.split()}
globals().update(CLASSES)
__all__ = list(CLASSES)
