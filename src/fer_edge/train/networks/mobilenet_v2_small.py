"""A MobileNetV2 (Sandler et al., arXiv:1801.04381) of few narrow blocks, for 48 pixels.

It was chosen by the instructions that an emulated Cortex-A72 executes and by time, not by
multiplications. A face isn't resized, and its blocks see the grids that MobileNetV2 has at 96
pixels from its second stage on: 24, 12, 6 and 3 cells a side.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.models.mobilenetv2 import InvertedResidual
from torchvision.ops import Conv2dNormActivation


@dataclass(frozen=True)
class Block:
    """An inverted residual block.

    Attributes:
        hidden: channels of its depthwise convolution.
        outputs: output channels.
        stride: 1 or 2.
        source: index of the block of MobileNetV2's `features` that its weights may start from;
            None: they are drawn.
    """

    hidden: int
    outputs: int
    stride: int
    source: int | None


_STEM, _LAST = 32, 512
_BLOCKS = (
    Block(32, 24, 1, None),
    Block(96, 32, 2, 4),
    Block(128, 32, 1, 5),
    Block(160, 56, 2, 7),
    Block(224, 56, 1, 8),
    Block(224, 80, 1, 11),
    Block(288, 80, 1, 12),
    Block(400, 136, 2, 14),
    Block(544, 136, 1, 15),
)
SOURCES = (0, *(block.source for block in _BLOCKS), None)
"""For each module of `features`: its counterpart in MobileNetV2's, or None."""


class MobileNetV2Small(nn.Module):
    """A stem, inverted residual blocks and a last convolution, named as in torchvision."""

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        channels = _STEM
        layers: list[nn.Module] = [_convolution(3, _STEM, 3, stride=2)]
        for block in _BLOCKS:
            ratio = block.hidden / channels
            layers.append(InvertedResidual(channels, block.outputs, block.stride, ratio))
            channels = block.outputs
        layers.append(_convolution(channels, _LAST, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(_LAST, num_classes))
        for module in self.features.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """Logits `[N, num_classes]` of float images `[N, channels, S, S]`."""
        pooled = nn.functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        logits: Tensor = self.classifier(torch.flatten(pooled, 1))
        return logits


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> Conv2dNormActivation:
    return Conv2dNormActivation(inputs, outputs, kernel, stride, activation_layer=nn.ReLU6)
