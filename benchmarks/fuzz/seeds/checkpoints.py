"""Checkpoints of a network of a few thousand weights."""

from __future__ import annotations

from pathlib import Path

import torch

from benchmarks.fuzz.seeds.models import make_spec
from fer_edge.train.networks import checkpoint
from fer_edge.train.networks.checkpoint import Checkpoint
from fer_edge.train.networks.classifier import build_classifier


def write_checkpoint(folder: Path) -> Path:
    """Write a checkpoint with random weights; return its path."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    spec = make_spec()
    model = build_classifier(spec.architecture, len(spec.labels), spec.input)
    path = folder / "model.safetensors"
    checkpoint.save(Checkpoint(model.eval(), spec), path)
    return path
