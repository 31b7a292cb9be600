"""Answers to the tutorial's exercises: {chapter: {name: (right, wrong, the comment on the wrong one)}}, as source."""

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
    4: {
        "turns": (
            "def turns(parents, result):\n    found, waiting = [], {result}\n    while waiting:\n"
            "        node = max(waiting)\n        waiting.remove(node)\n        found.append(node)\n"
            "        waiting.update(parents[node])\n    return found",
            "def turns(parents, result):\n    return [result] + [n for p in parents[result] for n in turns(parents, p)]",
            "a node has two turns",
        ),
        "peak": (
            "def peak(sizes, free):\n"
            "    return max((sum(sizes[: i + 1]) if free else sum(sizes)) + size for i, size in enumerate(sizes))",
            "def peak(sizes, free):\n    return sum(sizes) + sizes[-1]",
            "look at every turn",
        ),
    },
    5: {
        "cross_entropy": (
            "def cross_entropy(z, t):\n    z = z - z.max()\n    return np.log(np.exp(z).sum()) - z[t]",
            "def cross_entropy(z, t):\n    return np.exp(z)[t] / np.exp(z).sum()",
            "this is the probability",
        ),
        "cross_entropy_gradient": (
            "def cross_entropy_gradient(z, t):\n    p = np.exp(z) / np.exp(z).sum()\n    p[t] -= 1\n    return p",
            "def cross_entropy_gradient(z, t):\n    return np.exp(z) / np.exp(z).sum()",
            "take 1 off at the label",
        ),
        "momentum_step": (
            "def momentum_step(p, v, g, lr, momentum):\n    v = momentum * v + g\n    return p - lr * v, v",
            "def momentum_step(p, v, g, lr, momentum):\n    return p - lr * v, momentum * v + g",
            "by the new v",
        ),
    },
    6: {
        "output_size": (
            "def output_size(n, kernel, stride, padding):\n    return (n + 2 * padding - kernel) // stride + 1",
            "def output_size(n, kernel, stride, padding):\n    return (n + 2 * padding - kernel) // stride",
            "add 1",
        ),
        "convolve": (
            "def convolve(x, w, stride):\n"
            "    return [(x[i : i + len(w)] * w).sum() for i in range(0, len(x) - len(w) + 1, stride)]",
            "def convolve(x, w, stride):\n    return np.convolve(x, w, 'valid')",
            "the kernel is flipped",
        ),
        "fold_counts": (
            "def fold_counts(n, kernel):\n    return np.convolve(np.ones(n - kernel + 1), np.ones(kernel))",
            "def fold_counts(n, kernel):\n    return [kernel] * n",
            "one place only",
        ),
    },
    7: {
        "start": (
            "def start(fan_in, fan_out, random):\n    return random.normal(0, (2 / fan_in) ** 0.5, (fan_out, fan_in))",
            "def start(fan_in, fan_out, random):\n    return random.normal(0, (1 / fan_in) ** 0.5, (fan_out, fan_in))",
            "make up for it",
        ),
        "survives": (
            "def survives(ratio, layers):\n    return ratio**layers",
            "def survives(ratio, layers):\n    return ratio * layers",
            "layers multiply",
        ),
        "batch_norm": (
            "def batch_norm(x, eps):\n    return (x - x.mean(0)) / np.sqrt(x.var(0) + eps)",
            "def batch_norm(x, eps):\n    return (x - x.mean(0)) / (x.std(0) + eps)",
            "under the root",
        ),
    },
}  # fmt: skip
