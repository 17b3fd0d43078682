"""A checkpoint on its way into a file: as a module with the contract's outputs, and in a format's
own terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from fer_edge.spec import ModelSpec, NcnnOptions, Weights
from fer_edge.train.networks.checkpoint import Checkpoint


class Answers(nn.Module):
    """Faces -> (logits, probabilities), as the contract names them.

    Args:
        checkpoint: whose network answers.
        pixels: faces are float pixels `[N, 1, S, S]`, 0 to 255, rather than uint8 `[N, S, S]`.
    """

    def __init__(self, checkpoint: Checkpoint, *, pixels: bool = False) -> None:
        super().__init__()
        self.model = checkpoint.model
        self.temperature = checkpoint.spec.temperature
        self.pixels = pixels

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        """The network's logits, and their softmax at the spec's temperature."""
        logits = self.model.from_pixels(faces) if self.pixels else self.model(faces)
        return logits, torch.softmax(logits / self.temperature, dim=1)


@dataclass(frozen=True)
class Graph:
    """What is written.

    Attributes:
        write: takes the spec and the path of the file that the engine is given, and writes it and
            its companions.
        weights: how they lie in the file.
        tools: that made it, and their versions.
        ncnn: of an ncnn model: how it is computed.
    """

    write: Callable[[ModelSpec, Path], None]
    weights: Weights
    tools: Mapping[str, str]
    ncnn: NcnnOptions | None = None
