"""Multi-head attention as a function: every option against torch's, with gradients of the weights, biases and masks too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import minigrad
import minigrad.nn.functional
from tests.cases import Table
from tests.checking import Drawn, Given, check

L, S, N, E, H = 3, 4, 2, 4, 2  # queries, keys, samples, numbers of a token, heads
D = E // H

OUT = {"out_proj_weight": (E, E), "out_proj_bias": (E,)}
PACKED = {"in_proj_weight": (3 * E, E), "in_proj_bias": (3 * E,), **OUT}
WEIGHTS = {"in_proj_weight": (3 * E, E), "out_proj_weight": (E, E)}
SEPARATE = {"q_proj_weight": (E, E), "k_proj_weight": (E, 3), "v_proj_weight": (E, 5), "in_proj_bias": (3 * E,), **OUT}
SELF = {"query": (L, N, E), **PACKED}
MEMORY = {"query": (L, N, E), "key": (S, N, E), **PACKED}  # the value is the key
THREE = {"query": (L, N, E), "key": (S, N, E), "value": (S, N, E), **PACKED}
OTHER = {"query": (L, N, E), "key": (S, N, 3), "value": (S, N, 5), **SEPARATE}
ONE = {"query": (L, E), "key": (S, E), **PACKED}
LEARNED = {"bias_k": (1, 1, E), "bias_v": (1, 1, E)}

_random = np.random.default_rng(5)


def _hidden(*shape: int) -> Given:
    """Where not to look: never at all of the keys."""
    hidden = _random.random(shape) < 0.4
    hidden[..., 0] = False
    return Given(hidden)


CAUSAL = Given(np.triu(np.ones((L, L), bool), 1))
ADDED_CAUSAL = Given(np.triu(np.full((L, L), -np.inf), 1))
MASKS: dict[str, dict[str, Any]] = {
    "bool": {"attn_mask": _hidden(L, S)},
    "bool 3-d": {"attn_mask": _hidden(N * H, L, S)},
    "float": {"attn_mask": (L, S)},
    "float 3-d": {"attn_mask": (N * H, L, S)},
    "padding": {"key_padding_mask": _hidden(N, S)},
    "float padding": {"key_padding_mask": (N, S)},
    "both": {"attn_mask": _hidden(L, S), "key_padding_mask": _hidden(N, S)},
    "both 3-d": {"attn_mask": _hidden(N * H, L, S), "key_padding_mask": _hidden(N, S)},
    "both float": {"attn_mask": (L, S), "key_padding_mask": (N, S)},
}

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "self": (SELF, {}),
    "memory": (MEMORY, {}),
    "three": (THREE, {}),
    "other sizes": (OTHER, {}),
    "no biases": ({"query": (L, N, E), **WEIGHTS}, {}),
    "one sample": (ONE, {}),
    "one sample, masks": (ONE | {"attn_mask": _hidden(L, S), "key_padding_mask": _hidden(S)}, {}),
    "one sample, 3-d": (ONE | {"attn_mask": (H, L, S)}, {}),
    "heads apart": (MEMORY, {"average_attn_weights": False}),
    "heads apart, one sample": (ONE, {"average_attn_weights": False}),
    "causal": (SELF | {"attn_mask": CAUSAL}, {"is_causal": True}),
    "causal, padding": (SELF | {"attn_mask": CAUSAL, "key_padding_mask": _hidden(N, L)}, {"is_causal": True}),
    "causal, learned": (SELF | LEARNED | {"attn_mask": CAUSAL}, {"is_causal": True}),
    "causal, added": (SELF | {"attn_mask": ADDED_CAUSAL}, {"differences": False}),
    "learned": (MEMORY | LEARNED, {}),
    "learned, masks": (MEMORY | LEARNED | MASKS["both 3-d"], {}),
    "learned, float masks": (OTHER | LEARNED | MASKS["both float"], {}),
    "zeros": (MEMORY, {"add_zero_attn": True}),
    "learned and zeros": (THREE | LEARNED | MASKS["both"], {"add_zero_attn": True}),
    "given keys": (MEMORY | {"static_k": (N * H, S, D), "static_v": (N * H, S, D)}, {}),
    "no samples": ({"query": (L, 0, E), "key": (S, 0, E), **PACKED}, {}),
    "no queries": ({"query": (0, N, E), "key": (S, N, E), **PACKED}, {}),
    **{name: (MEMORY | masks, {}) for name, masks in MASKS.items()},
}


def _call(library: Any, names: list[str], width: int = E, heads: int = H, **options: Any) -> Callable[..., Any]:
    """multi_head_attention_forward of these inputs, without a None among the results."""
    options = {"bias_k": None, "bias_v": None, "add_zero_attn": False, "dropout_p": 0.0, **options}

    def call(*tensors: Any, **more: Any) -> Any:
        given = {"in_proj_weight": None, "in_proj_bias": None, "out_proj_bias": None, **options}
        given.update(zip(names, tensors, strict=True))
        query = given.pop("query")
        key = given.pop("key", query)
        value = given.pop("value", key)
        given["use_separate_proj_weight"] = "q_proj_weight" in given
        function = library.nn.functional.multi_head_attention_forward
        results = function(query, key, value, embed_dim_to_check=width, num_heads=heads, **given, **more)
        return [result for result in results if result is not None]

    return call


def _torchs(call: Callable[..., Any]) -> Callable[..., Any]:
    """By torch's own definition: its fast kernels have no second gradient."""

    def run(*args: Any, **kwargs: Any) -> Any:
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            return call(*args, **kwargs)

    return run


T = Table()
NAME = "nn.functional.multi_head_attention_forward"
for name, (inputs, options) in CASES.items():
    for need_weights in (True, False):

        def call(library: Any, *tensors: Any, names: Any = tuple(inputs), **options: Any) -> Any:
            return _call(library, names, **options)(*tensors)

        layouts = name in ("self", "other sizes")
        T.case(NAME, *inputs.values(), call=call, need_weights=need_weights, layouts=layouts, single=False, **options)


@pytest.mark.filterwarnings("ignore:Support for mismatched")
@pytest.mark.parametrize("key", T.cases)
def test_as_torch(key: str, device: str) -> None:
    T.run(key, device)


@pytest.mark.parametrize("kind", ["self", "memory"])
@pytest.mark.parametrize("need_weights", [True, False])
def test_float32(need_weights: bool, kind: str, device: str) -> None:
    """At sizes where torch's own error, the yardstick, is not a matter of luck."""
    length, samples, width, heads = 16, 4, 32, 4
    shapes = {"query": (length, samples, width), "attn_mask": (length, length)}
    shapes |= {"key": (length, samples, width)} if kind == "memory" else {}
    weights = {"in_proj_weight": (3 * width, width), "in_proj_bias": (3 * width,)}
    weights |= {"out_proj_weight": (width, width), "out_proj_bias": (width,)}
    names = [*shapes, *weights]
    calls = [_call(library, names, width, heads, need_weights=need_weights) for library in (minigrad, torch)]
    check(
        "nn.functional.multi_head_attention_forward",
        *shapes.values(),
        *[Drawn(shape, -0.3, 0.3) for shape in weights.values()],
        device=device,
        order=1,
        layouts=False,
        differences=False,
        minigrad_call=calls[0],
        torch_call=_torchs(calls[1]),
    )


@pytest.mark.filterwarnings("ignore:Support for mismatched")
@pytest.mark.parametrize("need_weights", [True, False])
def test_masks_of_two_types(need_weights: bool, device: str) -> None:
    inputs = MEMORY | {"attn_mask": (L, S), "key_padding_mask": _hidden(N, S)}
    calls = [_call(library, list(inputs), need_weights=need_weights) for library in (minigrad, torch)]
    with pytest.warns(UserWarning, match="mismatched key_padding_mask and attn_mask"):
        calls[0](*[minigrad.zeros(*x) if isinstance(x, tuple) else minigrad.tensor(x.values) for x in inputs.values()])
    check(
        "nn.functional.multi_head_attention_forward",
        *inputs.values(),
        device=device,
        layouts=False,
        float32=False,
        minigrad_call=calls[0],
        torch_call=_torchs(calls[1]),
    )


@pytest.mark.parametrize("need_weights", [True, False])
def test_a_query_that_may_look_nowhere(need_weights: bool, device: str) -> None:
    """NaN where the weights are asked for, zeros on the fast path: torch's numbers, and its gradients."""
    hidden = np.zeros((L, S), bool)
    hidden[1] = True
    inputs = MEMORY | {"attn_mask": Given(hidden)}
    calls = [_call(library, list(inputs), need_weights=need_weights) for library in (minigrad, torch)]
    check(
        "nn.functional.multi_head_attention_forward",
        *inputs.values(),
        device=device,
        order=1,
        layouts=False,
        float32=False,
        differences=not need_weights,
        minigrad_call=calls[0],
        torch_call=_torchs(calls[1]),
    )


INTEGERS = np.zeros((L, S), np.int64)
REFUSALS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "query 1-d": ({"query": (E,), **PACKED}, {}),
    "query 4-d": ({"query": (1, L, N, E), **PACKED}, {}),
    "key of one sample": (MEMORY | {"key": (S, E)}, {}),
    "more samples of key": (MEMORY | {"key": (S, N + 1, E)}, {}),
    "a sample of key": (MEMORY | {"key": (S, 1, E)}, {}),
    "other value": (THREE | {"value": (S + 1, N, E)}, {}),
    "other value, other sizes": (OTHER | {"value": (S + 1, N, 5)}, {}),
    "numbers of a token": (SELF | {"query": (L, N, E + 1)}, {}),
    "numbers of a key": (MEMORY | {"key": (S, N, E + 2)}, {}),
    "heads": (SELF, {"heads": 3}),
    "no packed weight": (dict(list(SELF.items())[:1]) | OUT, {}),
    "integer mask": (MEMORY | {"attn_mask": Given(INTEGERS)}, {}),
    "integer padding": (MEMORY | {"key_padding_mask": Given(INTEGERS[:N])}, {}),
    "mask of another type": (MEMORY | {"attn_mask": Given(np.zeros((L, S), np.float16))}, {}),
    "mask 1-d": (MEMORY | {"attn_mask": (S,)}, {}),
    "mask 4-d": (MEMORY | {"attn_mask": (1, 1, L, S)}, {}),
    "mask of another shape": (MEMORY | {"attn_mask": (S, L)}, {}),
    "mask of samples": (MEMORY | {"attn_mask": (N, L, S)}, {}),
    "mask of heads": (ONE | {"attn_mask": (N * H, L, S)}, {}),
    "padding 1-d": (MEMORY | {"key_padding_mask": (S,)}, {}),
    "padding 2-d": (ONE | {"key_padding_mask": (1, S)}, {}),
    "padding of other samples": (MEMORY | {"key_padding_mask": (N + 1, S)}, {}),
    "padding of other keys": (MEMORY | {"key_padding_mask": (N, S + 1)}, {}),
    "causal without a mask": (SELF, {"is_causal": True}),
    "one bias": (MEMORY | {"bias_k": (1, 1, E)}, {}),
    "bias and given keys": (MEMORY | LEARNED | {"static_k": (N * H, S, D)}, {}),
    "given keys of another shape": (MEMORY | {"static_k": (N, S, D)}, {}),
    "given values of another shape": (MEMORY | {"static_v": (N * H, S, E)}, {}),
}


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name: str, need_weights: bool, device: str) -> None:
    """torch's kind of exception, in one line."""
    inputs, options = REFUSALS[name]
    arrays = [np.zeros(x) if isinstance(x, tuple) else x.array() for x in inputs.values()]
    with pytest.raises(Exception) as theirs:
        _call(torch, list(inputs), need_weights=need_weights, **options)(*map(torch.from_numpy, arrays))
    with pytest.raises(theirs.type) as ours:
        _call(minigrad, list(inputs), need_weights=need_weights, **options)(
            *[minigrad.from_numpy(a).to(device) for a in arrays]
        )
    assert str(ours.value) and "\n" not in str(ours.value)
