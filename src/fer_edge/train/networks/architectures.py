"""The table of architectures. Importing it needs no torch: constructors are imported when called.

A new architecture is one entry here; its constructor is torchvision's or a module beside this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fer_edge.errors import ConfigError
from fer_edge.text import shorten

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Architecture:
    """How to build a network and where its first and last layers are.

    Attributes:
        constructor: `module:name` of a function or class that takes torchvision's `num_classes`,
            and `weights` if `has_imagenet`.
        stem: name of the first convolution; its weights are summed over the input channels.
        head: name of the last linear layer, which is replaced to fit the number of labels.
        side: default side of the network's input, in pixels.
        shrinks: a larger architecture, from whose checkpoints `shrink` takes initial weights; the
            constructor's module has `SOURCES`, the positions.
        is_published: weights for faces are published that the constructor's module reads, by its
            `read_published`, `MEAN` and `STD`.
        has_imagenet: torchvision has ImageNet weights of it.
    """

    constructor: str
    stem: str
    head: str
    side: int
    shrinks: str | None = None
    is_published: bool = False
    has_imagenet: bool = True

    def build(self, **options: object) -> nn.Module:
        """Build the network; `options` are torchvision's, such as `num_classes`.

        Without `weights`, which only architectures with `has_imagenet` take, they are random.
        """
        _, _, name = self.constructor.partition(":")
        network: nn.Module = getattr(self.import_module(), name)(**options)
        return network

    def import_module(self) -> Any:
        """Import the constructor's module, with what else it has."""
        return import_module(self.constructor.partition(":")[0])


_V3_LAYERS = ("features.0.0", "classifier.3", 96)
ARCHITECTURES = {
    "mobilenet_v2": Architecture(
        "torchvision.models:mobilenet_v2", "features.0.0", "classifier.1", 64
    ),
    "mobilenet_v2_small": Architecture(
        "fer_edge.train.networks.mobilenet_v2_small:MobileNetV2Small",
        "features.0.0",
        "classifier.1",
        48,
        shrinks="mobilenet_v2",
        has_imagenet=False,
    ),
    "mobilenet_v3_small": Architecture("torchvision.models:mobilenet_v3_small", *_V3_LAYERS),
    "mobilenet_v3_large": Architecture("torchvision.models:mobilenet_v3_large", *_V3_LAYERS),
    "resnet18": Architecture("torchvision.models:resnet18", "conv1", "fc", 96),
    "vgg16_bn": Architecture(
        "fer_edge.train.networks.vgg:vgg16_bn", "features.0", "classifier.1", 48
    ),
    "mobilenet_v1": Architecture(
        "fer_edge.train.networks.mobilenet_v1:MobileNetV1",
        "features.0.1",
        "classifier.1",
        96,
        is_published=True,
        has_imagenet=False,
    ),
    # for tests and tryouts
    "tiny": Architecture(
        "fer_edge.train.networks.tiny:Tiny", "features.0.0", "classifier.1", 32, has_imagenet=False
    ),
}


def find_architecture(name: str) -> Architecture:
    """Look up an architecture.

    Raises:
        ConfigError: the name isn't in the table; the message lists the names that are.
    """
    if name not in ARCHITECTURES:
        raise ConfigError(
            f"unknown architecture {shorten(name, 60)!r}: choose from {', '.join(ARCHITECTURES)}"
        )
    return ARCHITECTURES[name]
