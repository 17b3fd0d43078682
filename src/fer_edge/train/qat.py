"""Quantization-aware training: the quantized model learns to predict as its float model does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from fer_edge.spec import Int8Recipe
from fer_edge.train.calibrate import calibrate, with_quantized_model
from fer_edge.train.calibration_faces import choose_calibration_faces
from fer_edge.train.config import TrainConfig
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.networks.checkpoint import Checkpoint
from fer_edge.train.networks.classifier import FaceClassifier
from fer_edge.train.networks.quantized import (
    default_float_layers,
    quantize_model,
    remove_redundant_activations,
)
from fer_edge.train.progress import ProgressCallback


@dataclass(frozen=True)
class QatStart:
    """What quantization-aware training starts from.

    Attributes:
        source: the float checkpoint that `TrainConfig.qat_from` names.
        model: its quantized model, whose scales `calibrate` or `restore` sets.
        recipe: how it is quantized.
        pixels: the faces to calibrate on, uint8 `[N, S, S]`.
        calibration: how they were chosen.
    """

    source: Checkpoint
    model: FaceClassifier
    recipe: Int8Recipe
    pixels: npt.NDArray[np.uint8]
    calibration: str

    def calibrate(self, on_progress: ProgressCallback) -> None:
        """Set the scales from the faces."""
        calibrate(self.model, self.pixels, self.recipe, on_progress)
        self.model.train()  # Lightning trains in the mode that it finds

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Set weights and scales from a checkpoint of the run instead of calibrating again."""
        self.model.load_state_dict(weights)
        remove_redundant_activations(self.model)
        self.model.train()

    def finish(self, trained: FaceClassifier, epochs: int) -> Checkpoint:
        """Return the float checkpoint with the trained quantized model."""
        method = f"quantization-aware training, {epochs} epochs"
        return with_quantized_model(self.source, trained, self.recipe, method, self.calibration)


def prepare_qat(source: Checkpoint, config: TrainConfig, data: FaceData) -> QatStart:
    """Build the quantized model of a float checkpoint and choose faces to calibrate it on.

    The labels of `data` must be numbered as those of the checkpoint.

    Raises:
        DataError: train lacks a label or has too few faces.
    """
    architecture = source.spec.architecture
    recipe = Int8Recipe(
        float_layers=default_float_layers(source.model, architecture), trained=config.epochs
    )
    model = quantize_model(source.model, recipe)
    return QatStart(source, model, recipe, *choose_calibration_faces(data, seed=config.seed))
