"""Encoders for SimSiam on images (Appendix D.2): ResNet-18 and a small conv net, in plain PyTorch.

The last fully connected layer is a linear projection to h dimensions without bias, so that the output is the
representation Phi(x) to which the linear predictor W is applied.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from featnorm._validate import one_of, positive_int
from featnorm.setting import Setting, initialize

_stem = one_of("cifar", "imagenet")


class Block(nn.Module):
    """The basic block of He et al. (2016): two 3 x 3 convolutions around a shortcut.

    >>> Block(4, 8, 2)(torch.zeros(1, 4, 8, 8)).shape
    torch.Size([1, 8, 4, 4])
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        same = stride == 1 and inputs == outputs
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet(h: int, stem: str = "cifar", width: int = 64, depth: int = 2, channels: int = 3) -> nn.Sequential:
    """ResNet with four stages of ``depth`` basic blocks of width, 2, 4 and 8 times width; depth 2 is ResNet-18.

    ``stem``: ``cifar`` is one 3 x 3 convolution, ``imagenet`` a 7 x 7 one of stride 2 and a max-pooling. Maps images
    (n, channels, rows, columns) to (n, h). Raises ValueError for a size below 1 or another stem.

    >>> resnet(5, width=4, depth=1)(torch.zeros(2, 3, 16, 16)).shape
    torch.Size([2, 5])
    """
    for name, value in (("h", h), ("width", width), ("depth", depth), ("channels", channels)):
        positive_int(name, value)
    if _stem("stem", stem) == "cifar":
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, 1, 1, bias=False)]
    else:
        layers = [nn.Conv2d(channels, width, 7, 2, 3, bias=False)]
    layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    if stem == "imagenet":
        layers.append(nn.MaxPool2d(3, 2, 1))
    inputs = width
    for stage in range(4):
        for block in range(depth):
            outputs = width * 2**stage
            layers.append(Block(inputs, outputs, 2 if stage and not block else 1))
            inputs = outputs
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, h, bias=False))
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net


def convnet(h: int, width: int = 32, channels: int = 3) -> nn.Sequential:
    """Three 3 x 3 convolutions with batch norm (width, 2 and 4 times width; the last two of stride 2), then h outputs.

    Maps images (n, channels, rows, columns) to (n, h). Raises ValueError for a size below 1.

    >>> convnet(5, width=4)(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 5])
    """
    for name, value in (("h", h), ("width", width), ("channels", channels)):
        positive_int(name, value)
    layers: list[nn.Module] = []
    for inputs, outputs, stride in ((channels, width, 1), (width, 2 * width, 2), (2 * width, 4 * width, 2)):
        layers += [
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, h, bias=False))


def predictor(h: int, seed: int) -> nn.Linear:
    """The linear predictor W (h, h) without bias at the start of Assumption 4: symmetric, sqrt(h) W_ij ~ N(0, 1).

    Raises ValueError for bad h.

    >>> W = predictor(3, 0).weight
    >>> bool((W == W.T).all())
    True
    """
    layer = nn.Linear(h, h, bias=False)
    W, _ = initialize(Setting(h=positive_int("h", h), d=h), np.random.default_rng(seed))
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(W))
    return layer
