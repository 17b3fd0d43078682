"""dlib's face recognition ResNet-29 (dlib.net, `dnn_face_recognition_ex.cpp`), a teacher.

Its weights are published under CC0. It is ResNet-34 (He et al., arXiv:1512.03385) with fewer layers
and half the filters, and no weights on its shortcuts.
"""

from __future__ import annotations

from torch import Tensor, nn

from fer_edge.errors import ConfigError
from fer_edge.train.networks.folded import make_gray, read_convolution

_MEANS = (122.782, 117.001, 104.298)
_UNIT = 256
MEAN, STD = sum(_MEANS) / 3 / 255, _UNIT / 255
"""Mean and standard deviation of pixel / 255 that the published weights for faces expect."""
_STEM = 32
_BLOCKS = (
    *((32, 1),) * 3,
    *((64, 2), (64, 1), (64, 1), (64, 1)),
    *((128, 2), (128, 1), (128, 1)),
    *((256, 2), (256, 1), (256, 1)),
    (256, 2),
)
"""Output channels and stride of each residual block."""


class ResNet29(nn.Module):
    """A stem and 14 residual blocks of two convolutions; padded, for sides from 48 pixels."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, _STEM, 7, 2, 3, bias=False),
            nn.BatchNorm2d(_STEM),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
        )
        blocks, channels = [], _STEM
        for wider, stride in _BLOCKS:
            blocks.append(_Block(channels, wider, stride))
            channels = wider
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(channels, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Logits `[N, num_classes]` of float images `[N, channels, S, S]`."""
        logits: Tensor = self.classifier(self.blocks(self.stem(x)).mean((2, 3)))
        return logits


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shrink = nn.AvgPool2d(2, 2, ceil_mode=True) if stride == 2 else nn.Identity()
        self.new_channels = outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        """Add the body's output to the input, whose missing channels are zero."""
        shortcut = nn.functional.pad(self.shrink(x), (0, 0, 0, 0, 0, self.new_channels))
        return nn.functional.relu(self.body(x) + shortcut)


def resnet29(*, weights: str | None = None, num_classes: int = 1000) -> ResNet29:
    """Build the network with torchvision's arguments.

    Raises:
        ConfigError: `weights` is set: torchvision has none of this network.
    """
    if weights is not None:
        raise ConfigError("resnet29 has no ImageNet weights here: use a file or none")
    return ResNet29(num_classes)


def read_published(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Convert 29 convolutions with biases to a state dict of the features, for gray pixels.

    Args:
        tensors: `conv.N.weight` and `conv.N.bias`, N from 0 to 28; the channels of the first are
            red, green and blue.

    Raises:
        KeyError: a tensor is missing.
    """
    state = read_convolution(tensors, "conv.0", "stem.0", "stem.1")
    make_gray(state, "stem.0", "stem.1", (_MEANS[0] / _UNIT, _MEANS[1] / _UNIT, _MEANS[2] / _UNIT))
    for i in range(len(_BLOCKS)):
        for place, layer in ((0, 1), (3, 2)):
            names = f"blocks.{i}.body.{place}", f"blocks.{i}.body.{place + 1}"
            state |= read_convolution(tensors, f"conv.{2 * i + layer}", *names)
    return state
