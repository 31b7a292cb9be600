"""ResNet-18: eighteen layers with weights, in residual blocks (He et al., 2015, "Deep Residual Learning", table 1).

(N, C, H, W) images in, (N, classes) logits out, for any image size. At 3 channels and 100 classes: 11,227,812 parameters.
Architecture, keys, order and initialisation are torchvision's, so that its ImageNet weights load as they are; the
PyTorch version, models/reference/resnet.py, is torchvision's own.
"""

from __future__ import annotations

from dataclasses import replace

from minigrad import Tensor, nn
from models.card import SMALL_IMAGES, Card


def conv3x3(inplanes: int, planes: int, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size of the map (or divides it by the stride); the batch norm after it adds the bias."""
    return nn.Conv2d(inplanes, planes, kernel_size=3, stride=stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    """relu(bn(conv(relu(bn(conv(x))))) + x): what two convolutions add to x, (N, inplanes, H, W).

    Out: (N, planes, ceil(H/stride), ceil(W/stride)). Where the shape changes x goes through `downsample`, a 1x1
    convolution with a batch norm.
    """

    def __init__(self, inplanes: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU()
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inplanes != planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(inplanes, planes, kernel_size=1, stride=stride, bias=False), nn.BatchNorm2d(planes)
            )

    def forward(self, x: Tensor) -> Tensor:
        """The block's map of x."""
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + identity)


def stage(inplanes: int, planes: int, stride: int) -> nn.Sequential:
    """Two blocks; the first takes the stride."""
    return nn.Sequential(BasicBlock(inplanes, planes, stride), BasicBlock(planes, planes))


class ResNet18(nn.Module):
    """A 7x7 convolution and a max pool, four stages of two blocks, a global average pool and one linear layer.

    The map is 1/4 of the image after the pool, 1/32 at the end. Convolutions start from N(0, 2/fan_out) (He et al., 2015,
    "Delving Deep into Rectifiers"), batch norms as the identity, the linear layer as in torch.
    """

    def __init__(self, num_classes: int = 100, channels: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = stage(64, 64, stride=1)
        self.layer2 = stage(64, 128, stride=2)
        self.layer3 = stage(128, 256, stride=2)
        self.layer4 = stage(256, 512, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(512, num_classes)

        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of images x (N, C, H, W)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.flatten(self.avgpool(x)))


CARDS = {
    "resnet18": Card(
        "ResNet18",
        "ResNet-18",
        parameters=11_227_812,
        layer="layer4",
        small_images=replace(SMALL_IMAGES, lr=0.02),
        pretrained="ResNet18_Weights",
        lockstep=(16, 1),
    )
}
