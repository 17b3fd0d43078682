"""The face detector: a small fully convolutional network, and the decoding of its maps.

It predicts without anchors, once for each cell of three grids (Tian et al., "FCOS",
arXiv:1904.01355), from depthwise separable convolutions (Howard et al., arXiv:1704.04861) and a
path that adds each coarser grid to the finer one (Lin et al., arXiv:1612.03144).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from fer_edge.detector_spec import STRIDES, VALUES
from fer_edge.train.networks.pixel_model import PixelModel

MEAN, STD = 0.459, 0.226
"""Of pixel / 255, as for the classifier."""
STEM = "features.0.0"
_PRIOR = 0.01
"""The score of every cell before training (Lin et al., "Focal Loss", arXiv:1708.02002)."""
_FIRST_SIDE = 2.5
"""Side of a face before training, in strides."""
_LOG_SIDES = (-3.0, 4.5)
"""Smallest and largest logarithm of a face's side in strides: 0.05 and 90. Without the limits a
damaged network's numbers would overflow."""

_convolution = partial(Conv2dNormActivation, activation_layer=nn.ReLU6, inplace=False)


@dataclass(frozen=True)
class Widths:
    """Channels of the maps at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image's sides."""

    half: int = 16
    quarter: int = 24
    eighth: int = 40
    sixteenth: int = 64
    last: int = 112


def _separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A depthwise 3 x 3 and a 1 x 1 convolution, each with batch norm and ReLU6."""
    return nn.Sequential(
        _convolution(inputs, inputs, 3, stride, groups=inputs),
        _convolution(inputs, outputs, 1),
    )


class DetectorNetwork(nn.Module):
    """Maps normalized pixels `[N, 1, H, W]` to one map of 9 values for each stride."""

    def __init__(self, widths: Widths | None = None) -> None:
        super().__init__()
        own = widths or Widths()
        self.features = nn.Sequential(
            _convolution(1, own.half, 3, 2),
            _separable(own.half, own.quarter, 2),
            _separable(own.quarter, own.eighth, 2),
            *(_separable(own.eighth, own.eighth) for _ in range(2)),
        )
        self.sixteenth = nn.Sequential(
            _separable(own.eighth, own.sixteenth, 2), _separable(own.sixteenth, own.sixteenth)
        )
        self.last = nn.Sequential(
            _separable(own.sixteenth, own.last, 2),
            *(_separable(own.last, own.last) for _ in range(2)),
        )
        self.up_sixteenth = _convolution(own.last, own.sixteenth, 1)
        self.up_eighth = _convolution(own.sixteenth, own.eighth, 1)
        self.merge_sixteenth = _separable(own.sixteenth, own.sixteenth)
        self.merge_eighth = _separable(own.eighth, own.eighth)
        self.heads = nn.ModuleList(
            nn.Sequential(
                _convolution(channels, channels, 3, groups=channels),
                nn.Conv2d(channels, VALUES, 1),
            )
            for channels in (own.eighth, own.sixteenth, own.last)
        )
        self._initialize()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Maps `[N, 9, H / stride, W / stride]`; H and W are multiples of 32."""
        eighth = self.features(x)
        sixteenth = self.sixteenth(eighth)
        last = self.last(sixteenth)
        larger = nn.functional.interpolate(self.up_sixteenth(last), scale_factor=2.0)
        sixteenth = self.merge_sixteenth(sixteenth + larger)
        larger = nn.functional.interpolate(self.up_eighth(sixteenth), scale_factor=2.0)
        eighth = self.merge_eighth(eighth + larger)
        return self.heads[0](eighth), self.heads[1](sixteenth), self.heads[2](last)

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
        for name in HEADS:
            head = self.get_submodule(name)
            assert isinstance(head, nn.Conv2d)
            assert head.bias is not None
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
            with torch.no_grad():
                head.bias[2:4] = math.log(_FIRST_SIDE)
                head.bias[8] = -math.log((1 - _PRIOR) / _PRIOR)


HEADS = tuple(f"heads.{i}.1" for i in range(len(STRIDES)))
"""The last convolutions, which stay in float: a pixel's box needs more than 256 levels."""


class FaceDetector(PixelModel):
    """The exported graph's contract: uint8 `[N, H, W]` to float32 `[N, 9, cells]`."""

    def __init__(self, network: nn.Module, mean: float = MEAN, std: float = STD) -> None:
        super().__init__(network, mean, std, STEM)
        self.mean, self.std = mean, std

    def with_network(self, network: nn.Module) -> FaceDetector:
        """The same model with another network."""
        return FaceDetector(network, self.mean, self.std)

    def forward(self, images: Tensor) -> Tensor:
        """Find faces in gray images, uint8 `[N, H, W]`, whose sides are multiples of 32.

        Returns:
            float32 `[N, 9, cells]`, for each cell of the strides 8, 16 and 32, row by row: x and y
            of the box's upper left corner, width, height, x and y of the eye on the left of the
            image and of the other one, all in pixels; the score in [0, 1].
        """
        return self.forward_pixels(images.unsqueeze(1).float())

    def forward_pixels(self, pixels: Tensor) -> Tensor:
        """The same of float pixels `[N, 1, H, W]` in [0, 255]."""
        geometry, logits = decode(self.compute_maps(pixels))
        return torch.cat([geometry, logits.sigmoid()], 1)

    def compute_maps(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """The network's maps of float pixels `[N, 1, H, W]` in [0, 255]."""
        maps: tuple[Tensor, ...] = self.network(self.normalize(pixels))
        return maps


def decode(maps: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Turn maps into boxes and eyes in pixels, `[N, 8, cells]`, and logits of scores.

    A cell's map holds the face's centre relative to the cell's, the logarithms of width and height,
    the eyes relative to the cell's centre, all in strides, and the score's logit.
    """
    pieces = [_decode_stride(one, stride) for one, stride in zip(maps, STRIDES, strict=True)]
    flat = [piece.flatten(2) for piece in pieces]
    logits = [one[:, VALUES - 1 :].flatten(2) for one in maps]
    return torch.cat(flat, 2), torch.cat(logits, 2)


def _decode_stride(cells: Tensor, stride: int) -> Tensor:
    # sums of ones: a graph that every engine computes for images of any size
    ones = cells[:, :1] * 0.0 + 1.0
    x, y = ones.cumsum(3) - 0.5, ones.cumsum(2) - 0.5
    size = cells[:, 2:4].clamp(*_LOG_SIDES).exp()
    centre = torch.cat([x, y], 1) + cells[:, 0:2]
    eyes = torch.cat([x, y, x, y], 1) + cells[:, 4:8]
    return torch.cat([centre - size * 0.5, size, eyes], 1) * stride


def build_detector(widths: Widths | None = None) -> FaceDetector:
    """Build an untrained detector."""
    return FaceDetector(DetectorNetwork(widths))


def count_multiplications(detector: FaceDetector, height: int, width: int) -> int:
    """Multiplications of the convolutions for an image; its sides are multiples of 32."""
    total = 0

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        assert isinstance(layer, nn.Conv2d)
        total += output.numel() * layer.weight[0].numel()

    layers = [one for one in detector.network.modules() if isinstance(one, nn.Conv2d)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    was_training = detector.training
    with torch.no_grad():
        detector.eval()(torch.zeros(1, height, width, dtype=torch.uint8))
    detector.train(was_training)
    for hook in hooks:
        hook.remove()
    return total
