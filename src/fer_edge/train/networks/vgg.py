"""VGG-16 with a small head: the classifier for 224 px would hold 120 of its 135 million weights."""

from __future__ import annotations

import torchvision
from torch import nn


def vgg16_bn(**options: object) -> nn.Module:
    """Build torchvision's `vgg16_bn` with global average pooling and one linear layer."""
    network: nn.Module = torchvision.models.vgg16_bn(**options)
    network.avgpool = nn.AdaptiveAvgPool2d(1)
    network.classifier = nn.Sequential(nn.Dropout(0.5), nn.Linear(512, 1000))
    return network
