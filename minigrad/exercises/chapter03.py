"""Chapter 3, from scalars to arrays: two vector-Jacobian products to write, six broken backwards to repair."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from minigrad.autograd.doctor import diagnose
from minigrad.exercises.judge import NotYet, exercise, expect, judges


@exercise
def linear_backward(x, w, gy):
    """y = x w^T + b, of arrays x (N, A), w (B, A), b (B,). The tuple (gx, gw, gb) for gy (N, B)."""


@judges(linear_backward)
def _(answer: Any) -> None:
    random = np.random.default_rng(0)
    x, w, gy = (random.standard_normal(shape) for shape in ((4, 3), (2, 3), (4, 2)))
    got = answer(x, w, gy)
    if not isinstance(got, tuple) or len(got) != 3:
        raise NotYet("return the three gradients as a tuple: gx, gw, gb")
    expect(got[0], gy @ w, "gx")
    expect(got[1], gy.T @ x, "gw")
    expect(got[2], gy.sum(0), "gb", {"this is the mean over the rows; what was copied is summed": gy.mean(0)})


@exercise
def softmax_backward(y, gy):
    """y = softmax of a vector (C,), already computed. The vector-Jacobian product gx; J_ij = y_i ((i == j) - y_j)."""


@judges(softmax_backward)
def _(answer: Any) -> None:
    y, gy = np.array([0.2, 0.5, 0.3]), np.array([1.0, -2.0, 0.5])
    right = y * (gy - gy @ y)
    mistakes = {
        "only the diagonal of J is used; every output depends on every input": gy * y * (1 - y),
        "the sum over the outputs is missing": y * (gy - y),
    }
    expect(answer(y, gy), right, "gx", mistakes)


def gradients(op: Any, *inputs: Any, value: Any) -> None:
    """NotYet unless op(*inputs) is `value` and the gradient doctor finds nothing; else in the doctor's words."""
    tensors = tuple([mg.tensor(x, dtype=mg.float64, requires_grad=True) for x in inputs])
    expect(op(*tensors), value, "forward, which was right before")
    for finding in diagnose(op, tensors):
        raise NotYet(f"the gradient of input {finding.input} has {finding.how}")


@exercise
class Product(mg.Op):
    """z = x y, element by element."""

    saves = {0: None, 1: None}

    def forward(self, x, y):
        return x * y

    def backward(self, gz):
        x, y = self.inputs
        return gz * x, gz * y


@judges(Product)
def _(answer: Any) -> None:
    gradients(answer(), [1.0, 2.0, 3.0], [5.0, -1.0, 0.5], value=[5.0, -2.0, 1.5])


@exercise
class Exponential(mg.Op):
    """z = e^x."""

    saves_output = True

    def forward(self, x):
        return np.exp(x)

    def backward(self, gz):
        return self.output


@judges(Exponential)
def _(answer: Any) -> None:
    gradients(answer(), [0.0, 1.0, -1.0], value=np.exp([0.0, 1.0, -1.0]))


@exercise
class AddBias(mg.Op):
    """z = x + b; x (N, C), b (C,)."""

    def forward(self, x, b):
        return x + b

    def backward(self, gz):
        return gz, gz


@judges(AddBias)
def _(answer: Any) -> None:
    gradients(answer(), [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [10.0, 20.0], value=[[11, 22], [13, 24], [15, 26]])


@exercise
class Average(mg.Op):
    """z = the mean of all numbers of x."""

    def forward(self, x):
        self.shape = x.shape
        return x.mean()

    def backward(self, gz):
        return gz.expand(self.shape)


@judges(Average)
def _(answer: Any) -> None:
    gradients(answer(), [1.0, 2.0, 6.0, 7.0], value=4.0)


@exercise
class Rectifier(mg.Op):
    """z = max(x, 0)."""

    saves = {0: None}

    def forward(self, x):
        return np.maximum(x, 0)

    def backward(self, gz):
        (x,) = self.inputs
        return gz * (x <= 0).to(gz.dtype)


@judges(Rectifier)
def _(answer: Any) -> None:
    gradients(answer(), [1.0, -2.0, 3.0, -0.5], value=[1.0, 0.0, 3.0, 0.0])


@exercise
class Matrix(mg.Op):
    """z = x w; x (N, A), w (A, B)."""

    saves = {0: None, 1: None}

    def forward(self, x, w):
        return x @ w

    def backward(self, gz):
        x, w = self.inputs
        return gz @ w, x.T @ gz


@judges(Matrix)
def _(answer: Any) -> None:
    x, w = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.0]]), np.array([[1.0, 2.0], [-1.0, 4.0]])
    gradients(answer(), x, w, value=x @ w)
