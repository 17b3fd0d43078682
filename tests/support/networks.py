"""Specs, random networks and checkpoints of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fer_edge.export.golden import draw_faces
from fer_edge.spec import InputSpec, Quantization
from fer_edge.train.networks import checkpoint
from fer_edge.train.networks.checkpoint import Checkpoint, round_to_half
from fer_edge.train.networks.classifier import FaceClassifier, build_classifier, get_head
from tests.support.data import LABELS, draw_face
from tests.support.specs import make_spec


def make_network(architecture: str, spec: InputSpec) -> FaceClassifier:
    """A random network whose logits differ between images.

    With fresh batch norms the activations die out on the way, every image gets the same logits,
    and no comparison of two such networks can fail: so they are calibrated on synthetic faces.
    """
    torch.manual_seed(0)
    model = build_classifier(architecture, len(LABELS), spec).train()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the plain mean over the batches below
    with torch.no_grad():
        for seed in range(4):
            faces = [draw_face(label, 10 * seed + i) for label in range(7) for i in range(8)]
            model(torch.from_numpy(np.stack(faces)))
        model.eval()
        faces = torch.from_numpy(draw_faces(spec.side))
        head = get_head(model, architecture)
        head.weight *= 0.5 / model(faces).std()
        head.bias.zero_()
        assert model(faces).std(0).min() > 0.05
    return model


def make_checkpoint(architecture: str, folder: Path, *, half: bool = True) -> Path:
    """Save `make_network(architecture)`, its weights rounded to half precision by default."""
    spec = make_spec(architecture)
    model = make_network(architecture, spec.input)
    if half:
        round_to_half(model)
    path = folder / f"{architecture}.safetensors"
    checkpoint.save(Checkpoint(model, spec), path)
    return path


def with_float32_weights(path: Path, folder: Path) -> Path:
    """Save a checkpoint of the same function whose weights half precision can't represent.

    Each channel is multiplied by a factor that its batch norm divides out again.
    """
    loaded = checkpoint.load(path)
    random = torch.Generator().manual_seed(0)
    convolution = None
    with torch.no_grad():
        for module in loaded.model.modules():
            if isinstance(module, nn.Conv2d):
                convolution = module
            elif isinstance(module, nn.BatchNorm2d):
                assert convolution is not None
                factor = 1 + 0.3 * torch.rand(module.num_features, generator=random)
                convolution.weight *= factor[:, None, None, None]
                module.running_mean *= factor
                module.running_var.copy_((module.running_var + module.eps) * factor**2 - module.eps)
    changed = folder / "float32.safetensors"
    plain = Quantization(loaded.spec.quantization.precision)
    checkpoint.save(Checkpoint(loaded.model, replace(loaded.spec, quantization=plain)), changed)
    return changed


def predict_by_brightness(faces: np.ndarray) -> np.ndarray:
    """Logits float32 `[N, 7]` of faces `[N, S, S]` by brightness alone."""
    levels = faces.mean((1, 2))[:, None] / 37 - np.arange(7)
    return (-np.abs(levels)).astype(np.float32)
