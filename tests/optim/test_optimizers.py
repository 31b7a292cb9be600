"""Every optimizer against torch's: twenty steps with every combination of options, and states that travel both ways."""

from __future__ import annotations

import copy
import itertools
import json
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad import nn, optim

torch.set_num_threads(1)

SHAPES = [(4, 3), (5,), (), (2, 3, 3, 2)]
CHOICES = {
    "SGD": {
        "momentum": [0, 0.9],
        "dampening": [0, 0.3],
        "weight_decay": [0, 0.05],
        "nesterov": [False, True],
        "maximize": [False, True],
    },
    "AdamW": {
        "betas": [(0.9, 0.999), (0.5, 0.7)],
        "eps": [1e-8, 1e-3],
        "weight_decay": [0, 0.1],
        "amsgrad": [False, True],
        "maximize": [False, True],
    },
    "Adam": {
        "betas": [(0.9, 0.999), (0.3, 0.7)],
        "weight_decay": [0, 0.1],
        "amsgrad": [False, True],
        "maximize": [False, True],
        "decoupled_weight_decay": [False, True],
    },
    "NAdam": {
        "betas": [(0.9, 0.999), (0.3, 0.7)],
        "weight_decay": [0, 0.1],
        "momentum_decay": [4e-3, 0.5],
        "decoupled_weight_decay": [False, True],
        "maximize": [False, True],
    },
    "Adamax": {
        "betas": [(0.9, 0.999), (0.3, 0.7)],
        "eps": [1e-8, 0.5],
        "weight_decay": [0, 0.1],
        "maximize": [False, True],
    },
    "RMSprop": {
        "alpha": [0.99, 0.6],
        "eps": [1e-8, 1e-2],
        "weight_decay": [0, 0.1],
        "momentum": [0, 0.9],
        "centered": [False, True],
        "maximize": [False, True],
    },
    "Adagrad": {
        "lr_decay": [0, 0.1],
        "weight_decay": [0, 0.1],
        "initial_accumulator_value": [0, 0.5],
        "eps": [1e-10, 1e-2],
        "maximize": [False, True],
    },
    "Adadelta": {
        "rho": [0.9, 0.3],
        "eps": [1e-6, 1e-2],
        "weight_decay": [0, 0.1],
        "maximize": [False, True],
    },
}


def combinations() -> list[tuple[str, dict[str, Any]]]:
    cases = []
    for name, choices in CHOICES.items():
        for values in itertools.product(*choices.values()):
            options = dict(zip(choices, values, strict=True))
            if not (options.get("nesterov") and (options["momentum"] == 0 or options["dampening"] != 0)):
                cases.append((name, options))
    return cases


def host(tensor: mg.Tensor) -> np.ndarray:
    return tensor.detach().numpy(force=True)


class Problem:
    """The same parameters in both libraries, and gradients that depend on them: g = 2 p + noise, new each step."""

    def __init__(self, dtype: Any, device: str, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.device = device
        start = [self.rng.standard_normal(shape).astype(dtype) for shape in SHAPES]
        self.ours = [nn.Parameter(mg.tensor(value, device=device)) for value in start]
        self.theirs = [torch.nn.Parameter(torch.from_numpy(np.array(value))) for value in start]

    def gradients(self) -> None:
        """Both get the same numbers: made from torch's parameters, so that only the optimizers are compared."""
        for i, (p, q) in enumerate(zip(self.ours, self.theirs, strict=True)):
            gradient = 2 * q.detach().numpy() + self.rng.standard_normal(q.shape).astype(q.detach().numpy().dtype)
            gradient = np.asarray(gradient)
            q.grad = torch.from_numpy(gradient.copy())
            if i == 0:  # not contiguous
                p.grad = mg.tensor(gradient.T.copy(), device=self.device).T.detach()
            else:
                p.grad = mg.tensor(gradient, device=self.device)

    def assert_close(self, **tolerance: float) -> None:
        for p, q in zip(self.ours, self.theirs, strict=True):
            np.testing.assert_allclose(host(p), q.detach().numpy(), **tolerance)


def tolerance(dtype: Any, centered: bool = False) -> dict[str, float]:
    """float64 to 1e-12; float32 to a few units in the last place of the parameters, whose size is about 1.

    Ten times that for RMSprop's centered variance, v - mean^2, in which most of the digits cancel.
    """
    unit = 1e-12 if dtype is np.float64 else 2e-6
    return {"rtol": unit * (10 if centered else 1), "atol": unit * (10 if centered else 1)}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("name", "options"), combinations(), ids=lambda value: str(value).replace(" ", ""))
def test_twenty_steps_are_torchs(name: str, options: dict[str, Any], dtype: Any, device: str) -> None:
    problem = Problem(dtype, device)
    ours = getattr(optim, name)(problem.ours, lr=0.05, **options)
    theirs = getattr(torch.optim, name)(problem.theirs, lr=0.05, foreach=False, **options)
    objects = [p.array for p in problem.ours]
    for _ in range(20):
        problem.gradients()
        ours.step()
        theirs.step()
    close = tolerance(dtype, options.get("centered", False))
    problem.assert_close(**close)
    assert all(p.array is array for p, array in zip(problem.ours, objects, strict=True))  # in place
    for p, q in zip(problem.ours, problem.theirs, strict=True):
        state, their_state = ours.state[p], theirs.state[q]
        assert list(state) == list(their_state)
        for key, value in their_state.items():
            np.testing.assert_allclose(host(state[key]), value.numpy(), **close, err_msg=key)
            assert state[key].dtype == value.numpy().dtype and tuple(state[key].shape) == tuple(value.shape)
            assert state[key].device == ("cpu" if key in ("step", "mu_product") else device)


@pytest.mark.parametrize("name", CHOICES)
def test_defaults_groups_and_print_out_are_torchs(name: str) -> None:
    problem = Problem(np.float32, "cpu")

    def build(lib: Any, parameters: list[Any]) -> Any:
        groups = [{"params": parameters[:2], "lr": 0.1, "weight_decay": 0.5}, {"params": iter(parameters[2:3])}]
        optimizer = getattr(lib, name)(groups, **({"lr": 0.01} if name == "SGD" else {}))
        optimizer.add_param_group({"params": parameters[3], "lr": 0.3})
        return optimizer

    ours, theirs = build(optim, problem.ours), build(torch.optim, problem.theirs)
    assert repr(ours) == repr(theirs)
    assert ours.state_dict()["param_groups"] == theirs.state_dict()["param_groups"]
    assert list(ours.state_dict()["state"]) == list(theirs.state_dict()["state"])  # Adagrad has one from the start
    assert ours.defaults == {**theirs.defaults, **ours.defaults} and list(ours.defaults) == list(theirs.defaults)
    for _ in range(3):
        problem.gradients()
        ours.step()
        theirs.step()
    problem.assert_close(**tolerance(np.float32))
    assert [list(g) for g in ours.state_dict()["param_groups"]] == [
        list(g) for g in theirs.state_dict()["param_groups"]
    ]


def as_arrays(state: Any) -> Any:
    """torch's state_dict with arrays for its tensors."""
    if isinstance(state, torch.Tensor):
        return state.numpy().copy()
    if isinstance(state, dict):
        return {key: as_arrays(value) for key, value in state.items()}
    return state


def as_torch(state: Any) -> Any:
    """Our state_dict with torch's tensors for ours."""
    if isinstance(state, mg.Tensor):
        return torch.from_numpy(np.array(host(state)))
    if isinstance(state, dict):
        return {key: as_torch(value) for key, value in state.items()}
    return state


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"momentum": 0.9, "weight_decay": 0.01}),
        ("SGD", {}),
        ("AdamW", {}),
        ("AdamW", {"amsgrad": True, "betas": (0.8, 0.9)}),
        ("Adam", {"weight_decay": 0.1}),
        ("Adam", {"amsgrad": True, "betas": (0.8, 0.9), "decoupled_weight_decay": True}),
        ("NAdam", {}),
        ("Adamax", {}),
        ("RMSprop", {}),
        ("RMSprop", {"momentum": 0.9, "centered": True}),
        ("Adagrad", {"lr_decay": 0.1, "initial_accumulator_value": 0.1}),
        ("Adadelta", {}),
    ],
    ids=str,
)
@pytest.mark.parametrize("form", ["arrays", "tensors"])
def test_states_travel_both_ways_in_mid_run(name: str, options: dict[str, Any], form: str, device: str) -> None:
    problem = Problem(np.float64, device)
    theirs = getattr(torch.optim, name)(problem.theirs, lr=0.05, **options)
    for _ in range(5):
        problem.gradients()
        theirs.step()
    # torch's run goes on in ours, with its options, whatever ours was made with
    for p, q in zip(problem.ours, problem.theirs, strict=True):
        with mg.no_grad():
            p.copy_(mg.tensor(q.detach().numpy()))
    ours = getattr(optim, name)(problem.ours, lr=123.0)
    ours.load_state_dict(as_arrays(theirs.state_dict()) if form == "arrays" else theirs.state_dict())
    assert ours.param_groups[0]["lr"] == 0.05
    for _ in range(5):
        problem.gradients()
        ours.step()
        theirs.step()
    problem.assert_close(rtol=1e-12, atol=1e-12)
    # and ours goes on in torch's
    third = [torch.nn.Parameter(torch.from_numpy(np.array(host(p)))) for p in problem.ours]
    again = getattr(torch.optim, name)(third, lr=123.0)
    again.load_state_dict(as_torch(ours.state_dict()))
    for _ in range(5):
        problem.gradients()
        for p, q in zip(third, problem.theirs, strict=True):
            p.grad = q.grad.clone()
        ours.step()
        again.step()
    # torch turns a loaded mu_product of NAdam, float32 in its own run as in ours, into the parameters' float64
    accuracy = 1e-6 if name == "NAdam" else 1e-12
    for p, q in zip(problem.ours, third, strict=True):
        np.testing.assert_allclose(host(p), q.detach().numpy(), rtol=accuracy, atol=accuracy)


def test_loaded_state_is_a_copy_of_the_parameters_type(device: str) -> None:
    problem = Problem(np.float32, device)
    ours = optim.AdamW(problem.ours)
    problem.gradients()
    ours.step()
    state = copy.deepcopy(ours.state_dict())
    for values in state["state"].values():
        values["exp_avg"] = host(values["exp_avg"]).astype(np.float64)  # as a file might have it
    other = optim.AdamW(problem.ours)
    other.load_state_dict(state)
    for p in problem.ours:
        assert other.state[p]["exp_avg"].dtype == np.float32 and other.state[p]["exp_avg"].device == device
        assert other.state[p]["step"].dtype == np.float32 and other.state[p]["step"].device == "cpu"
    problem.gradients()
    other.step()
    assert all(float(values["step"]) == 1 for values in state["state"].values())
    assert float(other.state[problem.ours[0]]["step"]) == 2
    json.dumps(state["param_groups"])  # options are plain


def test_adams_state_goes_on_as_adamw() -> None:
    problem = Problem(np.float64, "cpu")
    adam = torch.optim.Adam(problem.theirs)
    problem.gradients()
    adam.step()
    ours = optim.AdamW(problem.ours)
    ours.load_state_dict(adam.state_dict())
    assert ours.param_groups[0]["decoupled_weight_decay"] is True


def test_step_as_a_plain_number_is_taken() -> None:
    """Checkpoints from before torch kept the count in a tensor."""
    problem = Problem(np.float64, "cpu")
    ours, theirs = optim.Adam(problem.ours), torch.optim.Adam(problem.theirs)
    problem.gradients()
    theirs.step()
    with mg.no_grad():
        for p, q in zip(problem.ours, problem.theirs, strict=True):
            p.copy_(mg.tensor(q.detach().numpy()))
    state = theirs.state_dict()
    ours.load_state_dict({**state, "state": {i: {**s, "step": int(s["step"])} for i, s in state["state"].items()}})
    problem.gradients()
    ours.step()
    theirs.step()
    problem.assert_close(rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in CHOICES if name != "SGD"])
@pytest.mark.filterwarnings("error")
def test_zero_over_zero_gives_nan_without_a_word(name: str, device: str) -> None:
    """A gradient of 0 and eps of 0: torch's NaN, and nothing on the screen."""
    start, gradient = [1.0, 2.0, 3.0], [0.0, 1.0, np.inf]
    p = nn.Parameter(mg.tensor(start, dtype=mg.float64, device=device))
    q = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
    p.grad = mg.tensor(gradient, dtype=mg.float64, device=device)
    q.grad = torch.tensor(gradient, dtype=torch.float64)
    getattr(optim, name)([p], eps=0.0).step()
    getattr(torch.optim, name)([q], eps=0.0, foreach=False).step()
    np.testing.assert_allclose(host(p), q.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_load_refuses_what_does_not_fit_and_changes_nothing(name: str) -> None:
    problem = Problem(np.float32, "cpu")
    ours = getattr(optim, name)(problem.ours, lr=0.1, **({"momentum": 0.9} if name == "SGD" else {}))
    problem.gradients()
    ours.step()
    good = copy.deepcopy(ours.state_dict())
    key = "momentum_buffer" if name == "SGD" else "exp_avg"

    def broken(change: Any) -> dict[str, Any]:
        state = copy.deepcopy(good)
        state["param_groups"][0]["lr"] = 77
        change(state)
        return state

    def more_groups(state: Any) -> None:
        state["param_groups"].append(state["param_groups"][0])

    def fewer_parameters(state: Any) -> None:
        state["param_groups"][0]["params"].pop()

    def wrong_shape(state: Any) -> None:
        state["state"][1][key] = mg.zeros((6,))

    def nobodys(state: Any) -> None:
        state["state"][9] = state["state"][1]

    for change, message in (
        (more_groups, "different number of parameter groups"),
        (fewer_parameters, "doesn't match the size"),
        (wrong_shape, r"of shape \(6,\) for a parameter of shape \(5,\)"),
        (nobodys, "in none of its groups"),
    ):
        with pytest.raises(ValueError, match=message):
            ours.load_state_dict(broken(change))
    assert ours.param_groups[0]["lr"] == 0.1
    np.testing.assert_array_equal(host(ours.state[problem.ours[1]][key]), host(good["state"][1][key]))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"lr": -1.0}),
        ("SGD", {"momentum": -0.1}),
        ("SGD", {"weight_decay": -0.1}),
        ("SGD", {"nesterov": True}),
        ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
        ("AdamW", {"lr": -1.0}),
        ("AdamW", {"eps": -1.0}),
        ("AdamW", {"betas": (1.0, 0.9)}),
        ("AdamW", {"betas": (0.9, -0.1)}),
        ("AdamW", {"weight_decay": -1.0}),
        ("Adam", {"lr": -1.0}),
        ("Adam", {"betas": (0.9, 1.0)}),
        ("NAdam", {"momentum_decay": -1.0}),
        ("NAdam", {"betas": (-0.1, 0.9)}),
        ("Adamax", {"eps": -1.0}),
        ("Adamax", {"weight_decay": -1.0}),
        ("RMSprop", {"alpha": -1.0}),
        ("RMSprop", {"momentum": -1.0}),
        ("Adagrad", {"lr_decay": -1.0}),
        ("Adagrad", {"initial_accumulator_value": -1.0}),
        ("Adadelta", {"rho": 1.5}),
        ("Adadelta", {"lr": -1.5}),
    ],
    ids=str,
)
def test_bad_options_are_refused_in_torchs_words(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as theirs:
        getattr(torch.optim, name)([torch.nn.Parameter(torch.zeros(1))], **options)
    with pytest.raises(ValueError) as ours:
        getattr(optim, name)([nn.Parameter(mg.zeros(1))], **options)
    assert str(ours.value) == str(theirs.value)


def test_what_is_not_built_says_so() -> None:
    p = nn.Parameter(mg.zeros(1))
    for build in (
        lambda: optim.SGD([p], differentiable=True),
        lambda: optim.AdamW([p], capturable=True),
        lambda: optim.RMSprop([p], capturable=True),
        lambda: optim.SGD([p], lr=mg.tensor(0.1)),
    ):
        with pytest.raises(NotImplementedError):
            build()


@pytest.mark.parametrize(
    "build",
    [
        lambda SGD, p, x: SGD([]),
        lambda SGD, p, x: SGD(p),
        lambda SGD, p, x: SGD([3]),
        lambda SGD, p, x: SGD([x * 2]),
        lambda SGD, p, x: SGD([{"params": {p}}]),
        lambda SGD, p, x: SGD([{"params": [p]}, {"params": [p]}]),
        lambda SGD, p, x: SGD([("a", p), x]),
        lambda SGD, p, x: SGD([p]).add_param_group([x]),
        lambda SGD, p, x: SGD([{"params": [("a", p)]}, {"params": [x]}]),
    ],
)
def test_bad_parameters_are_refused_as_in_torch(build: Any) -> None:
    with pytest.raises((ValueError, TypeError)) as theirs:
        build(torch.optim.SGD, torch.nn.Parameter(torch.zeros(1)), torch.zeros(1, requires_grad=True))
    with pytest.raises(theirs.type):
        build(optim.SGD, nn.Parameter(mg.zeros(1)), mg.zeros(1, requires_grad=True))


def test_names_of_parameters() -> None:
    ours = optim.SGD(nn.Linear(2, 3).named_parameters())
    theirs = torch.optim.SGD(torch.nn.Linear(2, 3).named_parameters())
    assert ours.state_dict() == theirs.state_dict()
    assert ours.param_groups[0]["param_names"] == ["weight", "bias"]
    plain = ours.state_dict()
    del plain["param_groups"][0]["param_names"]
    ours.load_state_dict(plain)
    assert ours.param_groups[0]["param_names"] == ["weight", "bias"]


def test_duplicates_in_a_group_warn() -> None:
    p = nn.Parameter(mg.zeros(1))
    with pytest.warns(UserWarning, match="duplicate"):
        optim.SGD([p, p])


def test_a_set_of_parameters_warns() -> None:
    with pytest.warns(FutureWarning, match="ordered collections"):
        optim.SGD({nn.Parameter(mg.zeros(1))})


def test_step_with_closure_and_without_gradients() -> None:
    p, q = nn.Parameter(mg.tensor([1.0, 2.0])), nn.Parameter(mg.tensor([1.0]))
    optimizer = optim.SGD([p, q], lr=0.5, weight_decay=0.1)

    def closure() -> mg.Tensor:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with mg.no_grad():
        loss = optimizer.step(closure)  # the closure records all the same
    assert float(loss) == 5
    np.testing.assert_allclose(host(p), [1 - 0.5 * 2.1, 2 - 0.5 * 4.2], rtol=1e-6)
    assert host(q).tolist() == [1.0]  # no gradient: no weight decay either
    assert list(optimizer.state) == []


def test_step_counts_as_a_change_of_the_parameters() -> None:
    p = nn.Parameter(mg.ones(2))
    y = (p * p).sum()
    p.grad = mg.ones(2)
    optim.SGD([p], lr=0.1).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_zero_grad(device: str) -> None:
    problem = Problem(np.float32, device)
    optimizer = optim.SGD(problem.ours)
    problem.gradients()
    optimizer.zero_grad(set_to_none=False)
    assert all(not host(p.grad).any() for p in problem.ours)
    optimizer.zero_grad()
    assert all(p.grad is None for p in problem.ours)


def test_optimizer_follows_a_model_that_moves(device: str) -> None:
    model = nn.Linear(2, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    model.to(device)
    model(mg.ones((1, 2), device=device)).sum().backward()
    before = host(model.weight).copy()
    optimizer.step()
    np.testing.assert_allclose(host(model.weight), before - 0.1, rtol=1e-6)


def test_own_optimizer() -> None:
    class SignSGD(optim.Optimizer):
        def __init__(self, params: Any, lr: float) -> None:
            super().__init__(params, {"lr": lr})

        def _update(self, parameter: mg.Tensor, group: dict[str, Any]) -> None:
            parameter.array -= group["lr"] * np.sign(parameter.grad.array)

    p = nn.Parameter(mg.tensor([1.0, 2.0]))
    p.grad = mg.tensor([3.0, -3.0])
    SignSGD([p], lr=0.5).step()
    assert host(p).tolist() == [0.5, 2.5]
    with pytest.raises(NotImplementedError, match="apply_single"):
        optim.Optimizer([p], {}).step()


def test_own_optimizer_that_declares_its_state() -> None:
    class Mean(optim.Optimizer):
        """p <- p - lr m, m the mean of all gradients so far."""

        averages = {"total": None, "unused": "extra"}

        def __init__(self, params: Any, lr: float, extra: bool = False) -> None:
            super().__init__(params, {"lr": lr, "extra": extra})

        def apply_single(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
            state["total"] += g
            p -= group["lr"] * state["total"] / int(state["step"])

    p = nn.Parameter(mg.tensor([1.0, 2.0]))
    optimizer = Mean([p], lr=0.5)
    for g in (3.0, 1.0):
        p.grad = mg.tensor([g, -g])
        optimizer.step()
    assert host(p).tolist() == [1 - 1.5 - 1.0, 2 + 1.5 + 1.0]
    state = optimizer.state_dict()["state"][0]
    assert list(state) == ["step", "total"] and state["step"].item() == 2 and state["total"].tolist() == [4.0, -4.0]
    other = Mean([nn.Parameter(mg.zeros(2))], lr=0.1)
    other.load_state_dict(optimizer.state_dict())
    assert other.state_dict()["state"][0]["total"].tolist() == [4.0, -4.0] and other.param_groups[0]["lr"] == 0.5


# ---- hooks -----------------------------------------------------------------------------------------------------------


def run_hooks(lib: Any, parameter: Any, gradient: Any) -> list[Any]:
    """Everything that an optimizer's hooks saw, in order."""
    seen: list[Any] = []
    optimizer = lib.SGD([parameter], lr=0.5)
    parameter.grad = gradient

    def before(o: Any, args: tuple, kwargs: dict) -> Any:
        seen.append(["before", o is optimizer, args[0] is optimizer, args[1:], dict(kwargs), parameter.tolist()])
        return (optimizer, lambda: "another"), {}

    def after(o: Any, args: tuple, kwargs: dict) -> None:
        seen.append(["after", args[1](), kwargs, parameter.tolist()])

    first, second = optimizer.register_step_pre_hook(before), optimizer.register_step_post_hook(after)
    seen.append(optimizer.step())
    first.remove()
    second.remove()
    seen.append(optimizer.step())
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 3)
    try:
        optimizer.step()
    except RuntimeError:
        seen.append("refused")
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("state pre"))
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("state pre, first"), prepend=True)
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "epoch": 3})
    state = optimizer.state_dict()
    seen.append(state["epoch"])
    optimizer.register_load_state_dict_pre_hook(lambda o, state: seen.append(state.pop("epoch")))
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append(o.param_groups[0]["lr"]))
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append("load post, first"), prepend=True)
    state["param_groups"][0]["lr"] = 0.25
    optimizer.load_state_dict(state)
    seen.append("epoch" in state)  # the caller's dictionary stays whole
    return seen


def test_hooks_are_torchs() -> None:
    ours = run_hooks(optim, nn.Parameter(mg.tensor([1.0, 2.0])), mg.tensor([2.0, 2.0]))
    theirs = run_hooks(torch.optim, torch.nn.Parameter(torch.tensor([1.0, 2.0])), torch.tensor([2.0, 2.0]))
    assert ours == theirs
    assert len(ours) == 12


def test_an_optimizer_with_its_own_step_has_hooks() -> None:
    class Own(optim.Optimizer):
        def step(self, closure: Any = None) -> str:
            return "stepped"

    seen: list[str] = []
    optimizer = Own([nn.Parameter(mg.zeros(1))], {"lr": 1.0})
    optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append("before"))
    optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append("after"))
    assert optimizer.step() == "stepped" and seen == ["before", "after"]


def test_copies_have_no_hooks_but_the_state() -> None:
    p = nn.Parameter(mg.tensor([1.0]))
    p.grad = mg.tensor([1.0])
    optimizer = optim.Adam([p])
    optimizer.register_step_pre_hook(lambda o, args, kwargs: None)
    optimizer.step()
    other = copy.deepcopy(optimizer)
    assert not other._step_pre_hooks and len(optimizer._step_pre_hooks) == 1
    assert float(next(iter(other.state.values()))["step"]) == 1
    other.register_step_pre_hook(lambda o, args, kwargs: None)
    other.step()


@pytest.mark.parametrize("library", [torch, mg])
def test_an_optimizer_around_another(library: Any) -> None:
    """Wrappers set torch's attributes themselves, or call no constructor at all."""

    class Lookahead(library.optim.Optimizer):  # type: ignore[name-defined, misc]
        def __init__(self, inner: Any, hooks: bool) -> None:
            self.inner, self.param_groups, self.state, self.defaults = inner, inner.param_groups, {}, inner.defaults
            if hooks:
                self._optimizer_step_post_hooks: Any = OrderedDict()
                self._optimizer_state_dict_pre_hooks: Any = OrderedDict()
                self._optimizer_state_dict_post_hooks: Any = OrderedDict()

        def step(self, closure: Any = None) -> Any:
            return self.inner.step(closure)

    p = library.nn.Parameter(library.ones(2))
    p.grad = library.ones(2)
    for hooks in (True, False):
        wrapper = Lookahead(library.optim.SGD([p], 0.25), hooks)
        wrapper.step()
        if hooks:
            assert wrapper.state_dict()["param_groups"][0]["lr"] == 0.25
            wrapper.register_step_post_hook(lambda *given: None)
        else:
            with pytest.raises((AttributeError, TypeError)):
                wrapper.register_step_post_hook(lambda *given: None)
    assert p.tolist() == [0.5, 0.5]
