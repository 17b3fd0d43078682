"""VGG-16 with a small head: the classifier for 224 px would hold 120 of its 135 million weights."""

from __future__ import annotations

import torchvision
from torch import nn


def vgg16_bn(*, weights: str | None = None, num_classes: int = 1000) -> nn.Module:
    """Build torchvision's `vgg16_bn` with global average pooling and one linear layer."""
    network: nn.Module = torchvision.models.vgg16_bn(weights=weights)
    network.avgpool = nn.AdaptiveAvgPool2d(1)
    network.classifier = nn.Sequential(nn.Dropout(0.5), nn.Linear(512, num_classes))
    return network
