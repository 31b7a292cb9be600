"""torchvision, whose own files are loaded as anybody's code for torch: here is what they need beside torch's names."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

__version__ = "0.29.1"


def get_image_backend() -> str:
    """Images are Pillow's."""
    return "PIL"


def set_image_backend(backend: str) -> None:
    """Pillow is the only one."""
    if backend != "PIL":
        raise ValueError(f"Invalid backend '{backend}': images are read by PIL")


def _refused(*args: Any) -> None:
    raise NotImplementedError(
        "torchvision's compiled operators (nms, roi_align, deform_conv2d ...) are not built in minigrad"
    )


extension = SimpleNamespace(
    _HAS_OPS=False, _has_ops=lambda: False, _assert_has_ops=_refused, _load_library=lambda name: False
)
_register_onnx_ops = SimpleNamespace(_register_custom_op=lambda: None)
