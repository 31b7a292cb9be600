"""SimpleNet: eight small convolutions, no tricks. (N, C, H, W) images in, (N, classes) logits out, for any image size.

At 3 channels and 100 classes: 365,028 parameters, and 160.2 million multiply-adds for an image of 128 x 128.
The PyTorch version is models/reference/simplenet.py; the keys of their state_dicts are the same.
"""

from dataclasses import replace

from minigrad import Tensor, nn
from models.card import FOLDER, Card


class SimpleNet(nn.Module):
    """Three blocks of convolutions, a ReLU after each; a global average pool and one linear layer.

    Weights start as in torch: U(+-1/sqrt(fan_in)), biases too. With nothing to normalise its activations the network
    stays on a plateau at first (the loss is log(classes)); it wants a warm-up, and some patience.
    """

    def __init__(self, num_classes: int = 100, channels: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 64, kernel_size=7, stride=2, padding=3),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            nn.Conv2d(64, 64, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(64, 64, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(64, 256, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            nn.Conv2d(256, 128, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(128, 128, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(128, 512, kernel_size=1),
            nn.ReLU(inplace=True),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(512, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of images x (N, C, H, W)."""
        return self.fc(self.flatten(self.avgpool(self.features(x))))


class SimpleNetBN(nn.Module):
    """SimpleNet with a batch norm after the last ReLU of each block: 366,692 parameters. Takes five times the rate."""

    def __init__(self, num_classes: int = 100, channels: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 64, kernel_size=7, stride=2, padding=3),
            nn.ReLU(inplace=True),
            nn.BatchNorm2d(64),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            nn.Conv2d(64, 64, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(64, 64, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(64, 256, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.BatchNorm2d(256),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            nn.Conv2d(256, 128, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(128, 128, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(128, 512, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.BatchNorm2d(512),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(512, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of images x (N, C, H, W)."""
        return self.fc(self.flatten(self.avgpool(self.features(x))))


CARDS = {
    "simplenet": Card("SimpleNet", "SimpleNet", parameters=365_028, layer="features"),
    "simplenet-bn": Card(
        "SimpleNetBN", "SimpleNet-BN", parameters=366_692, layer="features", folder=replace(FOLDER, epochs=90, lr=0.5)
    ),
}
