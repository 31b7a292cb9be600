"""Every switch, as a context and as a decorator of all that can be called: twice, nested, with errors, across threads."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import torch

import minigrad as mg
from minigrad import nn
from minigrad.attacks import untouched
from minigrad.autograd import (
    Observer,
    guard,
    is_anomaly_enabled,
    is_guard_enabled,
    profile,
    saved_tensors_hooks,
    set_detect_anomaly,
    set_guard,
)
from minigrad.grad_mode import is_definitions, state

WATCH = Observer()
PROFILE = profile()
HOOKS = saved_tensors_hooks(lambda x: x, lambda x: x)
MODEL = nn.Sequential(nn.Linear(2, 2), nn.Dropout())


def told(observer: Any) -> Callable[[], bool]:
    return lambda: observer in state.observers


def recording() -> bool:
    return not mg.is_grad_enabled()


# Each: how to make the switch, and whether it is on.
SWITCHES: dict[str, tuple[Callable[[], Any], Callable[[], bool]]] = {
    "no_grad": (mg.no_grad, recording),
    "inference_mode": (mg.inference_mode, recording),
    "set_grad_enabled": (lambda: mg.set_grad_enabled(False), recording),
    "definitions": (mg.definitions, lambda: is_definitions("conv2d")),
    "definitions(conv2d)": (lambda: mg.definitions("conv2d"), lambda: is_definitions("conv2d")),
    "guard": (guard, is_guard_enabled),
    "set_guard": (lambda: set_guard(True), is_guard_enabled),
    "detect_anomaly": (mg.detect_anomaly, is_anomaly_enabled),
    "set_detect_anomaly": (lambda: set_detect_anomaly(True), is_anomaly_enabled),
    "Observer": (lambda: WATCH, told(WATCH)),
    "profile": (lambda: PROFILE, told(PROFILE)),
    "saved_tensors_hooks": (lambda: HOOKS, told(HOOKS)),
    "untouched": (lambda: untouched(MODEL), lambda: not (MODEL[1].training or MODEL[0].weight.requires_grad)),
}
every = pytest.mark.parametrize("make, on", SWITCHES.values(), ids=SWITCHES)
of_a_thread = pytest.mark.parametrize("make, on", [v for k, v in SWITCHES.items() if k != "untouched"])
BARE = [mg.no_grad, mg.enable_grad, mg.inference_mode, mg.definitions, guard, mg.detect_anomaly, profile]


@pytest.fixture(autouse=True)
def _all_off_afterwards() -> Iterator[None]:
    yield
    still_on = [name for name, (_, on) in SWITCHES.items() if on()]
    entered, state.entered[:] = list(state.entered), []
    state.grad, state.definitions, state.observers = True, False, ()
    assert not still_on and not entered


@every
def test_as_a_context_twice_and_nested_in_itself(make: Any, on: Any) -> None:
    switch = make()
    for _ in range(2):
        with switch:
            assert on()
            with switch:
                assert on()
                with make():
                    assert on()
                assert on()
            assert on()
        assert not on()
    with pytest.raises(KeyError), switch:
        raise KeyError
    assert not on()


@every
def test_as_a_decorator_of_functions(make: Any, on: Any) -> None:
    switch = make()

    @switch
    def function(depth: int, fail: bool = False) -> list[bool]:
        """Its own words."""
        if fail and not depth:
            raise KeyError
        return [on()] + (function(depth - 1, fail) if depth else [])

    assert not on()
    for _ in range(2):
        assert function(2) == [True] * 3 and not on()
        with pytest.raises(KeyError):
            function(2, True)
        assert not on()
    assert function.__name__ == "function" and function.__doc__ == "Its own words."
    again = switch(on)  # one switch may decorate several
    assert again() and again() and not on()


@every
def test_of_methods_of_every_kind(make: Any, on: Any) -> None:
    class Owner:
        @make()
        def method(self) -> Any:
            return self, on()

        @make()
        @classmethod
        def of_the_class(cls) -> Any:
            return cls, on()

        @classmethod
        @make()
        def of_the_class_inside(cls) -> Any:
            return cls, on()

        @make()
        @staticmethod
        def static() -> Any:
            return on()

        @make()
        def __call__(self) -> Any:
            return on()

    owner = Owner()
    assert owner.method() == (owner, True) and owner.of_the_class() == owner.of_the_class_inside() == (Owner, True)
    assert owner.static() and Owner.static() and owner()
    assert not on()


@every
def test_of_a_class_it_is_the_init(make: Any, on: Any) -> None:
    with pytest.warns(FutureWarning, match="Decorating classes is deprecated"):

        @make()
        class Made:
            def __init__(self, value: int = 0) -> None:
                self.value, self.on = value, on()

            def later(self) -> bool:
                return on()

    made = Made(3)
    assert isinstance(made, Made) and made.value == 3 and made.on and not made.later() and not on()


@every
def test_of_generators(make: Any, on: Any) -> None:
    seen = []

    @make()
    def generator(n: int) -> Iterator[Any]:
        got = None
        try:
            for i in range(n):
                seen.append(on())
                try:
                    got = yield i, got
                except KeyError:
                    seen.append(on())
                    got = "caught"
            return "done"
        finally:
            seen.append(on())

    assert inspect.isgeneratorfunction(generator)
    assert [i for i, _ in generator(3)] == [0, 1, 2] and not on()
    steps = generator(3)
    assert next(steps) == (0, None) and not on()
    assert steps.send("sent") == (1, "sent") and not on()
    assert steps.throw(KeyError()) == (2, "caught") and not on()
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value == "done" and not on()
    closed = generator(3)
    next(closed)
    closed.close()
    broken = generator(3)
    next(broken)
    with pytest.raises(ValueError):
        broken.throw(ValueError())
    assert not on() and len(seen) == 4 + 5 + 2 + 2 and all(seen)
    first, second = generator(2), generator(2)
    assert [next(first)[0], next(second)[0], next(first)[0], next(second)[0]] == [0, 0, 1, 1] and not on()


@of_a_thread
def test_of_coroutines_and_asynchronous_generators(make: Any, on: Any) -> None:
    seen, outside = [], []

    @make()
    async def coroutine(n: int) -> int:
        for _ in range(n):
            seen.append(on())
            await asyncio.sleep(0)
            seen.append(on())
        return n

    @make()
    async def generator(n: int) -> AsyncIterator[Any]:
        got = None
        try:
            for i in range(n):
                await asyncio.sleep(0)
                seen.append(on())
                try:
                    got = yield i, got
                except KeyError:
                    got = "caught"
        finally:
            await asyncio.sleep(0)
            seen.append(on())

    async def bystander() -> None:
        for _ in range(10):
            outside.append(on())
            await asyncio.sleep(0)

    async def main() -> None:
        assert await asyncio.gather(coroutine(3), coroutine(2), bystander()) == [3, 2, None]
        assert [i async for i, _ in generator(3)] == [0, 1, 2]
        steps = generator(3)
        assert await steps.asend(None) == (0, None)
        assert await steps.asend("sent") == (1, "sent")
        assert await steps.athrow(KeyError()) == (2, "caught")
        await steps.aclose()
        outside.append(on())

    assert inspect.iscoroutinefunction(coroutine) and inspect.isasyncgenfunction(generator)
    asyncio.run(main())
    assert all(seen) and len(seen) == 10 + 4 + 4 and not any(outside) and not on()


@of_a_thread
def test_it_holds_for_its_thread_even_where_threads_share_it(make: Any, on: Any) -> None:
    switch, seen, errors = make(), [], []
    if on():  # made and on at once: that of this thread ends here
        switch(lambda: None)
    inside, left = threading.Barrier(2, timeout=20), threading.Barrier(2, timeout=20)

    def run(stays: bool) -> None:
        try:
            seen.append(not on())
            with switch:
                inside.wait()
                seen.append(on())
                if stays:
                    left.wait()
                    seen.append(on())
            seen.append(not on())
            if not stays:
                left.wait()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(stays,)) for stays in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and all(seen) and len(seen) == 7 and not on()


@every
def test_contexts_left_in_another_order_than_entered(make: Any, on: Any) -> None:
    def held() -> Iterator[None]:
        with make():
            yield

    first, second = held(), held()
    next(first)
    with mg.no_grad(), mg.definitions("gelu"), Observer():
        next(second)
        first.close()
        assert on() and not mg.is_grad_enabled() and is_definitions("gelu") and state.observers
    assert on()
    second.close()
    assert not on()


@pytest.mark.parametrize("switch", BARE)
def test_without_parentheses(switch: Any) -> None:
    def look() -> Any:
        return mg.is_grad_enabled(), state.definitions, [type(observer) for observer in state.observers]

    @switch
    def steps() -> Iterator[Any]:
        yield look()

    assert switch(look)() == switch()(look)() == next(steps()) and mg.is_grad_enabled()
    assert switch is mg.enable_grad or look() != switch(look)()


@pytest.mark.parametrize("switch", [mg.set_grad_enabled, set_guard, set_detect_anomaly])
@pytest.mark.parametrize("mode", [1, None, "no", test_without_parentheses], ids=["1", "None", "text", "function"])
def test_a_flag_is_a_bool(switch: Any, mode: Any) -> None:
    with pytest.raises(TypeError):
        switch(mode)
    assert mg.is_grad_enabled() and not state.observers


@pytest.mark.parametrize("framework", [mg, torch], ids=["minigrad", "torch"])
def test_set_grad_enabled_as_a_function_a_context_and_a_decorator(framework: Any) -> None:
    on, switch = framework.is_grad_enabled, framework.set_grad_enabled
    switch(False)
    assert not on()
    switch(True)
    with switch(False):
        assert not on()
        with switch(True):
            assert on()
        assert not on()

        @switch(True)
        def inside() -> bool:
            return on()

        assert not on() and inside() and not on()
    assert on()

    @switch(False)
    def never(fail: bool = False) -> bool:
        assert not fail
        return on()

    assert on() and not never() and on() and not never() and on()
    with pytest.raises(AssertionError):
        never(True)
    assert on()
    flag = switch(False)
    switch(True)
    with flag:
        assert not on()
    assert on()


def test_what_a_generator_makes_asks_for_no_gradient() -> None:
    x = mg.ones(2, requires_grad=True)

    @mg.no_grad()
    def products() -> Iterator[mg.Tensor]:
        for i in range(3):
            yield x * i

    assert [(y.requires_grad, (x * 2).requires_grad) for y in products()] == [(False, True)] * 3


def test_of_nested_anomaly_modes_the_innermost_counts() -> None:
    with mg.detect_anomaly():
        with mg.detect_anomaly(check_nan=False):
            assert not mg.autograd.is_anomaly_check_nan_enabled()
            mg.tensor(-1.0).log()
        with pytest.raises(RuntimeError, match="NaN"):
            mg.tensor(-1.0).log()
    with guard():
        with guard(False):
            assert not is_guard_enabled()
        assert is_guard_enabled()


def test_a_profile_counts_each_op_once_and_of_every_thread() -> None:
    p = profile()

    def run() -> None:
        with p, p:
            for _ in range(50):
                mg.ones(2) * 2

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert p.rows["Mul"].calls == 200 and len(p.events) == 200


def test_a_model_that_several_threads_leave_untouched_is_as_it_was() -> None:
    model, inside, left = nn.Sequential(nn.Linear(2, 2), nn.Dropout()), threading.Barrier(2), threading.Barrier(2)
    model[1].eval()
    model[0].bias.requires_grad_(False)
    seen = []

    def run(stays: bool) -> None:
        if stays:
            inside.wait(20)
        with untouched(model):
            if stays:
                left.wait(20)
            else:
                inside.wait(20)
                while not len([1 for entry in untouched_by(model) if len(entry) == 2]):
                    pass
            seen.append((model[0].training, model[0].weight.requires_grad))
        if not stays:
            left.wait(20)

    def untouched_by(model: Any) -> list[Any]:
        from minigrad.attacks.gradient import _Change

        return [changes for (key, _), changes in list(_Change.made.items()) if key == id(model[0].weight)]

    threads = [threading.Thread(target=run, args=(stays,)) for stays in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert seen == [(False, False)] * 2
    assert [m.training for m in model.modules()] == [True, True, False]
    assert [p.requires_grad for p in model.parameters()] == [True, False]
