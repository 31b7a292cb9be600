"""Small idioms of code written for PyTorch: each function computes something; both libraries must compute the same."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import Variable
from torch.autograd.function import Function, once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.pooling import _AvgPoolNd, _MaxPoolNd
from torch.nn.modules.utils import _pair, _single, _triple
from torch.optim.lr_scheduler import _LRScheduler
from torch.optim.optimizer import Optimizer, required

ARRAY = np.random.default_rng(0).uniform(-1, 1, (4, 3, 3))
MATRIX = ARRAY[0] @ ARRAY[0].T + np.eye(3)


def types_of_old_constructors():
    made = [
        torch.Tensor(ARRAY),
        torch.Tensor(np.arange(3)),
        torch.Tensor(np.ones(2, np.uint8)),
        torch.LongTensor(ARRAY),
    ]
    made += [torch.FloatTensor(ARRAY), torch.DoubleTensor(np.ones(2, np.float32)), torch.Tensor(torch.ones(2).double())]
    return [str(x.dtype).split(".")[-1] for x in made], made


def normalisation_by_mean_and_std():
    return (torch.tensor(ARRAY).float() - torch.Tensor(np.array([0.5, 0.4, 0.3]))).mean()


def base_classes():
    layers = [
        nn.Conv2d(3, 4, 3),
        nn.ConvTranspose2d(3, 4, 3),
        nn.BatchNorm1d(3),
        nn.InstanceNorm2d(3),
        nn.Dropout(),
        nn.MaxPool2d(2),
    ]
    kinds = (_ConvNd, _ConvTransposeNd, _BatchNorm, _NormBase, _DropoutNd, _MaxPoolNd, _AvgPoolNd)
    return [[isinstance(layer, kind) for kind in kinds] for layer in layers]


def tuples():
    return _single(2), _pair(3), _triple((1, 2, 3)), nn.modules.utils._ntuple(4)(5)


class Square(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        return 2 * ctx.saved_tensors[0] * gradient


def own_function():
    x = Variable(torch.tensor(ARRAY), requires_grad=True)
    Square.apply(x).sum().backward()
    return x.grad.data


class Halving(_LRScheduler):
    def get_lr(self):
        return [rate * 0.5**self.last_epoch for rate in self.base_lrs]


class SignSGD(Optimizer):
    def __init__(self, params, lr=required):
        super().__init__(params, dict(lr=lr))

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                p.data.add_(p.grad.data.sign(), alpha=-group["lr"])


def own_optimizer_and_schedule():
    p = nn.Parameter(torch.tensor(ARRAY))
    optimizer = SignSGD([p], lr=0.1)
    schedule = Halving(optimizer)
    for _ in range(3):
        optimizer.zero_grad()
        (p * p).sum().backward()
        optimizer.step()
        schedule.step()
    return p.data, optimizer.param_groups[0]["lr"]


def initialisation_by_kind():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    for m in net.modules():
        if isinstance(m, nn.Conv2d):
            n = m.kernel_size[0] * m.kernel_size[1] * m.out_channels
            m.weight.data.normal_(0, (2.0 / n) ** 0.5).zero_()
        elif isinstance(m, nn.BatchNorm2d):
            m.weight.data.fill_(1)
            m.bias.data.zero_()
        elif isinstance(m, nn.Linear):
            nn.init.constant_(m.weight, 0.5)
    return [p.data for name, p in net.named_parameters() if name not in ("0.bias", "2.bias")]


def accuracy_of_imagenet():
    output, target = torch.tensor(ARRAY[0]), torch.tensor([0, 2, 1])
    _, pred = output.topk(2, 1, True, True)
    correct = pred.t().eq(target.view(1, -1).expand_as(pred.t()))
    return [correct[:k].reshape(-1).float().sum(0, keepdim=True).mul_(100.0 / 3) for k in (1, 2)]


def accuracy_of_mnist():
    output, target = torch.tensor(ARRAY[0]), torch.tensor([0, 2, 1])
    pred = output.argmax(dim=1, keepdim=True)
    return F.nll_loss(F.log_softmax(output, dim=1), target, reduction="sum").item(), pred.eq(
        target.view_as(pred)
    ).sum().item()


def label_smoothing():
    x, target = torch.tensor(ARRAY[0]), torch.tensor([0, 2, 1])
    one_hot = torch.zeros(3, 3).scatter_(1, target.unsqueeze(1), 1)
    return -(one_hot * 0.9 + 0.1 / 3).mul(F.log_softmax(x, 1)).sum(1).mean()


def causal_mask():
    att = torch.tensor(ARRAY).masked_fill(torch.tril(torch.ones(3, 3)).view(1, 3, 3) == 0, float("-inf"))
    return F.softmax(att, dim=-1)


def device_of_an_accelerator():
    use = torch.accelerator.is_available()
    device = torch.accelerator.current_accelerator() if use else torch.device("cpu")
    return device.type == ("cuda" if use else "cpu"), (torch.accelerator.device_count() > 0) == use


def singular_values():
    A = torch.tensor(ARRAY)
    U, S, V = torch.svd(A)
    u, s, vh = torch.linalg.svd(A, full_matrices=False)
    return S, s, torch.linalg.svdvals(A), (U * S[:, None]) @ V.mT, (u * s[:, None]) @ vh


def products_of_factors():
    A = torch.tensor(MATRIX)
    values, vectors = torch.linalg.eigh(A)
    Q, R = torch.linalg.qr(A)
    L = torch.linalg.cholesky(A)
    sign, log = torch.linalg.slogdet(A)
    rank = torch.linalg.matrix_rank(A)
    return values, vectors * values @ vectors.T, Q @ R, L, sign, log, rank, torch.pinverse(A), torch.matrix_power(A, -2)


def gradients_of_inverses():
    A = torch.tensor(MATRIX, requires_grad=True)
    b = torch.tensor(ARRAY[1])
    y = (torch.inverse(A) * b).sum() + torch.det(A) + (torch.linalg.solve(A, b) ** 2).sum()
    (first,) = torch.autograd.grad(y, A, create_graph=True)
    (second,) = torch.autograd.grad((first * first).sum(), A)
    return y.detach(), first.detach(), second


def shares():
    x = torch.tensor(ARRAY)
    q = torch.tensor([0.1, 0.5, 1.0], dtype=torch.float64)
    return torch.quantile(x, 0.3), torch.quantile(x, q, dim=1), torch.quantile(x, q, dim=-1, keepdim=True)


def composed_functions():
    a, b = torch.tensor(ARRAY[0]), torch.tensor(ARRAY[1])
    n = torch.arange(3)
    return [
        torch.cartesian_prod(n, n + 5), torch.combinations(n), torch.combinations(n, with_replacement=True),
        torch.block_diag(a, b[:2]), torch.diagflat(a), torch.cross(a, b, dim=1), torch.ger(a[0], b[0]),
        torch.trapezoid(a), torch.trapz(a, b, dim=0), torch.histc(a, 4), torch.chain_matmul(a, b, a), torch.real(a),
        torch.range(1, 4), torch.asarray(ARRAY),
    ]  # fmt: skip


def forked_generator():
    torch.manual_seed(1)
    with torch.random.fork_rng():
        torch.rand(3)
    x = torch.rand(2)
    torch.manual_seed(1)
    return bool((torch.rand(2) == x).all())


def prefix_of_parallel_keys():
    state = {"module.a": 1, "b": 2}
    nn.modules.utils.consume_prefix_in_state_dict_if_present(state, "module.")
    return sorted(state)


def jacobian():
    return torch.autograd.functional.jacobian(lambda x: (x * x).sum(1), torch.tensor(ARRAY[0]))
