"""VGG with global pooling: its 224 px classifier would be 120 M of 135 M weights."""

from __future__ import annotations

import torchvision
from torch import nn


def vgg16_bn(**options: object) -> nn.Module:
    """Build the network with torchvision's arguments."""
    network: nn.Module = torchvision.models.vgg16_bn(**options)
    network.avgpool = nn.AdaptiveAvgPool2d(1)
    network.classifier = nn.Sequential(nn.Dropout(0.5), nn.Linear(512, 1000))
    return network
