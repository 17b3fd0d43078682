"""The table of architectures; PyTorch is imported only where one is built."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Architecture:
    """How to build a network and where its ends are.

    Attributes:
        module, name: of the function that builds it, with torchvision's arguments.
        stem: name of the first convolution, whose weights are summed over the input channels.
        head: name of the last linear layer, replaced for the number of labels.
        side: the side of the input that serves a board best, in pixels.
    """

    module: str
    name: str
    stem: str
    head: str
    side: int

    def build(self, **options: object) -> nn.Module:
        """Build the network."""
        network: nn.Module = getattr(importlib.import_module(self.module), self.name)(**options)
        return network


_TORCHVISION = "torchvision.models"
ARCHITECTURES = {
    "mobilenet_v2": Architecture(_TORCHVISION, "mobilenet_v2", "features.0.0", "classifier.1", 64),
    "mobilenet_v3_small": Architecture(
        _TORCHVISION, "mobilenet_v3_small", "features.0.0", "classifier.3", 96
    ),
    "mobilenet_v3_large": Architecture(
        _TORCHVISION, "mobilenet_v3_large", "features.0.0", "classifier.3", 96
    ),
    "resnet18": Architecture(_TORCHVISION, "resnet18", "conv1", "fc", 96),
    "vgg16_bn": Architecture(
        "fer_edge.train.networks.vgg", "vgg16_bn", "features.0", "classifier.1", 48
    ),
    # for tests and tryouts
    "tiny": Architecture(
        "fer_edge.train.networks.tiny", "tiny", "features.0.0", "classifier.1", 32
    ),
}
