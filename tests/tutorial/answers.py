"""Answers to the tutorial's exercises: {chapter: {name: (right, wrong, what is said of the wrong one)}}, as source."""

from __future__ import annotations


def _op(name: str, saves: str, forward: str, right: str, wrong: str, at: str = "0") -> tuple[str, str, str]:
    """The answers to an exercise that repairs an op: its class with the right and with a wrong backward."""
    frame = (
        f"class {name}(mg.Op):\n    {saves}\n\n    def forward(self, {forward}\n\n    def backward(self, gz):\n        "
    )
    return frame + right, frame + wrong, f"the gradient of input {at} has "


ANSWERS: dict[int, dict[str, tuple[str, str, str]]] = {
    0: {
        "accuracy": (
            "def accuracy(scores, labels):\n    return (scores.argmax(1) == labels).float().mean()",
            "def accuracy(scores, labels):\n    return (scores.argmax(1) == labels).sum()",
            "a share is asked for",
        ),
        "count_parameters": (
            "def count_parameters(sizes):\n    return sum(a * b + b for a, b in zip(sizes, sizes[1:]))",
            "def count_parameters(sizes):\n    return sum(a * b for a, b in zip(sizes, sizes[1:]))",
            "each layer also has a bias",
        ),
    },
    1: {
        "central": (
            "def central(f, x, h):\n    return (f(x + h) - f(x - h)) / (2 * h)",
            "def central(f, x, h):\n    return (f(x + h) - f(x)) / h",
            "this is the forward difference",
        ),
        "best_step": (
            "def best_step(f, slope, x):\n"
            "    return min((10.0**-k for k in range(1, 15)), key=lambda h: abs((f(x+h) - f(x-h)) / (2*h) - slope))",
            "def best_step(f, slope, x):\n    return 1e-14",
            "the smallest step is not the best",
        ),
        "gradient": (
            "def gradient(f, x, y, h):\n"
            "    return (f(x + h, y) - f(x - h, y)) / (2 * h), (f(x, y + h) - f(x, y - h)) / (2 * h)",
            "def gradient(f, x, y, h):\n    return ((f(x + h, y + h) - f(x - h, y - h)) / (2 * h),) * 2",
            "one at a time",
        ),
    },
    2: {
        "divide": (
            "def divide(x, y):\n    return x / y, 1 / y, -x / y**2",
            "def divide(x, y):\n    return x / y, 1 / y, x / y**2",
            "the slope in y is negative",
        ),
        "sigmoid": (
            "def sigmoid(x):\n    z = 1 / (1 + np.exp(-x))\n    return z, z * (1 - z)",
            "def sigmoid(x):\n    z = 1 / (1 + np.exp(-x))\n    return z, x * (1 - x)",
            "of the output, not of the input",
        ),
        "backward": (
            "def backward(nodes):\n    nodes[-1].grad = 1.0\n    for node in reversed(nodes):\n"
            "        for parent, slope in zip(node.parents, node.slopes):\n            parent.grad += node.grad * slope",
            "def backward(nodes):\n    nodes[-1].grad = 1.0\n    for node in reversed(nodes):\n"
            "        for parent, slope in zip(node.parents, node.slopes):\n            parent.grad = node.grad * slope",
            "the second has replaced the first",
        ),
    },
    3: {
        "linear_backward": (
            "def linear_backward(x, w, gy):\n    return gy @ w, gy.T @ x, gy.sum(0)",
            "def linear_backward(x, w, gy):\n    return gy @ w, gy.T @ x, gy.mean(0)",
            "what was copied is summed",
        ),
        "softmax_backward": (
            "def softmax_backward(y, gy):\n    return y * (gy - gy @ y)",
            "def softmax_backward(y, gy):\n    return gy * y * (1 - y)",
            "only the diagonal",
        ),
        "Product": _op(
            "Product", "saves = {0: None, 1: None}", "x, y):\n        return x * y",
            "x, y = self.inputs\n        return gz * y, gz * x", "return None, None",
        ),
        "Exponential": _op(
            "Exponential", "saves_output = True", "x):\n        return np.exp(x)",
            "return gz * self.output", "return gz * -self.output",
        ),
        "AddBias": _op(
            "AddBias", "pass", "x, b):\n        return x + b",
            "return gz, gz.sum(0)", "return gz, gz.mean(0)", "1",
        ),
        "Average": _op(
            "Average", "pass", "x):\n        self.shape = x.shape\n        return x.mean()",
            "return gz.expand(self.shape) / 4", "return gz.expand(self.shape) * 1",
        ),
        "Rectifier": _op(
            "Rectifier", "saves = {0: None}", "x):\n        return np.maximum(x, 0)",
            "(x,) = self.inputs\n        return gz * (x > 0).to(gz.dtype)", "return gz * -1",
        ),
        "Matrix": _op(
            "Matrix", "saves = {0: None, 1: None}", "x, w):\n        return x @ w",
            "x, w = self.inputs\n        return gz @ w.T, x.T @ gz",
            "x, w = self.inputs\n        return gz @ w.T, gz.T @ x", "1",
        ),
    },
}  # fmt: skip
