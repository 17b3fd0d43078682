"""MobileNetV1 (Howard et al., arXiv:1704.04861), a teacher: its weights for faces are published."""

from __future__ import annotations

from torch import Tensor, nn

from fer_edge.train.networks.folded import make_gray, read_convolution

_BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)
"""Output channels and stride of each depthwise separable block."""
_MEANS = (103.939, 116.779, 123.68)
MEAN, STD = sum(_MEANS) / 3 / 255, 1 / 255
"""Mean and standard deviation of pixel / 255 that the published weights for faces expect."""


class MobileNetV1(nn.Module):
    """A stem and 13 depthwise separable blocks, padded as TensorFlow's "SAME" does even sides."""

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        channels = 32
        layers = [_convolution(3, channels, 3, stride=2)]
        for wider, stride in _BLOCKS:
            layers.append(_convolution(channels, channels, 3, stride, groups=channels))
            layers.append(_convolution(channels, wider, 1))
            channels = wider
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(channels, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Logits `[N, num_classes]` of float images `[N, channels, S, S]`."""
        logits: Tensor = self.classifier(self.features(x).mean((2, 3)))
        return logits


def _convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Module:
    before = [nn.ZeroPad2d((0, 1, 0, 1))] if stride == 2 else [nn.Identity()]
    padding = kernel // 2 if stride == 1 else 0
    return nn.Sequential(
        *before,
        nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


def read_published(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Convert 27 convolutions with biases to a state dict of the features, for gray pixels.

    Args:
        tensors: `features.N.weight` and `features.N.bias`, N from 0 to 26; the channels of the
            first are blue, green and red.

    Raises:
        KeyError: a tensor is missing.
    """
    state: dict[str, Tensor] = {}
    for i in range(1 + 2 * len(_BLOCKS)):
        own = f"features.{i}"
        state |= read_convolution(tensors, own, f"{own}.1", f"{own}.2")
    make_gray(state, "features.0.1", "features.0.2", _MEANS)
    return state
