"""Weights that others published for faces, from which teachers start."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from fer_edge.errors import ModelError
from fer_edge.text import one_line
from fer_edge.train.networks.architectures import ARCHITECTURES
from fer_edge.train.networks.classifier import FaceClassifier
from fer_edge.train.networks.folded import restore_batch_norms
from fer_edge.train.networks.pixel_model import is_finite


def published_range(architecture: str) -> tuple[float, float]:
    """Mean and standard deviation of pixel / 255 that the published weights expect."""
    module = ARCHITECTURES[architecture].import_module()
    return module.MEAN, module.STD


def load_published(model: FaceClassifier, architecture: str, path: Path, faces: Tensor) -> None:
    """Load published weights into all layers but the head, and restore the batch norms.

    Args:
        model: a model of this architecture that `build_classifier` made.
        architecture: one that `is_published`.
        path: a `.safetensors` file of the published convolutions.
        faces: uint8 `[N, S, S]`, for the statistics of the batch norms; a thousand suffice.

    Raises:
        ModelError: the file is damaged, or isn't of this architecture.
    """
    try:
        module = ARCHITECTURES[architecture].import_module()
        state: dict[str, Tensor] = module.read_published(load_file(path))
        network = model.network
        wrong = network.load_state_dict(state, strict=False)
    except SafetensorError as error:
        raise ModelError(f"{path}: damaged or cut off ({error}): copy it again") from None
    except KeyError as error:
        raise ModelError(f"{path}: {error} is missing: not weights of {architecture}") from None
    except RuntimeError as error:
        raise ModelError(f"{path}: not weights of {architecture}: {one_line(error)}") from None
    head = ARCHITECTURES[architecture].head
    assert not wrong.unexpected_keys
    assert all(
        key.startswith(head) or key.endswith("num_batches_tracked") for key in wrong.missing_keys
    )
    if not is_finite(model):
        raise ModelError(f"{path}: holds NaN or infinite weights")
    with torch.no_grad():
        restore_batch_norms(network, model.normalize(faces.unsqueeze(1).float()))
