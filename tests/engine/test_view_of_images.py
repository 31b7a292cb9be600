"""x.view(n, -1) of what image layers return: it lies channels-last here, in the order of its indices in torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
from tests.checking import check

F, TF = mg.nn.functional, torch.nn.functional

LAYERS = {
    "conv2d": lambda f, x, w: f.conv2d(x, w, padding=1),
    "relu": lambda f, x, w: f.conv2d(x, w).relu(),
    "max_pool2d": lambda f, x, w: f.max_pool2d(f.conv2d(x, w), 2),
    "avg_pool2d": lambda f, x, w: f.avg_pool2d(f.conv2d(x, w), 2),
    "adaptive_avg_pool2d": lambda f, x, w: f.adaptive_avg_pool2d(f.conv2d(x, w), 2),
    "batch_norm": lambda f, x, w: f.batch_norm(f.conv2d(x, w), None, None, training=True),
    "group_norm": lambda f, x, w: f.group_norm(f.conv2d(x, w), 2),
    "interpolate": lambda f, x, w: f.interpolate(f.conv2d(x, w), scale_factor=2),
    "conv_transpose2d": lambda f, x, w: f.conv_transpose2d(x, w.transpose(0, 1)),
    "sum of two": lambda f, x, w: f.conv2d(x, w, padding=1) + f.conv2d(x, w, padding=1),
    "softmax": lambda f, x, w: f.softmax(f.conv2d(x, w), 1),
    "gelu": lambda f, x, w: f.gelu(f.conv2d(x, w)),
}
VIEWS = {
    "(n, -1)": lambda y: y.view(y.size(0), -1),
    "(-1)": lambda y: y.view(-1),
    "(n, c, -1)": lambda y: y.view(y.shape[0], y.shape[1], -1),
    "(n, 2, c / 2, h, w)": lambda y: y.view(y.shape[0], 2, -1, *y.shape[2:]),
    "(n c, h, w)": lambda y: y.view(-1, *y.shape[2:]),
    "twice": lambda y: y.view(y.shape[0], -1).view(-1, y.shape[1], y.shape[2] * y.shape[3]),
    "view_as": lambda y: y.view_as(y.detach().reshape(y.shape[0], -1)),
    "of one image": lambda y: y[0].view(-1),
    "of some channels": lambda y: y[:, 1:3].view(y.shape[0], -1),
}


def network(f: Any, layer: str, view: str) -> Any:
    def call(x: Any, w: Any) -> Any:
        y = LAYERS[layer](f, x, w)
        return VIEWS[view](y) * 1.5, y

    return call


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("view", VIEWS)
def test_as_torch(layer: str, view: str, device: str) -> None:
    """Values, gradients and the gradients of those, and of the layer's own result beside."""
    check(
        f"{layer}.view{view}", (2, 3, 6, 6), (4, 3, 3, 3), device=device, differences=False, float32=False, layouts=False,
        minigrad_call=network(F, layer, view), torch_call=network(TF, layer, view),
    )  # fmt: skip


def images(device: str) -> tuple[mg.Tensor, mg.Tensor]:
    mg.manual_seed(1)
    x = mg.rand(2, 3, 6, 6, device=device, dtype=mg.float64, requires_grad=True)
    return x, F.conv2d(x, mg.rand(4, 3, 3, 3, device=device, dtype=mg.float64))


def test_what_is_written_is_seen_on_both_sides(device: str) -> None:
    x, y = images(device)
    v = y.view(2, -1)
    before = y.detach().clone()
    assert v._base is y
    v[0] *= 3
    y[1] += 1
    wanted = before.clone()
    wanted[0] *= 3
    wanted[1] += 1
    assert y.tolist() == wanted.tolist() and v.tolist() == wanted.reshape(2, -1).tolist()
    y.sum().backward()
    slope = x.grad.clone()
    x.grad = None
    _, y = images(device)
    x, y = images(device)
    (y * mg.tensor([3.0, 1.0], dtype=mg.float64, device=device).reshape(2, 1, 1, 1)).sum().backward()
    np.testing.assert_allclose(slope.cpu().numpy(), x.grad.cpu().numpy(), rtol=1e-12)


HOLD = {
    "a detached tensor": lambda y: y.detach(),
    "a view": lambda y: y[:, 0],
    "its numbers": lambda y: y.detach().cpu().numpy(),
    "its data": lambda y: y.data,
    "a parameter": lambda y: mg.nn.Parameter(y),
}
WRITE = {
    "add_": lambda t: t.add_(1),
    "fill_": lambda t: t.fill_(1),
    "zero_": lambda t: t.zero_(),
    "assignment": lambda t: t.__setitem__(0, 1.0),
    "copy_": lambda t: t.copy_(t * 2),
    "+=": lambda t: t.__iadd__(1),
    "relu_": lambda t: F.relu(t, inplace=True),
    "of a view": lambda t: t[0].mul_(2),
    "clamp_": lambda t: t.clamp_(0, 1),
}


@pytest.mark.parametrize("holder", HOLD)
@pytest.mark.parametrize("write", WRITE)
def test_a_change_that_would_not_be_seen_is_refused(holder: str, write: str, device: str) -> None:
    """Where somebody else holds the memory already, view() has to copy: no change is lost without an error."""
    x, y = images(device)
    held = HOLD[holder](y)
    v = y.view(2, -1)
    assert v.tolist() == y.reshape(2, -1).tolist()
    for recording in (mg.enable_grad, mg.no_grad):
        for t in (y, v):
            with recording(), pytest.raises(RuntimeError, match="view"):
                WRITE[write](t)
    if holder == "a detached tensor":
        with pytest.raises(RuntimeError, match="view"):
            WRITE[write](held)
    v.sum().backward()
    assert x.grad is not None


def test_under_a_guard(device: str) -> None:
    """The fingerprints of what was saved are taken of one order in memory."""
    x, _ = images(device)
    with mg.autograd.guard():
        y = F.conv2d(x, mg.rand(4, 3, 3, 3, device=device, dtype=mg.float64)).relu()
        z = (y * y).sum()
        (z + y.view(2, -1).exp().sum()).backward()
    assert x.grad is not None


def test_the_line_of_published_networks(device: str) -> None:
    """`x = x.view(x.size(0), -1)` in a forward, in training, with a hook that looks at the layer before."""

    class Net(mg.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = mg.nn.Sequential(mg.nn.Conv2d(3, 4, 3), mg.nn.ReLU(), mg.nn.MaxPool2d(2))
            self.classifier = mg.nn.Linear(16, 5)

        def forward(self, x: mg.Tensor) -> mg.Tensor:
            x = self.features(x)
            x = x.view(x.size(0), -1)
            return self.classifier(x)

    net = Net().to(device)
    seen: list[Any] = []
    for hook in (None, lambda module, args, result: seen.append(result.detach().cpu().numpy())):
        if hook is not None:
            net.features.register_forward_hook(hook)
        x = mg.rand(2, 3, 6, 6, device=device, requires_grad=True)
        F.cross_entropy(net(x), mg.tensor([0, 1], device=device)).backward()
        assert x.grad.shape == x.shape
    assert len(seen) == 1


def test_what_torch_refuses_is_refused() -> None:
    array = np.zeros((2, 4, 4, 3)).transpose(0, 3, 1, 2)
    for make in (
        lambda f: f.zeros(3, 4).t().view(-1),
        lambda f: f.from_numpy(array).view(2, -1),
        lambda f: f.zeros(2, 3, 4).permute(0, 2, 1).view(2, -1),
        lambda f: f.zeros(1, 3).expand(2, 3).view(-1),
        lambda f: f.zeros(2, 3, 4, 4)[:, :, 1:3].view(2, -1),
    ):
        for framework in (torch, mg):
            with pytest.raises(RuntimeError, match="view size is not compatible"):
                make(framework)
    x = mg.rand(2, 3, 6, 6)
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        F.conv2d(x, mg.rand(4, 3, 3, 3)).permute(0, 2, 3, 1)[:, 1:].transpose(1, 3).view(-1)
