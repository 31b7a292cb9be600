"""Networks as ONNX files: onnxruntime computes the same logits as minigrad, and as PyTorch, for any size of batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import nn
from minigrad.errors import OptionError
from models import create
from tests.commands.conftest import Call

VIT: dict[str, Any] = {"patch_size": 4, "dim": 32, "depth": 2, "window_blocks": [0]}
NETWORKS: list[tuple[str, dict[str, Any]]] = [
    ("simplenet", {}),
    ("simplenet-bn", {}),
    ("resnet18", {}),
    ("vit", VIT),
    ("vit", {**VIT, "shift": True, "relative_positions": True, "window_blocks": [0, 1]}),
]


def stirred(model: nn.Module) -> nn.Module:
    """The model with biases and running statistics that are not what they begin as."""
    with minigrad.no_grad():
        for key, value in model.state_dict().items():
            if "running_var" in key:
                value.uniform_(0.5, 2)
            elif value.dtype.kind == "f" and ("running_mean" in key or "bias" in key or "position" in key):
                value.normal_()
    return model.eval()


@pytest.mark.parametrize(("name", "settings"), NETWORKS, ids=str)
def test_onnxruntime_and_torch_agree(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    from minigrad.onnx_export import to_onnx

    minigrad.manual_seed(5)
    model = stirred(create(name, 10, 3, 32, **settings))
    to_onnx(model, tmp_path / "model.onnx", (3, 32, 32))
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for count in (1, 4):
        images = np.random.default_rng(count).standard_normal((count, 3, 32, 32)).astype(np.float32)
        (found,) = session.run(None, {"images": images})
        with minigrad.no_grad():
            expected = model(minigrad.from_numpy(images)).numpy()
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
        if (torch := pytest.importorskip("torch")) is not None:
            from models.reference import create as create_reference

            theirs = create_reference(name, 10, 3, 32, **settings).eval()
            theirs.load_state_dict(minigrad.to_torch_state_dict(model))
            with torch.no_grad():
                beside = theirs(torch.from_numpy(images)).numpy()
            assert np.abs(found - beside).max() <= 1e-5 * np.abs(beside).max()


def test_what_has_no_counterpart_is_named(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from minigrad.onnx_export import to_onnx

    class Odd(nn.Module):
        def forward(self, x: minigrad.Tensor) -> minigrad.Tensor:
            return x.cumsum(1)

    with pytest.raises(OptionError, match="no counterpart in ONNX"):
        to_onnx(Odd(), tmp_path / "odd.onnx", (3, 8, 8))
    assert not (tmp_path / "odd.onnx").exists()


def test_the_command_says_what_is_missing_or_writes_the_file(call: Call, tmp_path: Path) -> None:
    from minigrad.commands.network import EMBEDDED_WEIGHTS

    code, out, err = call("convert", str(EMBEDDED_WEIGHTS), "bn.onnx")
    try:
        import onnx
    except ImportError:
        assert code == 2 and "pip install onnx" in err and err.count("\n") == 1
        return
    assert code == 0 and out.startswith("bn.onnx: ")
    onnx.checker.check_model(str(tmp_path / "bn.onnx"))
    assert call("convert", str(EMBEDDED_WEIGHTS), "bn.onnx")[0] == 2
    assert call("convert", "bn.onnx", "bn.safetensors")[0] == 2
