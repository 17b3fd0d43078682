from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fer_edge.export.golden import draw_faces
from fer_edge.spec import InputSpec, Quantization
from fer_edge.train.networks import checkpoint
from fer_edge.train.networks.checkpoint import Checkpoint, round_to_half
from fer_edge.train.networks.classifier import FaceClassifier, build_classifier, get_head
from tests.conftest import LABELS, a_spec, drawn


def settled(architecture: str, spec: InputSpec) -> FaceClassifier:
    """A random network that tells pictures apart: batch norms that know its activations.

    With fresh batch norms the activations die out on the way, every picture gets the same answer,
    and no comparison of two such networks could fail.
    """
    torch.manual_seed(0)
    model = build_classifier(architecture, len(LABELS), spec).train()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the plain mean over the batches below
    with torch.no_grad():
        for seed in range(4):
            faces = [drawn(label, 10 * seed + i) for label in range(7) for i in range(8)]
            model(torch.from_numpy(np.stack(faces)))
        model.eval()
        faces = torch.from_numpy(draw_faces(spec.side))
        head = get_head(model, architecture)
        head.weight *= 0.5 / model(faces).std()
        head.bias.zero_()
        assert model(faces).std(0).min() > 0.05
    return model


def made(architecture: str, folder: Path, *, half: bool = True) -> Path:
    spec = a_spec(architecture)
    model = settled(architecture, spec.input)
    if half:
        round_to_half(model)
    path = folder / f"{architecture}.safetensors"
    checkpoint.save(Checkpoint(model, spec), path)
    return path


def in_float32(path: Path, folder: Path) -> Path:
    """A checkpoint of the same function in weights that half precision can't hold.

    Each channel is multiplied by a factor that its batch norm divides out again.
    """
    loaded = checkpoint.load(path)
    random = torch.Generator().manual_seed(0)
    convolution = None
    with torch.no_grad():
        for part in loaded.model.modules():
            if isinstance(part, nn.Conv2d):
                convolution = part
            elif isinstance(part, nn.BatchNorm2d):
                assert convolution is not None
                factor = 1 + 0.3 * torch.rand(part.num_features, generator=random)
                convolution.weight *= factor[:, None, None, None]
                part.running_mean *= factor
                part.running_var.copy_((part.running_var + part.eps) * factor**2 - part.eps)
    changed = folder / "float32.safetensors"
    plain = Quantization(loaded.spec.quantization.precision)
    checkpoint.save(Checkpoint(loaded.model, replace(loaded.spec, quantization=plain)), changed)
    return changed


@pytest.fixture(autouse=True, scope="session")
def _exporter(exporter: None) -> None:
    """Every file of this folder uses it."""


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MobileNetV3-Small checkpoint."""
    return made("mobilenet_v3_small", tmp_path_factory.mktemp("checkpoint"))
