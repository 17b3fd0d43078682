"""Networks that take pixels: the cast and the normalization that every exported graph begins with.

The expression classifier and the face detector are such models, and both are quantized as one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

from torch import Tensor, nn


class PixelModel(nn.Module, ABC):
    """A network behind the normalization of its pixels.

    Attributes:
        network: takes normalized float pixels `[N, 1, H, W]`.
        stem: name of the network's first convolution.
        scale, shift: (pixel / 255 - mean) / std as one multiplication and one addition.
    """

    def __init__(self, network: nn.Module, mean: float, std: float, stem: str) -> None:
        super().__init__()
        self.network = network
        self.stem = stem
        self.scale = 1 / (255 * std)
        self.shift = -mean / std

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Compute the outputs of gray images, uint8 `[N, H, W]`."""

    @abstractmethod
    def with_network(self, network: nn.Module) -> Self:
        """The same model with another network of the same inputs and outputs."""

    def normalize(self, pixels: Tensor) -> Tensor:
        """Normalize float pixels `[N, 1, H, W]` in [0, 255] for the network."""
        return pixels * self.scale + self.shift


def is_finite(model: nn.Module) -> bool:
    """Whether no parameter or buffer holds NaN or infinity."""
    tensors = model.state_dict().values()
    return all(bool(t.isfinite().all()) for t in tensors if t.is_floating_point())
