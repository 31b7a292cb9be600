"""In-place random fills: torch's distributions, types and refusals; the generator's numbers; no gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg

# Each: the call, its mean and standard deviation, and P(x <= 1).
FILLS: dict[str, tuple[tuple[Any, ...], dict[str, Any], float | None, float | None, float]] = {
    "uniform_": ((-1, 3), {}, 1.0, 4 / 12**0.5, 0.5),
    "normal_": ((1.0,), {"std": 2.0}, 1.0, 2.0, 0.5),
    "bernoulli_": ((0.3,), {}, 0.3, 0.21**0.5, 1.0),
    "random_": ((-2, 4), {}, 0.5, (35 / 12) ** 0.5, 4 / 6),
    "exponential_": ((), {"lambd": 2.0}, 0.5, 0.5, 1 - np.exp(-2)),
    "geometric_": ((0.25,), {}, 4.0, 12**0.5, 0.25),
    "cauchy_": ((1.0, 2.0), {}, None, None, 0.5),
    "log_normal_": ((0.0, 0.5), {}, np.exp(0.125), np.exp(0.125) * (np.exp(0.25) - 1) ** 0.5, 0.5),
}
every = pytest.mark.parametrize("name", FILLS)


def filled(x: mg.Tensor, name: str, **kwargs: Any) -> mg.Tensor:
    args, named, *_ = FILLS[name]
    return getattr(x, name)(*args, **named, **kwargs)


@every
def test_the_distribution(name: str) -> None:
    """Within six standard errors of what the formula says, and of what torch draws."""
    count = 200_000
    ours = filled(mg.empty(count, dtype=mg.float64), name, generator=mg.Generator(5)).numpy()
    theirs = filled(torch.empty(count, dtype=torch.float64), name).numpy()  # type: ignore[arg-type]
    _, _, mean, std, below = FILLS[name]
    for drawn in (ours, theirs):
        assert abs((drawn <= 1).mean() - below) <= 6 * 0.5 / count**0.5
        if mean is not None and std is not None:
            assert abs(drawn.mean() - mean) <= 6 * std / count**0.5
            assert abs(drawn.std() / std - 1) < 0.05


@every
def test_the_generator_decides(name: str, device: str) -> None:
    first, second = (filled(mg.empty(3, 4, device=device), name, generator=mg.Generator(7)) for _ in range(2))
    assert first.tolist() == second.tolist() and first.device == device
    mg.manual_seed(3)
    third = filled(mg.empty(3, 4), name).tolist()
    assert filled(mg.empty(3, 4), name).tolist() != third or name == "bernoulli_"
    mg.manual_seed(3)
    assert filled(mg.empty(4, 3).t(), name).tolist() == third  # whatever lies where in memory


@every
def test_it_is_in_place_and_without_a_gradient(name: str) -> None:
    base = mg.zeros(4, 5)
    view, version = base[1:3], base.version
    assert filled(view, name, generator=mg.Generator(1)) is view
    assert base[1:3].tolist() == view.tolist() and base.version == version + 1 and not base[0].any()
    x = mg.ones(3, requires_grad=True)
    y = x * 2
    filled(y, name)
    (y * y).sum().backward()
    assert x.grad.tolist() == [0.0] * 3
    for refused in (x, mg.ones(1).expand(3)):
        with pytest.raises(RuntimeError):
            filled(refused, name)
    with mg.no_grad():
        assert filled(x, name) is x and x.requires_grad


DTYPES = ["float16", "float32", "float64", "int64", "int32", "int8", "uint8", "bool"]
CALLS = [
    "uniform_()", "uniform_(1, 2)", "uniform_(2, 1)", "uniform_(to=3)", "uniform_(**{'from': 1, 'to': 2})", "uniform_('a')",
    "uniform_(0, float('inf'))", "uniform_(0, 1, 2)", "uniform_(np.float64(0), np.int64(2))", "normal_()", "normal_(1, -1)",
    "normal_(mean=1, std=0)", "normal_(fw.ones(3), 1)", "bernoulli_()", "bernoulli_(p=.3)", "bernoulli_(2)", "bernoulli_(1)",
    "bernoulli_(fw.ones(3))", "bernoulli_(fw.ones(2))", "random_()", "random_(5)", "random_(2, 5)", "random_(5, 2)",
    "random_(-3)", "random_(to=5)", "random_(**{'from': 1, 'to': 5})", "random_(0.5, 2)", "random_(300)", "random_(-5, 0)",
    "random_(0, 100000)", "exponential_()", "exponential_(0)", "exponential_(-1)", "geometric_(.3)", "geometric_(0)",
    "geometric_(1)", "geometric_()", "cauchy_()", "cauchy_(1, 2)", "cauchy_(0, 0)", "log_normal_()", "log_normal_(0, -1)",
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
def test_refused_where_torch_refuses(dtype: str) -> None:
    for call in CALLS:
        raised = []
        for framework in (torch, mg):
            x = framework.zeros(3, dtype=getattr(framework, dtype if dtype != "bool" or framework is torch else "bool"))
            try:
                y = eval(f"x.{call}", {"x": x, "fw": framework, "np": np})
                assert y is x and str(y.dtype).removeprefix("torch.") == dtype
                raised.append(None)
            except (RuntimeError, TypeError) as error:  # NotImplementedError is a RuntimeError
                raised.append(error)
        assert (raised[0] is None) == (raised[1] is None), (call, raised)
        if raised[0] is not None:
            assert isinstance(raised[1], type(raised[0])) and str(raised[1]), (call, raised)


@pytest.mark.parametrize(
    "dtype, last", [("uint8", 255), ("int8", 127), ("bool", 1), ("float16", 2**11), ("float32", 2**24)]
)
def test_random_reaches_over_the_whole_type(dtype: str, last: int) -> None:
    drawn = mg.empty(4000, dtype=np.dtype(dtype)).random_(generator=mg.Generator(0)).to(mg.float64).numpy()
    assert drawn.min() >= 0 and last * 0.98 <= drawn.max() <= last and (drawn == np.round(drawn)).all()
    wide = mg.empty(1000, dtype=mg.int64).random_(generator=mg.Generator(0)).numpy()
    assert wide.min() >= 0 and wide.max() > 2**62
