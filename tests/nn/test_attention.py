"""MultiheadAttention and the transformer's encoder against torch's: keys, starts, values, gradients, masks, dropout."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad import nn
from minigrad.autograd.graph import nodes, saved_bytes
from tests.checking import FLOOR_32

L, S, N = 3, 5, 2  # queries, keys, samples
pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor")  # torch, of its own fast path


def host(tensor: mg.Tensor) -> np.ndarray:
    return tensor.detach().numpy(force=True)


def twins(name: str, *args: Any, device: str = "cpu", **kwargs: Any) -> tuple[Any, Any]:
    """minigrad's layer and torch's, with the same random weights (biases and norms too), after a round trip of the state."""
    theirs = getattr(torch.nn, name)(*args, **kwargs).double()
    ours = getattr(nn, name)(*args, **kwargs).double().to(device)
    random = np.random.default_rng(0)
    with torch.no_grad():
        for p in theirs.parameters():
            p.copy_(torch.from_numpy(random.uniform(-0.7, 0.7, p.shape)))
    share(ours, theirs)
    return ours, theirs


def share(ours: Any, theirs: Any) -> None:
    """torch's weights for ours, and back, unchanged."""
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert repr(ours.load_state_dict(theirs.state_dict())) == "<All keys matched successfully>"
    back = {key: torch.from_numpy(host(value).copy()) for key, value in ours.state_dict().items()}
    before = {key: value.clone() for key, value in theirs.state_dict().items()}
    theirs.load_state_dict(back)
    assert all(torch.equal(before[key], value) for key, value in theirs.state_dict().items())


def outcome(module: Any, inputs: list[np.ndarray], cotangent_seed: int, **kwargs: Any) -> list[np.ndarray]:
    """The outputs, the gradients of the inputs and of the parameters, for random cotangents. Equal inputs are one tensor."""
    parameter = next(module.parameters())
    ours = isinstance(parameter, mg.Tensor)

    def tensor(array: np.ndarray) -> Any:
        if array.dtype.kind == "f":
            array = array.astype(str(parameter.dtype).removeprefix("torch."))
        return mg.from_numpy(array.copy()).to(parameter.device).detach() if ours else torch.from_numpy(array.copy())

    made = {id(x): tensor(x).requires_grad_() for x in {id(x): x for x in inputs}.values()}
    kwargs = {key: tensor(x) if isinstance(x, np.ndarray) else x for key, x in kwargs.items()}
    module.zero_grad()
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        results = module(*[made[id(x)] for x in inputs], **kwargs)
        results = [y for y in (results if isinstance(results, tuple) else (results,)) if y is not None]
        random = np.random.default_rng(cotangent_seed)
        sum((y * tensor(random.standard_normal(tuple(y.shape)))).sum() for y in results).backward()
    gradients = [x.grad for x in [*made.values(), *module.parameters()]]
    return [host(x) if ours else x.detach().numpy() for x in [*results, *gradients]]


def assert_equal(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    """In float64, to 1e-10 of the largest element of each array."""
    assert len(ours) == len(theirs)
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert a.shape == b.shape and a.dtype == b.dtype == np.float64, i
        assert np.abs(a - b).max(initial=0) <= 1e-10 * max(1.0, np.abs(b).max(initial=0)), i


MODULES: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    "plain": ({}, (8, 8)),
    "no bias": ({"bias": False}, (8, 8)),
    "other sizes": ({"kdim": 3, "vdim": 5}, (3, 5)),
    "other values": ({"vdim": 5}, (8, 5)),
    "learned": ({"add_bias_kv": True}, (8, 8)),
    "learned, no bias, other sizes": ({"add_bias_kv": True, "bias": False, "kdim": 3}, (3, 8)),
    "zeros": ({"add_zero_attn": True}, (8, 8)),
    "learned and zeros": ({"add_bias_kv": True, "add_zero_attn": True}, (8, 8)),
}
HIDDEN = np.array([[0, 1, 0, 0, 1], [0, 0, 1, 1, 0], [0, 0, 0, 0, 0]], bool)
PADDING = np.array([[0, 0, 0, 0, 1], [0, 0, 1, 1, 1]], bool)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("name", MODULES)
def test_multihead_attention(name: str, batch_first: bool, device: str) -> None:
    kwargs, (k_width, v_width) = MODULES[name]
    ours, theirs = twins("MultiheadAttention", 8, 4, batch_first=batch_first, device=device, **kwargs)
    random = np.random.default_rng(1)

    def draw(length: int, width: int, batched: bool = True) -> np.ndarray:
        shape = (N, length, width) if batch_first else (length, N, width)
        return random.standard_normal(shape if batched else (length, width))

    calls: list[dict[str, Any]] = [
        {},
        {"need_weights": False},
        {"average_attn_weights": False},
        {"attn_mask": HIDDEN, "key_padding_mask": PADDING},
        {"attn_mask": HIDDEN, "key_padding_mask": PADDING, "need_weights": False},
        {"attn_mask": random.standard_normal((N * 4, L, S)), "need_weights": False},
    ]
    for training in (True, False):
        ours.train(training)
        theirs.train(training)
        for call in calls:
            inputs = [draw(L, 8), draw(S, k_width), draw(S, v_width)]
            assert_equal(outcome(ours, inputs, 2, **call), outcome(theirs, inputs, 2, **call))
    inputs = [draw(L, 8, False), draw(S, k_width, False), draw(S, v_width, False)]
    for call in ({}, {"attn_mask": HIDDEN, "key_padding_mask": PADDING[1], "need_weights": False}):
        assert_equal(outcome(ours, inputs, 2, **call), outcome(theirs, inputs, 2, **call))


@pytest.mark.parametrize("batch_first", [False, True])
def test_self_attention(batch_first: bool, device: str) -> None:
    """One tensor as query, key and value: one product."""
    ours, theirs = twins("MultiheadAttention", 8, 2, batch_first=batch_first, device=device)
    x = np.random.default_rng(1).standard_normal((4, 4, 8))
    causal = np.triu(np.ones((4, 4), bool), 1)
    for call in (
        {},
        {"need_weights": False},
        {"need_weights": False, "attn_mask": causal, "is_causal": True},
        {"attn_mask": causal, "is_causal": True},
    ):
        assert_equal(outcome(ours, [x, x, x], 2, **call), outcome(theirs, [x, x, x], 2, **call))
        memory = x[::-1].copy()
        assert_equal(outcome(ours, [x, memory, memory], 2, **call), outcome(theirs, [x, memory, memory], 2, **call))


@pytest.mark.parametrize("kwargs", [{}, {"kdim": 24, "vdim": 40, "add_bias_kv": True}, {"bias": False}], ids=str)
def test_parameters_start_as_torchs(kwargs: dict[str, Any]) -> None:
    """Keys, shapes, and draws from the same distributions: by range, mean and spread over many draws."""
    mg.manual_seed(0)
    torch.manual_seed(0)
    ours = [nn.MultiheadAttention(32, 4, **kwargs) for _ in range(30)]
    theirs = [torch.nn.MultiheadAttention(32, 4, **kwargs) for _ in range(30)]
    for key, q in theirs[0].named_parameters():
        assert (
            tuple(ours[0].get_parameter(key).shape) == tuple(q.shape) and ours[0].get_parameter(key).dtype == np.float32
        )
        a = np.stack([host(layer.get_parameter(key)) for layer in ours])
        b = np.stack([layer.get_parameter(key).detach().numpy() for layer in theirs])
        spread = max(float(b.std()), 1e-12)
        np.testing.assert_allclose(a.mean(), b.mean(), atol=0.15 * spread, err_msg=key)
        np.testing.assert_allclose(a.std(), b.std(), rtol=0.1, atol=1e-12, err_msg=key)
        if "bias_" not in key:  # those are normal, the others uniform
            np.testing.assert_allclose([a.min(), a.max()], [b.min(), b.max()], rtol=0.1, err_msg=key)


@pytest.mark.parametrize("need_weights", [True, False])
def test_permuted_tokens_give_permuted_outputs(need_weights: bool, device: str) -> None:
    """Each token gets its own heads: were they merged without bringing a token's heads together, tokens would mix."""
    layer = nn.MultiheadAttention(8, 2, batch_first=True).double().to(device)
    random = np.random.default_rng(0)
    x, order = random.standard_normal((2, 6, 8)), np.array([4, 0, 5, 2, 1, 3])
    tokens, permuted = mg.tensor(x, device=device), mg.tensor(x[:, order], device=device)
    y, _ = layer(tokens, tokens, tokens, need_weights=need_weights)
    z, _ = layer(permuted, permuted, permuted, need_weights=need_weights)
    np.testing.assert_allclose(host(z), host(y)[:, order], rtol=1e-12, atol=1e-14)
    assert not np.allclose(host(y)[:, 0], host(y)[:, 1])
    one = host(layer(tokens[:1], tokens[:1], tokens[:1], need_weights=need_weights)[0])
    np.testing.assert_allclose(host(y)[:1], one, rtol=1e-12, atol=1e-14)  # nor do samples


def test_one_product_for_one_tensor() -> None:
    """Query, key and value that are one tensor, or key and value that are, go through one product with their weights."""
    layer, x = nn.MultiheadAttention(8, 2), [mg.randn(3, 1, 8) for _ in range(3)]
    for inputs, products in ((x[:1] * 3, 1), ((x[0], x[1], x[1]), 2), (x, 3)):
        y, _ = layer(*inputs, need_weights=False)
        assert sum(node.name() == "Linear" for node in nodes(y)) == products + 1  # and out_proj's


def test_bytes_kept() -> None:
    """The fast path keeps the input, q, k and v, what attention returned, and a number a query and head: nothing (L, S)."""
    layer = nn.MultiheadAttention(192, 4, batch_first=True)
    x = mg.randn(8, 64, 192)
    y, _ = layer(x, x, x, need_weights=False)
    each = x.array.nbytes  # one number for each of a token's
    logs = 8 * 4 * 64 * 4
    assert saved_bytes(y) <= each + 3 * each + each + logs + layer.out_proj.weight.array.nbytes
    slow, _ = layer(x, x, x)
    assert saved_bytes(slow) > saved_bytes(y)


# -- dropout with a generator that both frameworks share ----------------------------------------------------------------------


def dropped(x: torch.Tensor, chance: float, generator: mg.Generator) -> torch.Tensor:
    """Dropout by torch's primitives, with the mask that minigrad draws."""
    return x * torch.from_numpy(generator.uniform(0, 1, tuple(x.shape), np.float32) >= chance) / (1 - chance)


def attend(layer: torch.nn.MultiheadAttention, x: torch.Tensor, chance: float, generator: mg.Generator) -> Any:
    """Self-attention of x (N, L, E) by hand: (y, probabilities)."""
    n, length, width = x.shape
    qkv = x @ layer.in_proj_weight.T + layer.in_proj_bias
    q, k, v = qkv.reshape(n, length, 3, layer.num_heads, -1).permute(2, 0, 3, 1, 4)
    p = dropped(torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1), chance, generator)
    return (p @ v).transpose(1, 2).reshape(n, length, width) @ layer.out_proj.weight.T + layer.out_proj.bias, p


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("need_weights", [True, False])
def test_dropout_with_a_shared_generator(need_weights: bool, batch_first: bool, device: str) -> None:
    """The same masks on both paths, whatever the layout; none in evaluation."""
    _, theirs = twins("MultiheadAttention", 8, 2)
    ours = nn.MultiheadAttention(8, 2, 0.3, batch_first=batch_first, generator=mg.Generator(4)).double().to(device)
    ours.load_state_dict(theirs.state_dict())
    x = np.random.default_rng(1).standard_normal((N, 4, 8))
    their_x = torch.from_numpy(x).requires_grad_()
    y, p = attend(theirs, their_x, 0.3, mg.Generator(4))
    y.sum().backward()
    laid = mg.tensor(x if batch_first else x.swapaxes(0, 1), device=device, requires_grad=True)
    our_y, our_p = ours(laid, laid, laid, need_weights=need_weights, average_attn_weights=False)
    our_y.sum().backward()
    turn = (lambda a: a) if batch_first else (lambda a: a.swapaxes(0, 1))
    np.testing.assert_allclose(turn(host(our_y)), y.detach().numpy(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(turn(host(laid.grad)), their_x.grad.numpy(), rtol=1e-10, atol=1e-12)
    if need_weights:
        np.testing.assert_allclose(host(our_p), p.detach().numpy(), rtol=1e-10, atol=1e-12)
    for (key, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(host(a.grad), b.grad.numpy(), rtol=1e-10, atol=1e-10, err_msg=key)
    ours.eval()
    state = ours.generator.get_state()
    assert (host(ours(laid, laid, laid)[0]) == host(ours(laid, laid, laid)[0])).all()
    assert ours.generator.get_state() == state


@pytest.mark.parametrize("norm_first", [False, True])
def test_encoder_dropout_with_a_shared_generator(norm_first: bool, device: str) -> None:
    """Masks in the order of the docstring, on through the layers of an encoder."""
    kwargs = {"batch_first": True, "norm_first": norm_first}
    theirs = torch.nn.TransformerEncoder(torch.nn.TransformerEncoderLayer(8, 2, 16, **kwargs), 2).double()
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.3, generator=mg.Generator(7), **kwargs)
    ours = nn.TransformerEncoder(layer, 2).double().to(device)
    share(ours, theirs)
    generator = mg.Generator(7)

    def feed_forward(layer: Any, x: torch.Tensor) -> torch.Tensor:
        hidden = dropped(torch.relu(layer.linear1(x)), 0.3, generator)
        return dropped(layer.linear2(hidden), 0.3, generator)

    x = np.random.default_rng(1).standard_normal((N, 4, 8))
    y = torch.from_numpy(x)
    for layer in theirs.layers:
        if norm_first:
            y = y + dropped(attend(layer.self_attn, layer.norm1(y), 0.3, generator)[0], 0.3, generator)
            y = y + feed_forward(layer, layer.norm2(y))
        else:
            y = layer.norm1(y + dropped(attend(layer.self_attn, y, 0.3, generator)[0], 0.3, generator))
            y = layer.norm2(y + feed_forward(layer, y))
    our_y = ours(mg.tensor(x, device=device))
    np.testing.assert_allclose(host(our_y), y.detach().numpy(), rtol=1e-10, atol=1e-10)
    y.square().sum().backward()
    our_y.square().sum().backward()
    for (key, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        scale = max(1.0, float(b.grad.abs().max()))
        np.testing.assert_allclose(host(a.grad), b.grad.numpy(), atol=1e-10 * scale, err_msg=key)


# -- the encoder ----------------------------------------------------------------------------------------------------------

ENCODER_LAYERS: list[dict[str, Any]] = [
    {},
    {"activation": "gelu", "norm_first": True, "batch_first": True},
    {"bias": False, "layer_norm_eps": 1e-2},
    {"norm_first": True, "bias": False},
]
ENCODER_MASKS: dict[str, dict[str, Any]] = {
    "none": {},
    "bool": {"src_mask": HIDDEN[:, :3]},
    "float 3-d, padding": {
        "src_mask": np.linspace(-1, 1, N * 4 * 9).reshape(N * 4, 3, 3),
        "src_key_padding_mask": np.eye(2, 3),
    },
    "padding": {"src_key_padding_mask": PADDING[:, 2:] & [[True, True, True], [False, True, True]]},
    "causal": {"src_mask": np.triu(np.full((3, 3), -np.inf), 1), "is_causal": True},
}


@pytest.mark.parametrize("i", range(len(ENCODER_LAYERS)))
def test_encoder_layer(i: int, device: str) -> None:
    kwargs = ENCODER_LAYERS[i]
    ours, theirs = twins("TransformerEncoderLayer", 8, 4, 12, dropout=0.0, device=device, **kwargs)
    random = np.random.default_rng(3)
    x = random.standard_normal((N, 3, 8) if kwargs.get("batch_first") else (3, N, 8))
    for training in (True, False):
        ours.train(training)
        theirs.train(training)
        for masks in ENCODER_MASKS.values():
            assert_equal(outcome(ours, [x], 4, **masks), outcome(theirs, [x], 4, **masks))
    one = random.standard_normal((3, 8))
    assert_equal(outcome(ours, [one], 4), outcome(theirs, [one], 4))


def test_encoder_layer_with_other_activations(device: str) -> None:
    x = np.random.default_rng(3).standard_normal((3, N, 8))
    theirs = torch.nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, activation=torch.tanh).double()
    ours = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, activation=mg.tanh).double().to(device)
    share(ours, theirs)
    assert_equal(outcome(ours, [x], 4), outcome(theirs, [x], 4))
    theirs = torch.nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, activation=torch.nn.PReLU()).double()
    ours = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, activation=nn.PReLU()).double().to(device)
    share(ours, theirs)  # the module's own weight is among the keys
    assert_equal(outcome(ours, [x], 4), outcome(theirs, [x], 4))


@pytest.mark.parametrize("norm", [False, True])
def test_encoder(norm: bool, device: str) -> None:
    made = []
    for library in (nn, torch.nn):
        layer = library.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True)
        made.append(library.TransformerEncoder(layer, 3, library.LayerNorm(8) if norm else None).double())
    ours, theirs = made[0].to(device), made[1]
    share(ours, theirs)
    x = np.random.default_rng(3).standard_normal((N, 3, 8))
    causal = np.triu(np.full((3, 3), -np.inf), 1)
    for masks in (
        {},
        {"mask": causal},
        {"mask": causal, "is_causal": True},
        {"src_key_padding_mask": np.eye(2, 3) > 0},
    ):
        assert_equal(outcome(ours, [x], 4, **masks), outcome(theirs, [x], 4, **masks))


def test_layers_of_an_encoder_are_copies() -> None:
    """Of the same start, as in torch; with their own weights, and the layer's own generator."""
    layer = nn.TransformerEncoderLayer(8, 2, 12, generator=mg.Generator(0))
    first, second = nn.TransformerEncoder(layer, 2).layers
    assert (host(first.linear1.weight) == host(second.linear1.weight)).all()
    assert first.linear1.weight is not second.linear1.weight and first.linear1.weight is not layer.linear1.weight
    for copied in (first, second):
        assert copied.self_attn.generator is copied.dropout.generator is copied.dropout2.generator
        assert copied.self_attn.generator is layer.self_attn.generator
    assert copy.deepcopy(layer).self_attn.generator is not layer.self_attn.generator


def test_permuted_tokens_through_an_encoder(device: str) -> None:
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12), 2).double().to(device).eval()
    x, order = np.random.default_rng(0).standard_normal((5, 2, 8)), [3, 0, 4, 1, 2]
    y, z = (host(encoder(mg.tensor(a, device=device))) for a in (x, x[order]))
    np.testing.assert_allclose(z, y[order], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("need_weights", [True, False])
def test_float32_is_as_close_as_torchs(need_weights: bool, device: str) -> None:
    """At SimpleViT's sizes, no further from torch's float64 than twice torch's own float32, each array by its largest."""
    x = np.random.default_rng(5).standard_normal((2, 64, 192))
    torch.manual_seed(0)
    state = torch.nn.MultiheadAttention(192, 4, batch_first=True).state_dict()
    results = []
    for library, double in ((nn, False), (torch.nn, False), (torch.nn, True)):
        module = library.MultiheadAttention(192, 4, batch_first=True)
        module.load_state_dict(state)
        module = module.double() if double else module.to(device) if library is nn else module
        results.append(outcome(module, [x.astype(np.float32)] * 3, 2, need_weights=need_weights))
    for i, (ours, theirs, exact) in enumerate(zip(*results, strict=True)):
        error, yardstick = (np.abs(a - exact).max() / np.abs(exact).max() for a in (ours, theirs))
        assert ours.dtype == np.float32 and error <= 2 * yardstick + FLOOR_32, (i, error, yardstick)


# -- what does not fit ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "build",
    [
        lambda nn: nn.MultiheadAttention(10, 3),
        lambda nn: nn.MultiheadAttention(0, 1),
        lambda nn: nn.MultiheadAttention(4, 0),
        lambda nn: nn.MultiheadAttention(-4, 2),
        lambda nn: nn.TransformerEncoderLayer(10, 3),
        lambda nn: nn.TransformerEncoderLayer(8, 2, activation="tanh"),
        lambda nn: nn.TransformerEncoderLayer(8, 2, dropout=1.5),
    ],
)
def test_what_cannot_be_built(build: Any) -> None:
    with pytest.raises((AssertionError, RuntimeError, ValueError)) as theirs:
        build(torch.nn)
    with pytest.raises(theirs.type) as ours:
        build(nn)
    assert str(ours.value) and "\n" not in str(ours.value)


def test_errors_name_what_was_given() -> None:
    with pytest.raises(AssertionError, match="embed_dim=10 and num_heads=3"):
        nn.MultiheadAttention(10, 3)
    layer, x = nn.MultiheadAttention(8, 2, batch_first=True), mg.zeros(2, 3, 8)
    with pytest.raises(AssertionError, match=r"2D or batched 3D.*float32\[8\]"):
        layer(mg.zeros(8), mg.zeros(8), mg.zeros(8))
    with pytest.raises(RuntimeError, match=r"\(3, 4\), but should be \(3, 3\)"):
        layer(x, x, x, attn_mask=mg.zeros(3, 4))
    with pytest.raises(AssertionError, match=r"bool and floating types of attn_mask.*int64"):
        layer(x, x, x, attn_mask=mg.zeros(3, 3, dtype=mg.int64))
    with pytest.raises(AssertionError, match=r"\(2, 3\), but got \(2, 4\)"):
        layer(x, x, x, key_padding_mask=mg.zeros(2, 4))
    with pytest.raises(RuntimeError, match="attn_mask"):
        nn.TransformerEncoderLayer(8, 2)(x, is_causal=True)
