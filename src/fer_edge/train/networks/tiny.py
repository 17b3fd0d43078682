"""A MobileNetV2 in miniature, of a few thousand weights, for tests and tryouts."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models.mobilenetv2 import InvertedResidual
from torchvision.ops import Conv2dNormActivation


class Tiny(nn.Module):
    """A stem and two inverted residual blocks (arXiv:1801.04381), the second with a residual."""

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Conv2dNormActivation(3, 8, stride=2, activation_layer=nn.ReLU6),
            InvertedResidual(8, 16, stride=2, expand_ratio=2),
            InvertedResidual(16, 16, stride=1, expand_ratio=4),
        )
        self.classifier = nn.Sequential(nn.Dropout(0.1), nn.Linear(16, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Logits `[N, num_classes]` of float images `[N, channels, S, S]`."""
        pooled = nn.functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        logits: Tensor = self.classifier(torch.flatten(pooled, 1))
        return logits
