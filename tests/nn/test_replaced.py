"""What a user puts in the place of minigrad's own is called: no layer goes round a module's forward or a public function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import minigrad
from tests.nn.test_layers import LAYERS, case_id

FRAMEWORKS = (minigrad, torch)
KINDS = {0: ("Conv2d", "conv2d"), 1: ("ReLU", "relu"), 2: ("MaxPool2d", "max_pool2d")}


def chain(fw: Any, seed: int = 0) -> Any:
    model = fw.nn.Sequential(fw.nn.Conv2d(2, 3, 3, padding=1), fw.nn.ReLU(), fw.nn.MaxPool2d(2)).double()
    random = np.random.default_rng(seed)
    for parameter in model.parameters():
        with fw.no_grad():
            parameter.copy_(fw.from_numpy(random.standard_normal(tuple(parameter.shape))))
    return model


def noted(seen: list[str], name: str, original: Any, change: float = 1.0) -> Any:
    def replacement(*args: Any, **kwargs: Any) -> Any:
        seen.append(name)
        return original(*args, **kwargs) * change

    return replacement


Replace = Callable[[Any, Any, Any, list[str], pytest.MonkeyPatch], None]  # framework, model, place, seen


def in_functional(fw: Any, model: Any, i: int, seen: list[str], patch: pytest.MonkeyPatch) -> None:
    name = KINDS[i][1]
    patch.setattr(fw.nn.functional, name, noted(seen, name, getattr(fw.nn.functional, name), 2.0))


def in_class(fw: Any, model: Any, i: int, seen: list[str], patch: pytest.MonkeyPatch) -> None:
    kind = getattr(fw.nn, KINDS[i][0])
    patch.setattr(kind, "forward", noted(seen, "forward", kind.forward, 2.0))


def call_of_class(fw: Any, model: Any, i: int, seen: list[str], patch: pytest.MonkeyPatch) -> None:
    kind = getattr(fw.nn, KINDS[i][0])
    patch.setattr(kind, "__call__", noted(seen, "call", kind.__call__, 2.0))


def call_of_all(fw: Any, model: Any, i: int, seen: list[str], patch: pytest.MonkeyPatch) -> None:
    original = fw.nn.Module.__call__

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(type(self).__name__)
        return original(self, *args, **kwargs)

    patch.setattr(fw.nn.Module, "__call__", call)


def in_instance(fw: Any, model: Any, i: int, seen: list[str], patch: pytest.MonkeyPatch) -> None:
    model[i].forward = noted(seen, "instance", model[i].forward, 2.0)


def in_subclass(fw: Any, model: Any, i: int, seen: list[str], patch: pytest.MonkeyPatch) -> None:
    kind = getattr(fw.nn, KINDS[i][0])
    model[i].__class__ = type("Own", (kind,), {"forward": noted(seen, "subclass", kind.forward, 2.0)})


def convolution_of_class(fw: Any, model: Any, i: int, seen: list[str], patch: pytest.MonkeyPatch) -> None:
    kind = fw.nn.Conv2d
    patch.setattr(kind, "_conv_forward", noted(seen, "_conv_forward", kind._conv_forward, 2.0))


def convolution_of_instance(fw: Any, model: Any, i: int, seen: list[str], patch: pytest.MonkeyPatch) -> None:
    model[0]._conv_forward = noted(seen, "_conv_forward", model[0]._conv_forward, 2.0)


def standardised(fw: Any, model: Any, i: int, seen: list[str], patch: pytest.MonkeyPatch) -> None:
    """Weight standardisation as it is published: a subclass whose forward hands another weight to _conv_forward."""

    class Standardised(fw.nn.Conv2d):
        def forward(self, x: Any) -> Any:
            seen.append("standardised")
            return self._conv_forward(x, self.weight - self.weight.mean((1, 2, 3), keepdim=True), self.bias)

    model[0].__class__ = Standardised


def computed_weight(fw: Any, model: Any, i: int, seen: list[str], patch: pytest.MonkeyPatch) -> None:
    """A weight that is computed at each use, as torch's parametrisations do it: a property of a subclass."""
    raw = model[0].weight
    del model[0].weight
    model[0].raw = raw

    def weight(self: Any) -> Any:
        seen.append("weight")
        return self.raw * 3

    model[0].__class__ = type("Computed", (fw.nn.Conv2d,), {"weight": property(weight)})


def hook(kind: str) -> Replace:
    def register(fw: Any, model: Any, i: int, seen: list[str], patch: pytest.MonkeyPatch) -> None:
        getattr(model[i], f"register_{kind}_hook")(lambda *args: seen.append(f"{kind} {len(args)}"))

    return register


ANY = [in_functional, in_class, call_of_class, call_of_all, in_instance, in_subclass]
ANY += [hook(kind) for kind in ("forward", "forward_pre", "full_backward", "full_backward_pre")]
OF_CONVOLUTIONS = [convolution_of_class, convolution_of_instance, standardised, computed_weight]


@pytest.mark.parametrize(
    ("replace", "i"), [(r, i) for r in ANY for i in KINDS] + [(r, 0) for r in OF_CONVOLUTIONS]
)  # fmt: skip
def test_sequential_calls_what_was_replaced(replace: Replace, i: int) -> None:
    x = np.random.default_rng(3).standard_normal((2, 2, 6, 6))
    results = []
    for fw in FRAMEWORKS:
        seen: list[str] = []
        model = chain(fw)
        with pytest.MonkeyPatch.context() as patch:
            replace(fw, model, i, seen, patch)
            given = fw.from_numpy(x.copy()).requires_grad_()
            y = model(given)
            (y**2).sum().backward()
        results.append((seen, y.detach().numpy(), given.grad.numpy()))
    assert results[0][0] == results[1][0] != []
    for ours, theirs in zip(results[0][1:], results[1][1:], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


def test_fused_again_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a weight that was only exchanged, or a pool with other settings, is no reason to run one by one."""
    calls = []
    fused = minigrad.nn.functional._conv2d_relu_max_pool2d
    monkeypatch.setattr(minigrad.nn.functional, "_conv2d_relu_max_pool2d", lambda *a: calls.append(1) or fused(*a))
    model, x = chain(minigrad), minigrad.from_numpy(np.random.default_rng(3).standard_normal((2, 2, 6, 6)))
    with pytest.MonkeyPatch.context() as patch:
        in_class(minigrad, model, 0, [], patch)
        in_functional(minigrad, model, 1, [], patch)
        doubled = model(x)
    assert calls == []
    weight = model[0].weight
    del model[0].weight
    model[0].weight = weight.detach() * 4
    model[0].bias.data = model[0].bias.data * 4
    np.testing.assert_allclose(model(x).detach().numpy(), doubled.detach().numpy(), rtol=1e-12)
    for name, value in (("stride", None), ("stride", []), ("kernel_size", [3]), ("padding", (1,))):
        setattr(model[2], name, value)
        z = x
        for module in model:
            z = module(z)
        np.testing.assert_allclose(model(x).detach().numpy(), z.detach().numpy(), rtol=1e-12)
    assert len(calls) == 5


def public_functions() -> set[str]:
    """The names that nn.functional has in both."""
    rooms = [fw.nn.functional for fw in FRAMEWORKS]
    return {
        name
        for name in set(dir(rooms[0])) & set(dir(rooms[1]))
        if not name.startswith("_") and all(callable(f) and not inspect.isclass(f) for f in (getattr(r, name) for r in rooms))
    }  # fmt: skip


def functions_called(fw: Any, case: tuple) -> set[str]:
    """Which functions of nn.functional a call of a layer goes through, where each was replaced after the layer was made."""
    name, args, kwargs, *inputs = case
    if name == "TransformerEncoder":
        args = (fw.nn.TransformerEncoderLayer(*args), 2)
    model, seen = getattr(fw.nn, name)(*args, **kwargs).double(), []
    random = np.random.default_rng(0)
    arrays = [x if isinstance(x, np.ndarray) else random.uniform(0.1, 0.9, x) for x in inputs]
    with pytest.MonkeyPatch.context() as patch:
        for function in public_functions():
            original = getattr(fw.nn.functional, function)
            patch.setattr(fw.nn.functional, function, noted_as_it_is(seen, function, original))
        model(*[fw.from_numpy(a.copy()) for a in arrays])
    return set(seen)


def noted_as_it_is(seen: list[str], name: str, original: Any) -> Any:
    def replacement(*args: Any, **kwargs: Any) -> Any:
        assert "generator" not in kwargs, "torch's signature has none"
        seen.append(name)
        return original(*args, **kwargs)

    return replacement


CLASSES, SIGNS, PAIR = np.array([0, 3, 1]), np.array([1.0, -1.0, 1.0]), [(3, 4), (3, 4)]
MORE: list[Any] = [
    ("Embedding", (5, 2), {}, CLASSES),
    ("MaxUnpool2d", (2,), {}, (1, 1, 2, 2), np.array([[[[0, 3], [9, 14]]]])),
    *[(f"{name}Loss", (), {}, *PAIR) for name in ("MSE", "L1", "SmoothL1", "Huber", "BCE", "BCEWithLogits", "KLDiv")],
    *[(f"{name}Loss", (), {}, *PAIR) for name in ("PoissonNLL", "SoftMargin")],
    *[(f"{name}Loss", (), {}, (3, 4), CLASSES) for name in ("CrossEntropy", "NLL", "MultiMargin")],
    ("CrossEntropyLoss", (), {"label_smoothing": 0.1}, *PAIR),
    ("GaussianNLLLoss", (), {}, *PAIR, (3, 4)),
    ("CosineEmbeddingLoss", (), {}, *PAIR, SIGNS),
    ("HingeEmbeddingLoss", (), {}, (3,), SIGNS),
    ("MarginRankingLoss", (), {}, (3,), (3,), SIGNS),
    ("TripletMarginLoss", (), {}, *PAIR, (3, 4)),
    *[(name, (0.5,), {}, (2, 3, 4)) for name in ("Dropout", "Dropout1d", "AlphaDropout")],
    ("Dropout2d", (0.5,), {}, (2, 3, 4, 5)),
    *[("Upsample", (), {"scale_factor": 2, "mode": mode}, (2, 3, 4, 5)) for mode in ("nearest-exact", "area")],
    ("MultiheadAttention", (8, 2), {}, *[(3, 2, 8)] * 3),
    ("MultiheadAttention", (8, 2), {"dropout": 0.1, "add_zero_attn": True, "batch_first": True}, *[(3, 2, 8)] * 3),
    ("MultiheadAttention", (8, 2), {"kdim": 4, "vdim": 6, "add_bias_kv": True}, (3, 2, 8), (5, 2, 4), (5, 2, 6)),
    *[("TransformerEncoderLayer", (8, 2, 16), {"norm_first": first}, (3, 2, 8)) for first in (False, True)],
    ("TransformerEncoder", (8, 2, 16), {}, (3, 2, 8)),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", [*LAYERS, *MORE], ids=case_id)
def test_a_layer_calls_the_functions_that_torchs_calls(case: tuple) -> None:
    ours, theirs = (functions_called(fw, case) for fw in FRAMEWORKS)
    assert theirs <= ours


def test_windows_call_the_functions_that_torchvisions_call(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    layer = minigrad.nn.WindowAttention(4, (2, 2), (1, 1), 2)
    for name in ("linear", "pad", "dropout", "scaled_dot_product_attention", "shifted_window_attention"):
        function = getattr(minigrad.nn.functional, name)
        monkeypatch.setattr(minigrad.nn.functional, name, noted_as_it_is(seen, name, function))
    layer(minigrad.ones((1, 3, 3, 4)))
    assert set(seen) == {"linear", "pad", "dropout", "scaled_dot_product_attention", "shifted_window_attention"}


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_an_activation_by_name_is_the_one_there_is_when_the_layer_is_made(activation: str) -> None:
    for fw in FRAMEWORKS:
        seen: list[str] = []
        with pytest.MonkeyPatch.context() as patch:
            original = getattr(fw.nn.functional, activation)
            patch.setattr(fw.nn.functional, activation, noted(seen, activation, original))
            layer = fw.nn.TransformerEncoderLayer(4, 2, 8, activation=activation)
        layer(fw.ones(3, 1, 4))
        assert seen == [activation]


@pytest.mark.parametrize("options", [{}, {"reduction": "none"}, {"label_smoothing": 0.1}])
def test_functions_that_torch_does_not_build_of_others_do_not_call_them(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """F.cross_entropy with F.log_softmax replaced: as torch's, it does not notice."""
    x, target = np.random.default_rng(0).standard_normal((3, 4)), np.array([0, 1, 2])
    for fw in FRAMEWORKS:
        expected = fw.nn.functional.cross_entropy(fw.from_numpy(x), fw.from_numpy(target), **options)
        for name in ("log_softmax", "nll_loss", "softmax"):
            monkeypatch.setattr(fw.nn.functional, name, lambda *a, **k: pytest.fail("called"))
        found = fw.nn.functional.cross_entropy(fw.from_numpy(x), fw.from_numpy(target), **options)
        np.testing.assert_array_equal(found.numpy(), expected.numpy())
