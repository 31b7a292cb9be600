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
    8: {
        "largest_rate": (
            "def largest_rate(curvatures):\n    return 2 / max(curvatures)",
            "def largest_rate(curvatures):\n    return 1 / max(curvatures)",
            "up to twice as far",
        ),
        "adam_step": (
            "def adam_step(p, m, v, g, t, lr):\n    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g\n"
            "    return p - lr * m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8), m, v",
            "def adam_step(p, m, v, g, t, lr):\n    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g\n"
            "    return p - lr * m / (np.sqrt(v) + 1e-8), m, v",
            "the averages start at zero",
        ),
        "cosine": (
            "def cosine(step, steps, lr):\n    return lr * (1 + np.cos(np.pi * step / steps)) / 2",
            "def cosine(step, steps, lr):\n    return lr * (1 - step / steps)",
            "a straight line",
        ),
    },
    9: {
        "logsumexp": (
            "def logsumexp(x):\n    return x.max() + np.log(np.exp(x - x.max()).sum())",
            "def logsumexp(x):\n    return np.log(np.exp(x).sum())",
            "Take the largest number off",
        ),
        "add_up": (
            "def add_up(x):\n    while len(x) > 1:\n        x = x[::2] + x[1::2]\n    return x[0]",
            "def add_up(x):\n    return np.cumsum(x, dtype=np.float32)[-1]",
            "one by one it is",
        ),
        "first_difference": (
            "def first_difference(ours, theirs, tolerance):\n    for i, (a, b) in enumerate(zip(ours, theirs)):\n"
            "        if not abs(a - b).max() <= tolerance * abs(b).max():\n            return i",
            "def first_difference(ours, theirs, tolerance):\n    for i, (a, b) in enumerate(zip(ours, theirs)):\n"
            "        if abs(a - b).max() > tolerance * abs(b).max():\n            return i",
            "NaN is a difference too",
        ),
    },
    10: {
        "hessian_vector": (
            "def hessian_vector(f, x, v):\n    (g,) = mg.autograd.grad(f(x), x, create_graph=True)\n"
            "    return mg.autograd.grad((g * v).sum(), x)[0]",
            "def hessian_vector(f, x, v):\n    return mg.autograd.grad(f(x), x)[0] * v",
            "this is the gradient, times v",
        ),
        "kind": (
            "def kind(hessian):\n    e = np.linalg.eigvalsh(hessian)\n"
            "    return 'minimum' if (e > 0).all() else 'maximum' if (e < 0).all() else 'saddle'",
            "def kind(hessian):\n    e = np.diag(hessian)\n"
            "    return 'minimum' if (e > 0).all() else 'maximum' if (e < 0).all() else 'saddle'",
            "look at the eigenvalues",
        ),
        "penalty": (
            "def penalty(f, x):\n    x = x.detach().requires_grad_()\n"
            "    (g,) = mg.autograd.grad(f(x).sum(), x, create_graph=True)\n    return (g**2).sum(1).mean()",
            "def penalty(f, x):\n    x = x.detach().requires_grad_()\n"
            "    (g,) = mg.autograd.grad(f(x).sum(), x)\n    return (g**2).sum(1).mean()",
            "cut off from the graph",
        ),
    },
    11: {
        "input_gradient": (
            "def input_gradient(model, images, k):\n    x = images.detach().requires_grad_()\n"
            "    return mg.autograd.grad(model(x)[:, k].sum(), x)[0]",
            "def input_gradient(model, images, k):\n    x = images.detach().requires_grad_()\n"
            "    model(x)[:, k].sum().backward()\n    return x.grad",
            "the weight has a gradient now",
        ),
        "class_activation_map": (
            "def class_activation_map(maps, weight):\n    m = np.maximum(np.einsum('khw,k->hw', maps, weight), 0)\n"
            "    return m / m.max() if m.max() else m",
            "def class_activation_map(maps, weight):\n    m = np.maximum(np.einsum('khw,k->hw', maps, weight), 0)\n"
            "    return m / m.max()",
            "must not be divided by 0",
        ),
    },
    12: {
        "fgsm": (
            "def fgsm(x, gradient, epsilon, low, high):\n    return np.clip(x + epsilon * np.sign(gradient), low, high)",
            "def fgsm(x, gradient, epsilon, low, high):\n    return np.clip(x - epsilon * np.sign(gradient), low, high)",
            "this lowers the loss",
        ),
        "project": (
            "def project(x, start, epsilon):\n    d = x - start\n    length = np.sqrt((d**2).sum(1, keepdims=True))\n"
            "    return start + d * np.minimum(1, epsilon / np.maximum(length, 1e-30))",
            "def project(x, start, epsilon):\n    return start + np.clip(x - start, -epsilon, epsilon)",
            "the ball of the max norm",
        ),
        "robust_accuracy": (
            "def robust_accuracy(model, attacks, images, labels):\n    right = model(images).argmax(1) == labels\n"
            "    for attack in attacks:\n"
            "        right = right & (model(attack(model, images, labels)).argmax(1) == labels)\n"
            "    return right.float().mean()",
            "def robust_accuracy(model, attacks, images, labels):\n"
            "    return min([(model(a(model, images, labels)).argmax(1) == labels).float().mean() for a in attacks])",
            "chosen for each image",
        ),
    },
    13: {
        "attention": (
            "def attention(q, k, v, allowed):\n    s = np.where(allowed, q @ k.T / q.shape[1] ** 0.5, -np.inf)\n"
            "    p = np.exp(s - s.max(1, keepdims=True))\n    return p / p.sum(1, keepdims=True) @ v",
            "def attention(q, k, v, allowed):\n    p = np.exp(q @ k.T / q.shape[1] ** 0.5 * allowed)\n"
            "    return p / p.sum(1, keepdims=True) @ v",
            "a score of 0 is no mask",
        ),
        "scores_backward": (
            "def scores_backward(gp, p):\n    return p * (gp - (gp * p).sum(1, keepdims=True))",
            "def scores_backward(gp, p):\n    return p * (gp - (gp * p).sum())",
            "along each row",
        ),
        "number_of_scores": (
            "def number_of_scores(side, window):\n    return side**2 * window**2",
            "def number_of_scores(side, window):\n    return window**4",
            "this is one window",
        ),
    },
    14: {
        "channels_last_strides": (
            "def channels_last_strides(n, c, h, w):\n    return h * w * c, 1, w * c, c",
            "def channels_last_strides(n, c, h, w):\n    return c * h * w, h * w, w, 1",
            "of (N, C, H, W) itself",
        ),
        "two_results": (
            "def two_results(x, w):\n    a = (x[0] - x[2]) * w[0]\n    b = (x[1] + x[2]) * ((w[0] + w[1] + w[2]) / 2)\n"
            "    c = (x[2] - x[1]) * ((w[0] - w[1] + w[2]) / 2)\n    d = (x[1] - x[3]) * w[2]\n"
            "    return a + b + c, b - c - d",
            "def two_results(x, w):\n    return tuple(x[i] * w[0] + x[i + 1] * w[1] + x[i + 2] * w[2] for i in range(2))",
            "with 6 products",
        ),
        "traffic": (
            "def traffic(pixels, fused):\n    return pixels // 4 if fused else 4 * pixels + pixels // 4",
            "def traffic(pixels, fused):\n    return pixels // 4 if fused else 5 * pixels",
            "the pool writes a quarter",
        ),
    },
    15: {
        "Mish": (
            "class Mish(mg.Op):\n    saves = {0: None}\n\n    def forward(self, x):\n"
            "        return x * np.tanh(np.logaddexp(0, x))\n\n    def backward(self, gy):\n        (x,) = self.inputs\n"
            "        t = F.softplus(x).tanh()\n        return gy * (t + x * (1 - t * t) * x.sigmoid())",
            "class Mish(mg.Op):\n    saves = {0: None}\n\n    def forward(self, x):\n"
            "        return x * np.tanh(np.log(1 + np.exp(x)))\n\n    def backward(self, gy):\n"
            "        (x,) = self.inputs\n        t = F.softplus(x).tanh()\n        return gy * t",
            "the gradient has",
        ),
        "Sigmoid": (
            "class Sigmoid(mg.Op):\n    saves_output = True\n\n    def forward(self, x):\n"
            "        return 1 / (1 + np.exp(-x))\n\n    def backward(self, gy):\n"
            "        return gy * self.output * (1 - self.output)",
            "class Sigmoid(mg.Op):\n    saves = {0: None}\n    saves_output = True\n\n    def forward(self, x):\n"
            "        return 1 / (1 + np.exp(-x))\n\n    def backward(self, gy):\n"
            "        return gy * self.output * (1 - self.output)",
            "the input is still kept",
        ),
    },
}  # fmt: skip
