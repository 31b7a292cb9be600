"""A network as people write them for PyTorch: nothing in it knows of minigrad."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.utils.model_zoo as model_zoo
from torch import Tensor
from torch.nn import init
from torch.nn.modules.utils import _pair
from torch.nn.parameter import Parameter


class Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, slope):
        ctx.save_for_backward(x)
        ctx.slope = slope
        return torch.where(x > 0, x, slope * x)

    @staticmethod
    def backward(ctx, gy):
        (x,) = ctx.saved_tensors
        return torch.where(x > 0, gy, ctx.slope * gy), None


class Block(nn.Module):
    def __init__(self, planes: int, kernel: int = 3):
        super().__init__()
        self.kernel = _pair(kernel)
        self.conv = nn.Conv2d(planes, planes, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.SyncBatchNorm.convert_sync_batchnorm(nn.BatchNorm2d(planes))
        self.scale = Parameter(torch.ones(planes, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x))
        y = y * self.scale + x
        return Gate.apply(y, 0.1)


class Net(nn.Module):
    def __init__(self, num_classes: int = 5):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.blocks = nn.ModuleList([Block(8) for _ in range(2)])
        self.head = nn.Linear(8 * 16, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                n = m.kernel_size[0] * m.kernel_size[1] * m.out_channels
                m.weight.data.normal_(0, math.sqrt(2.0 / n))
            elif isinstance(m, (nn.BatchNorm2d, nn.BatchNorm3d)):
                init.constant_(m.weight, 1)

    def forward(self, x):
        x = F.relu(self.stem(x), inplace=True)
        for block in self.blocks:
            x = block(x)
        x = F.max_pool2d(x, 2)
        x = x.view(x.size(0), -1)
        assert x.dtype in (torch.float32, torch.float64, torch.bfloat16)
        return self.head(x)


def pretrained():
    return model_zoo.load_url("https://example.org/net.pth")


def volume():
    return nn.Conv3d(1, 1, 3)


def imported_later():
    from torch.nn import Linear

    return Linear


def missing():
    return torch.vmap
