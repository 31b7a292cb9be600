"""Adding where an index points, repeats counted, and indices out of range."""

from __future__ import annotations

import numpy as np
import pytest

from minigrad.backends import cpu
from tests.backends.cpu.checking import numbers

INDICES = {
    "repeated": np.array([0, 0, 2, -1, 3]),
    "list": [1, 1, -2],
    "the same row from both ends": np.array([3, -2, 0, -5]),
    "matrix": np.array([[0, 1], [1, 4]]),
    "empty": np.array([], np.int64),
    "0-d": np.array(2),
    "mask": np.array([True, False, True, False, True]),
    "mask of all": np.arange(5 * 4 * 3).reshape(5, 4, 3) % 3 == 0,
    "slices": (slice(1, None, 2), Ellipsis, None, 0),
    "integer": 3,
    "two arrays": (np.array([0, 0, 1]), np.array([2, 2, -1])),
    "array and slice": (slice(None), np.array([1, 1, 0])),
    "list of booleans": [True, False, True, False, True],
}


@pytest.mark.parametrize("name", INDICES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_scatter_add(name, dtype):
    index, shape = INDICES[name], (5, 4, 3)
    values = (10 * numbers(*np.zeros(shape)[index].shape)).astype(dtype)
    expected = np.zeros(shape, dtype)
    np.add.at(expected, index, values)
    got = cpu.scatter_add(index, values, shape=shape)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    np.testing.assert_array_equal(cpu.scatter_add(index, np.ones((), dtype), shape=shape).sum(), values.size)


def test_scatter_add_into_one_axis_and_out_of_range():
    np.testing.assert_array_equal(cpu.scatter_add(np.array([0, 0, 2]), np.ones(3), shape=(3,)), [2, 0, 1])
    for shape in ((3,), (3, 2)):
        with pytest.raises(IndexError):
            cpu.scatter_add(np.array([3]), np.ones((1, *shape[1:])), shape=shape)


@pytest.mark.parametrize("ignore, wrong", [(None, -100), (-100, 5)])
def test_the_first_index_out_of_range_is_named(ignore, wrong):
    index = np.array([[4, -100], [0, 5]])
    with pytest.raises(LookupError, match=f"^{wrong} of 5$"):
        cpu.check_indices(index, high=5, ignore=ignore, error=LookupError, message="{} of 5")
    cpu.check_indices(index, low=-100, high=6, error=LookupError, message="{} is fine")
    cpu.check_indices(index[:0], high=0, error=LookupError, message="{} is fine")
