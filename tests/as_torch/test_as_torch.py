"""Code written for PyTorch runs on minigrad unchanged, and the rest of the process keeps the real torch."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg

ROOT = Path(__file__).resolve().parent.parent.parent
FOREIGN = Path(__file__).parent / "foreign"


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Any:
    """(the network's file loaded with torch, the same file loaded with minigrad)."""
    monkeypatch.syspath_prepend(str(FOREIGN))
    sys.modules.pop("network", None)
    import network as theirs

    with mg.as_torch():
        import network as ours
    yield theirs, ours
    sys.modules.pop("network", None)


def test_the_same_file_in_both(both: Any) -> None:
    theirs, ours = both
    assert theirs is not ours and theirs.torch is torch and sys.modules["torch"] is torch
    reference, model = theirs.Net().double(), ours.Net().double()
    assert isinstance(model, mg.nn.Module) and list(model.state_dict()) == list(reference.state_dict())
    model.load_state_dict({k: mg.tensor(v.numpy()) for k, v in reference.state_dict().items()})
    x = np.random.default_rng(0).uniform(-1, 1, (2, 3, 8, 8))
    weights = np.random.default_rng(1).uniform(-1, 1, (2, 5))
    y, expected = model(mg.tensor(x)), reference(torch.tensor(x))
    (y * mg.tensor(weights)).sum().backward()
    (expected * torch.tensor(weights)).sum().backward()
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), rtol=0, atol=1e-12)
    for (name, p), q in zip(model.named_parameters(), reference.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=0, atol=1e-11, err_msg=name)


def test_an_import_that_comes_later_is_minigrads_too(both: Any) -> None:
    theirs, ours = both
    assert ours.imported_later() is mg.nn.Linear and theirs.imported_later() is torch.nn.Linear
    assert ours.initialised().kaiming_normal_ is mg.nn.init.kaiming_normal_
    assert theirs.initialised() is torch.nn.init and issubclass(ours.Loss, mg.nn.Module)
    assert sys.modules["torch"] is torch


def test_what_is_missing_is_named(both: Any) -> None:
    ours = both[1]
    with pytest.raises(AttributeError, match=r"minigrad has no torch.vmap \(.*network.py:\d+\)"):
        ours.missing()
    with pytest.raises(NotImplementedError, match="nn.Conv3d.*not built in minigrad"):
        ours.volume()
    with pytest.raises(NotImplementedError, match="fetches nothing from the network"):
        ours.pretrained()
    with mg.as_torch(), pytest.raises(ModuleNotFoundError, match="torch.export"):
        importlib.import_module("torch.export")


def test_contexts_nest_and_an_error_puts_torch_back() -> None:
    with pytest.raises(KeyError):
        with mg.as_torch(), mg.as_torch():
            import torch as inner

            assert inner.Tensor is mg.Tensor and inner.nn.functional.relu is mg.nn.functional.relu
            raise KeyError
    assert sys.modules["torch"] is torch
    import torch.nn.functional as F

    assert F.relu is torch.nn.functional.relu and F.relu is not mg.nn.functional.relu


def test_a_whole_script() -> None:
    command = [sys.executable, "-m", "minigrad.as_torch", str(FOREIGN / "script.py"), "--epochs", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("library minigrad, loss ") and done.stdout.rstrip().endswith("of 8 right")
    assert done.stderr.count("autocast has no effect") == 1


@pytest.mark.parametrize("arguments", [[], ["nowhere.py"], ["--help"]])
def test_bad_command_lines(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "minigrad.as_torch", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1


def test_torchvisions_transforms_give_minigrads_tensors() -> None:
    image = pytest.importorskip("PIL.Image").fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    with mg.as_torch():
        from torchvision import transforms as ours
    import torchvision

    steps = [("ToTensor", ()), ("Normalize", ((0.5,) * 3, (0.25,) * 3))]
    y = ours.Compose([getattr(ours, name)(*args) for name, args in steps])(image)
    theirs = torchvision.transforms
    expected = theirs.Compose([getattr(theirs, name)(*args) for name, args in steps])(image)
    assert isinstance(y, mg.Tensor) and isinstance(expected, torch.Tensor)
    np.testing.assert_array_equal(y.numpy(), expected.numpy())


def test_the_page_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("einops")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", list(sys.path))
    sys.modules.pop("network", None)
    text = (ROOT / "docs" / "as_torch.md").read_text()
    space: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, "docs/as_torch.md", "exec"), space)
    sys.modules.pop("network", None)
    assert len(space["found"].rows) > 10


def test_torchvisions_own_files_run_on_minigrad() -> None:
    """Networks, layers, transforms and utilities of torchvision are loaded as anybody's code for torch."""
    torchvision = pytest.importorskip("torchvision")
    with mg.as_torch():
        from torchvision import models, ops, transforms, utils
    assert models.resnet is not torchvision.models.resnet and sys.modules["torchvision"] is torchvision
    found = []
    for library, of in (
        (torch, torchvision),
        (mg, SimpleNamespace(models=models, ops=ops, transforms=transforms, utils=utils)),
    ):
        model = of.models.squeezenet1_1(num_classes=4).double().eval()
        assert isinstance(model, library.nn.Module)
        with library.no_grad():
            for k, p in enumerate(model.parameters()):
                p.copy_(library.tensor(np.random.default_rng(k).uniform(-0.2, 0.2, tuple(p.shape))))
        x = library.tensor(np.random.default_rng(0).uniform(0, 1, (2, 3, 32, 32)), requires_grad=True)
        model(x).sum().backward()
        layer = of.ops.SqueezeExcitation(3, 2).double()
        with library.no_grad():
            for p in layer.parameters():
                p.fill_(0.25)
        turned = of.transforms.functional.rotate(x.detach(), 30.0)
        found.append([y.detach().numpy() for y in (model(x), x.grad, layer(x), utils_grid(of, x), turned)])
        frozen = of.ops.FrozenBatchNorm2d(3)
        assert list(frozen.state_dict()) == ["weight", "bias", "running_mean", "running_var"]
    for theirs, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)
    with pytest.raises(NotImplementedError, match="compiled operators"):
        ops.nms(mg.ones(2, 4), mg.ones(2), 0.5)


def utils_grid(of: Any, x: Any) -> Any:
    return of.utils.make_grid(x.detach(), normalize=True)


def test_modules_that_refuse_can_be_imported_and_mentioned() -> None:
    with mg.as_torch():
        import torch.onnx as onnx
        import torch.utils.cpp_extension
        from torch.fx import Tracer, wrap

        class Mine(Tracer):
            pass

        assert wrap(len) is len and torch.version.cuda is None and torch.__version__[0] == "2"
        for call in (onnx.export, Mine):
            with pytest.raises(
                NotImplementedError, match=r"torch\.\w+\.\w+ is not built in minigrad \(.*py:\d+\)|Mine"
            ):
                call()
        with pytest.raises(AttributeError, match="minigrad has no torch._C.nothing"):
            _ = torch._C.nothing
