"""What the converters exchange: the module that they convert and the model that they return."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from fer_edge.spec import NcnnOptions, Weights
from fer_edge.spec_document import SpecDocument
from fer_edge.train.networks.checkpoint import Checkpoint


class ExportModule(nn.Module):
    """Maps faces to (logits, probabilities), the outputs of every exported graph.

    Args:
        checkpoint: the network and its temperature.
        pixels: faces are float pixels `[N, 1, S, S]` in 0 to 255 instead of uint8 `[N, S, S]`.
    """

    def __init__(self, checkpoint: Checkpoint, *, pixels: bool = False) -> None:
        super().__init__()
        self.model = checkpoint.model
        self.temperature = checkpoint.spec.temperature
        self.pixels = pixels

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        """Logits `[N, labels]`, and their softmax at the spec's temperature."""
        logits = self.model.forward_pixels(faces) if self.pixels else self.model(faces)
        return logits, torch.softmax(logits / self.temperature, dim=1)


@dataclass(frozen=True)
class ConvertedModel:
    """A checkpoint converted to a format, not written yet.

    Attributes:
        write: takes the spec and the path that the engine opens, and writes all files.
        weights: how the weights are stored.
        tools: the packages that converted it, with their versions.
        ncnn: the options of an ncnn model, else None.
    """

    write: Callable[[SpecDocument, Path], None]
    weights: Weights
    tools: Mapping[str, str]
    ncnn: NcnnOptions | None = None
