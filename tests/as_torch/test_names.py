"""torch's names that the engine has beside its ops: questions, old names, loaders, names that refuse."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad.utils import data


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_finfo(name: str) -> None:
    ours, theirs = mg.finfo(getattr(mg, name)), torch.finfo(getattr(torch, name))
    for field in ("bits", "eps", "max", "min", "tiny", "smallest_normal", "resolution", "dtype"):
        assert getattr(ours, field) == getattr(theirs, field), field
    assert repr(ours) == repr(theirs)
    with pytest.raises(TypeError, match="floating point"):
        mg.finfo(mg.int32)


@pytest.mark.parametrize("name", ["uint8", "int8", "int16", "int32", "int64"])
def test_iinfo(name: str) -> None:
    ours, theirs = mg.iinfo(getattr(mg, name)), torch.iinfo(getattr(torch, name))
    assert (ours.bits, ours.max, ours.min, ours.dtype) == (theirs.bits, theirs.max, theirs.min, theirs.dtype)


def test_questions() -> None:
    for library in (torch, mg):
        x = library.zeros(2, 3)
        assert library.is_tensor(x) and not library.is_tensor(1) and library.numel(x) == 6 and x.ndimension() == 2
        assert library.is_floating_point(x) and not library.is_complex(x) and not x.is_sparse and not x.is_quantized
        assert library.get_default_dtype() == library.float32 and library.is_same_size(x, x.clone()) and x.is_signed()
        assert isinstance(x.dtype, library.dtype) and isinstance(x, library.autograd.Variable)
        assert library.is_nonzero(library.tensor(2.0)) and library.pi == np.pi and library.inf > 1e300
        with pytest.raises(RuntimeError, match="ambiguous"):
            library.is_nonzero(x)
        assert (
            x.new(2, 2).shape == (2, 2)
            and x.new([1.0, 2.0]).tolist() == [1.0, 2.0]
            and x.long().new(3).dtype == library.int64
        )
        v = library.autograd.Variable(x, requires_grad=True)
        assert v.requires_grad and v.is_leaf and v.data_ptr() == x.data_ptr()


def test_types_that_are_not_built_can_be_named() -> None:
    assert mg.float32 != mg.bfloat16 and mg.ones(1).dtype not in (mg.bfloat16, mg.complex64) and repr(mg.bfloat16)
    with pytest.raises(NotImplementedError, match="bfloat16 are not built"):
        mg.ones(1).to(mg.bfloat16)
    with pytest.raises(NotImplementedError, match="complex64 are not built"):
        mg.zeros(2, dtype=mg.complex64)


@pytest.mark.parametrize("name", mg.nn.not_built.__all__)
def test_layers_that_are_not_built_can_be_named(name: str) -> None:
    kind = getattr(mg.nn, name)
    assert issubclass(kind, mg.nn.Module) and hasattr(torch.nn, name) and not isinstance(mg.nn.ReLU(), kind)
    with pytest.raises(NotImplementedError, match=rf"nn.{name}.*not built"):
        kind(3, 3, 3)


@pytest.mark.parametrize(
    "name",
    "uniform normal constant eye dirac xavier_uniform xavier_normal kaiming_uniform kaiming_normal orthogonal".split(),
)
def test_former_names_of_init(name: str) -> None:
    shape = (4, 3) if name != "dirac" else (4, 3, 3, 3)
    given = (0.5,) if name == "constant" else ()
    mg.manual_seed(0)
    with pytest.warns(FutureWarning, match=f"nn.init.{name}"):
        found = getattr(mg.nn.init, name)(mg.empty(shape), *given)
    mg.manual_seed(0)
    assert found.tolist() == getattr(mg.nn.init, name + "_")(mg.empty(shape), *given).tolist()


def test_gumbel_softmax() -> None:
    x = mg.tensor(np.random.default_rng(0).uniform(-1, 1, (200, 4)), requires_grad=True)
    mg.manual_seed(0)
    soft = mg.nn.functional.gumbel_softmax(x, tau=0.5)
    mg.manual_seed(0)
    hard = mg.nn.functional.gumbel_softmax(x, tau=0.5, hard=True)
    np.testing.assert_allclose(soft.sum(1).detach().numpy(), 1, atol=1e-12)
    assert set(hard.detach().numpy().round(12).ravel()) == {0.0, 1.0}
    assert (hard.argmax(1) == soft.argmax(1)).all()
    (given,) = mg.autograd.grad(hard.square().sum(), x, retain_graph=True)
    (expected,) = mg.autograd.grad((2 * hard.detach() * soft).sum(), x)
    np.testing.assert_allclose(given.numpy(), expected.numpy(), atol=1e-12)


# -- torch.utils.data --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("drop_last", [False, True])
def test_loader(workers: int, drop_last: bool) -> None:
    rows = [np.arange(7.0), np.arange(7)]
    found = []
    for library, kit in ((torch, torch.utils.data), (mg, data)):
        dataset = kit.TensorDataset(*[library.tensor(r) for r in rows])
        loader = kit.DataLoader(
            dataset, batch_size=3, drop_last=drop_last, num_workers=0 if library is torch else workers
        )
        found.append([[part.tolist() for part in batch] for batch in loader])
        assert len(loader) == len(found[-1])
    assert found[0] == found[1]


def test_shuffling_visits_all_and_follows_the_generator() -> None:
    dataset = data.TensorDataset(mg.arange(10))

    def order(seed: int) -> list[int]:
        loader = data.DataLoader(dataset, 4, shuffle=True, generator=mg.Generator(seed))
        return [v for (batch,) in loader for v in batch.tolist()]

    assert sorted(order(1)) == list(range(10)) and order(1) == order(1) != order(2)


def test_splits_subsets_and_samplers() -> None:
    dataset = data.ConcatDataset([data.TensorDataset(mg.arange(6)), data.TensorDataset(mg.arange(6, 10))])
    assert [dataset[i][0].item() for i in (0, 5, 6, -1)] == [0, 5, 6, 9] and len(dataset) == 10
    parts = data.random_split(dataset, [0.75, 0.25], mg.Generator(0))
    assert [len(p) for p in parts] == [8, 2]
    assert sorted(p[i][0].item() for p in parts for i in range(len(p))) == list(range(10))
    with pytest.raises(ValueError, match="Sum of input lengths"):
        data.random_split(dataset, [3, 3])
    assert list(data.BatchSampler(data.SequentialSampler(range(5)), 2, False)) == [[0, 1], [2, 3], [4]]
    assert set(data.WeightedRandomSampler([0.0, 1.0, 1.0], 50)) == {1, 2}
    assert sorted(data.SubsetRandomSampler([3, 5, 8])) == [3, 5, 8] and len(data.RandomSampler(range(4), True, 9)) == 9


def test_collate() -> None:
    samples = [{"x": np.ones(2, np.float32) * i, "y": (i, float(i), str(i))} for i in range(3)]
    ours, theirs = data.default_collate(samples), torch.utils.data.default_collate(samples)
    assert ours["x"].tolist() == theirs["x"].tolist() and ours["y"][2] == list(theirs["y"][2])
    for k in (0, 1):
        assert ours["y"][k].tolist() == theirs["y"][k].tolist() and str(theirs["y"][k].dtype).endswith(
            str(ours["y"][k].dtype)
        )


def test_streams_and_bad_arguments() -> None:
    class Stream(data.IterableDataset):
        def __iter__(self) -> Any:
            return iter(range(5))

    assert [b.tolist() for b in data.DataLoader(Stream(), 2)] == [[0, 1], [2, 3], [4]]
    with pytest.raises(ValueError, match="num_workers"):
        data.DataLoader(range(3), num_workers=-1)
    with pytest.raises(ValueError, match="mutually exclusive"):
        data.DataLoader(range(3), shuffle=True, sampler=[0])


@pytest.mark.parametrize("name", "float16 float32 float64 uint8 int8 int16 int32 int64 bool bfloat16 complex64".split())
def test_questions_about_types(name: str) -> None:
    ours, theirs = getattr(mg, name), getattr(torch, name)
    for question in ("is_floating_point", "is_complex", "is_signed", "itemsize"):
        assert getattr(ours, question) == getattr(theirs, question), question


def test_devices_are_of_torchs_types() -> None:
    for library in (torch, mg):
        assert library.device("cuda").type == library.device("cuda:1").type == library.device("cuda", 1).type == "cuda"
        assert library.device("cpu").type == library.ones(1).device.type == "cpu"


FACTORS = {
    "add": ((3,), (3,)), "sub": ((3,), (3,)), "addcmul": ((3,), (3,), (3,)), "addcdiv": ((3,), (3,), (3,)),
    "addmm": ((2, 4), (2, 3), (3, 4)), "addmv": ((2,), (2, 3), (3,)), "addr": ((2, 3), (2,), (3,)),
    "baddbmm": ((2, 2, 4), (2, 2, 3), (2, 3, 4)), "addbmm": ((2, 4), (2, 2, 3), (2, 3, 4)),
}  # fmt: skip
"""Ops that torch once gave factors between their tensors, by the shapes of these."""


@pytest.mark.parametrize("name", FACTORS)
@pytest.mark.parametrize("form", ["function", "method", "in place"])
@pytest.mark.parametrize("both", [False, True])
def test_factors_between_tensors(name: str, form: str, both: bool) -> None:
    found = []
    for library in (torch, mg):
        x, *others = [library.tensor(np.random.default_rng(i).uniform(1, 2, s)) for i, s in enumerate(FACTORS[name])]
        if len(FACTORS[name]) == 3 and name[:4] != "addc":  # beta, and alpha
            given = (2.0, x, 3.0, *others) if both else (2.0, x, *others)
            method = (2.0, 3.0, *others) if both else (2.0, *others)
        else:
            given, method = (x, 2, *others), (2, *others)
        with pytest.warns(UserWarning, match="deprecated") if library is mg else contextlib.nullcontext():
            if form == "function":
                found.append(getattr(library, name)(*given))
            else:
                found.append(getattr(x, name + "_" * (form == "in place"))(*method))
    np.testing.assert_allclose(found[1].numpy(), found[0].numpy(), rtol=1e-12)


def test_too_many_arguments_are_refused() -> None:
    for library in (torch, mg):
        x = library.ones(2)
        for given in ((x, x), (x, 2, 3, x)):
            with pytest.raises(TypeError):
                x.add(*given)


@pytest.mark.parametrize("kind", ["uint8", "int8", "int32", "int64"])
@pytest.mark.parametrize("options", [{}, {"padding": 1}, {"stride": 1, "padding": 1, "ceil_mode": True}])
def test_pools_of_integers(kind: str, options: dict[str, Any]) -> None:
    values = np.random.default_rng(0).integers(-100, 100, (2, 3, 7, 7)).astype(kind)
    for given in (values, np.full_like(values, np.iinfo(kind).min)):
        ours = mg.nn.functional.max_pool2d(mg.tensor(given), 3, return_indices=True, **options)
        theirs = torch.nn.functional.max_pool2d(torch.tensor(given), 3, return_indices=True, **options)
        for a, b in zip(ours, theirs, strict=True):
            assert str(a.dtype) == str(b.dtype)[6:]
            np.testing.assert_array_equal(a.numpy(), b.numpy())
        with mg.definitions():
            np.testing.assert_array_equal(
                mg.nn.functional.max_pool2d(mg.tensor(given), 3, **options).numpy(), theirs[0].numpy()
            )
    with pytest.raises(NotImplementedError):
        mg.nn.functional.max_pool2d(mg.ones(1, 1, 4, 4, dtype=mg.bool), 2)


def test_old_types_of_tensors() -> None:
    for library in (torch, mg):
        x = library.FloatTensor(2, 3)
        assert tuple(x.shape) == (2, 3) and isinstance(x, library.FloatTensor) and not isinstance(x, library.LongTensor)
        assert isinstance(x.long(), library.LongTensor) and library.ByteTensor([1, 0]).dtype == library.uint8
        sparse = library.nn.init.sparse_(library.empty(10, 4), 0.35)
        assert ((sparse == 0).sum(0) == 4).all()
        with pytest.raises(
            ValueError, match="^Fan in and fan out can not be computed for tensor with fewer than 2 dimensions$"
        ):
            library.nn.init.xavier_normal_(library.ones(3))
