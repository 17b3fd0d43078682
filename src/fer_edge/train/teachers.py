"""Teachers: trained networks whose mean logits become targets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.fx.experimental.optimization import fuse

from fer_edge.errors import ConfigError
from fer_edge.spec import DataSpec
from fer_edge.train.config import TrainConfig
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.networks import checkpoint as checkpoints
from fer_edge.train.networks.checkpoint import Checkpoint, sha256
from fer_edge.train.networks.classifier import FaceClassifier


@dataclass(frozen=True)
class Teacher:
    """A trained network that only predicts.

    Attributes:
        model: the network with its batch norms folded, which saves a quarter of the time.
        sha256: of its checkpoint's file, in hex.
        mirror: average its logits over a face and its mirror image.
        data: what it was trained on.
    """

    model: FaceClassifier
    sha256: str
    mirror: bool
    data: DataSpec

    def predict(self, pixels: Tensor) -> Tensor:
        """Compute logits float32 `[N, labels]` of pixels float32 `[N, 1, S, S]` in [0, 255]."""
        model = self.model.to(pixels.device)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            logits = model.forward_pixels(pixels).float()
            if self.mirror:
                logits = (logits + model.forward_pixels(pixels.flip(-1)).float()) / 2
        return logits


def load_teachers(config: TrainConfig, data: FaceData) -> tuple[Teacher, ...]:
    """Read the checkpoints that `config.teachers` names.

    Raises:
        ConfigError: the labels or the side of one differ from those of this run.
        ModelError, SpecError: a file can't be read.
    """
    teachers = []
    for name in config.teachers:
        path = Path(name)
        source = checkpoints.load(path)
        if source.spec.labels != data.labels or source.spec.input.side != config.side:
            raise ConfigError(f"{name}: its labels or its side differ from those of this run")
        teachers.append(make_teacher(source, sha256(path), mirror=config.mirror_teachers))
    return tuple(teachers)


def make_teacher(source: Checkpoint, digest: str, *, mirror: bool) -> Teacher:
    """Copy the float network of a checkpoint for inference; `digest` is its file's SHA-256."""
    folded = source.model.with_network(fuse(source.model.network.eval()))
    folded = folded.to(memory_format=torch.channels_last)
    return Teacher(folded, digest, mirror, source.spec.data)


def mean_logits(teachers: tuple[Teacher, ...], pixels: Tensor) -> Tensor:
    """Average the logits of all teachers, float32 `[N, labels]`."""
    return torch.stack([teacher.predict(pixels) for teacher in teachers]).mean(0)
