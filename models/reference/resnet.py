"""ResNet-18: eighteen layers with weights, in residual blocks (He et al., 2015, "Deep Residual Learning", table 1).

(N, C, H, W) images in, (N, classes) logits out, for any image size. At 3 channels and 100 classes: 11,227,812 parameters.
This is torchvision's own network, the PyTorch version of models/resnet.py; the keys of their state_dicts are the same.
"""

from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet


class ResNet18(ResNet):
    """torchvision's resnet18; images of other than 3 channels get a first convolution of their own."""

    def __init__(self, num_classes: int = 100, channels: int = 3) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2], num_classes=num_classes)
        if channels != 3:
            self.conv1 = nn.Conv2d(channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
            nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
