"""Tensors are printed as torch prints them, character for character; a number's tensor takes a number's format."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad import nn
from minigrad.printing import get_printoptions, printoptions

TYPES = ["float16", "float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"]
OPTIONS: list[dict[str, Any]] = [
    {"precision": 2}, {"precision": 0, "linewidth": 20}, {"threshold": 5}, {"threshold": 3, "edgeitems": 1}, {"linewidth": 40},
    {"threshold": 3, "edgeitems": 0}, {"profile": "short"}, {"profile": "full"}, {"sci_mode": True}, {"sci_mode": False},
    {"profile": "short", "precision": 6}, {},
]  # fmt: skip


@pytest.fixture(autouse=True)
def _default_options_afterwards() -> Iterator[None]:
    yield
    mg.set_printoptions(profile="default")
    torch.set_printoptions(profile="default")


def hold(array: np.ndarray, device: str = "cpu") -> None:
    """Ours against torch's, which writes torch.float64 for float64, and has no GPU here."""
    ours, theirs = repr(mg.from_numpy(array).to(device)), repr(torch.from_numpy(array)).replace("torch.", "")
    note = ", device='gpu:0'" if device == "gpu" else ""
    assert note in ours and ours.replace(note, "") == theirs


def drawn(random: np.random.Generator) -> np.ndarray:
    """Numbers of any type, size and scale; some are whole, some far apart, some nought, NaN or infinite."""
    ndim = random.integers(0, 5)
    longest = [3, 8, 40, 1100][random.integers(0, [4, 4, 3, 2, 2][ndim])]
    shape = tuple(random.integers(0 if random.random() < 0.1 else 1, longest + 1, ndim))
    values = np.asarray(random.standard_normal(shape) * 10.0 ** random.integers(-6, 10))
    kind = random.integers(0, 6)
    if kind < 3:
        values = np.round(values, kind)
    elif kind == 3:
        values = values * 10.0 ** random.integers(-4, 4, shape)
    elif kind == 4:
        where = random.random(shape)
        values = np.select(
            [where < 0.1, where < 0.2, where < 0.3, where < 0.4], [np.nan, np.inf, -np.inf, -0.0], values
        )
    with np.errstate(all="ignore"):
        return np.asarray(values > 0 if (name := random.choice(TYPES)) == "bool" else values.astype(name))


@pytest.mark.parametrize("seed", range(8))
def test_random_tensors_read_as_torchs(seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(100):
        hold(drawn(random))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_options_are_torchs(options: dict[str, Any]) -> None:
    random = np.random.default_rng(3)
    mg.set_printoptions(**options)
    torch.set_printoptions(**options)
    for _ in range(40):
        hold(drawn(random))


@pytest.mark.parametrize(
    "values",
    [
        [1.0, 2.5], 3, [], [[], []], [True, False], [0.0, -0.0], [float("nan")], [float("inf"), 1.0], [1e-5, 1.0], [1e8, 1.0],
        [1e8 + 8, 1.0], [1.0, 1000.0], [1.0, 1001.0], [0.5, 501.0], [1e38], [123456789], [-1, 10], [[1.0], [22.0]], 1e-4, 9e-5,
        [1e-3, 1.0, 0.0], [99999.0, 0.1],
    ],
    ids=str,
)  # fmt: skip
def test_the_choice_of_a_format(values: Any) -> None:
    array = np.asarray(values)
    for dtype in ("float32", "float64") if array.dtype.kind == "f" else ("int64", "float32"):
        hold(array.astype(dtype))


def test_edges_alone_of_many() -> None:
    for shape in [
        (1001,),
        (1000,),
        (7, 200),
        (6, 200),
        (200, 7),
        (3, 5, 100),
        (20, 20, 20),
        (1, 1, 2000),
        (2000, 1, 1),
        (0, 9),
    ]:
        hold(np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / 3)
        hold(np.arange(np.prod(shape)).reshape(shape))
    hold(np.arange(3000.0).reshape(30, 100).T[::-1].copy())


def test_views_and_layouts() -> None:
    array = np.arange(2400, dtype=np.float32).reshape(2, 30, 40)
    for make in (
        lambda x: x.transpose(1, 2),
        lambda x: x[:, ::3],
        lambda x: x.permute(2, 0, 1),
        lambda x: x.expand(2, 30, 40),
    ):
        assert repr(make(mg.from_numpy(array))) == repr(make(torch.from_numpy(array)))


def test_on_a_device(device: str) -> None:
    hold(np.arange(5.0), device)
    hold(np.arange(3000.0).reshape(30, 100), device)


def test_graph_and_parameters() -> None:
    x = mg.ones(1, requires_grad=True)
    assert repr(x) == "tensor([1.], requires_grad=True)"
    assert repr(x * 2) == "tensor([2.], grad_fn=<Mul>)"
    assert repr(x.detach()) == str(x.detach()) == f"{x.detach()}" == "tensor([1.])"
    wide = mg.full((12,), 0.5, requires_grad=True, dtype=mg.float64)
    theirs = torch.full((12,), 0.5, requires_grad=True, dtype=torch.float64)
    assert repr(wide) == repr(theirs).replace("torch.", "")
    for shape in [(), (3,), (2, 2), (0,), (40,)]:
        ours, theirs = nn.Parameter(mg.ones(*shape)), torch.nn.Parameter(torch.ones(shape))
        assert repr(ours) == repr(theirs) and str([ours]) == str([theirs])
    assert repr(nn.Parameter(mg.ones(2), requires_grad=False)) == "Parameter containing:\ntensor([1., 1.])"
    assert repr(copy.deepcopy(x)) == repr(x)

    class Named(mg.Tensor):
        pass

    assert repr(Named([1.0])) == "Named([1.])"


def test_a_view_that_cannot_be_followed_prints() -> None:
    x = mg.ones(2)
    with mg.no_grad():
        view = x[:1]
    x.mul_(mg.ones(2, requires_grad=True))
    assert "tensor([1.]" in repr(view)


@pytest.mark.parametrize("dtype", TYPES)
def test_a_tensor_without_axes_is_formatted_as_its_number(dtype: str) -> None:
    array = np.asarray(1 if dtype == "bool" else 3.25).astype(dtype)
    ours, theirs = mg.from_numpy(array), torch.from_numpy(array)
    for spec in ("", ".4f", ">9", "08.3f", "+.1e", "g", "%", "d", "x", ",", "nonsense"):
        results = []
        for x in (ours, theirs):
            try:
                results.append(format(x, spec))
            except ValueError as error:
                results.append(str(error))
        assert results[0] == results[1], spec


def test_what_is_no_number_takes_no_format(device: str) -> None:
    loss = mg.tensor(2.34567, requires_grad=True, device=device)
    assert f"{loss:.4f} {loss * 2:6.2f} {loss}" == f"2.3457   4.69 {loss.item()}"
    for x in (mg.ones(1), mg.ones(2, 2), nn.Parameter(mg.tensor(2.5))):
        with pytest.raises(TypeError, match=f"unsupported format string passed to {type(x).__name__}"):
            f"{x:.4f}"
        assert f"{x}" == str(x) == repr(x)


def test_options_come_back() -> None:
    before = get_printoptions()
    with pytest.raises(KeyError), printoptions(precision=1, sci_mode=True):
        assert repr(mg.tensor([1.25])) == "tensor([1.2e+00])"
        raise KeyError
    assert get_printoptions() == before == {
        "precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80, "sci_mode": None
    }  # fmt: skip


@pytest.mark.parametrize("options", [{"edgeitems": mg.ones(3)}, {"precision": 2.5}, {"linewidth": "80"}])
def test_what_is_no_option_changes_none(options: dict) -> None:
    with pytest.raises((TypeError, RuntimeError)):
        mg.set_printoptions(**{"precision": 2, "linewidth": 40} | options)
    assert repr(mg.tensor([1.23456])) == "tensor([1.2346])"
