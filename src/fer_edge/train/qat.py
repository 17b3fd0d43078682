"""Quantization-aware training: an int8 twin learns to answer as the float network it came from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fer_edge.spec import Int8Recipe
from fer_edge.train.calibrate import with_twin
from fer_edge.train.config import TrainConfig
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.networks import checkpoint as checkpoints
from fer_edge.train.networks.checkpoint import Checkpoint
from fer_edge.train.networks.quantized import default_float_layers
from fer_edge.train.provenance import seen


def begin(config: TrainConfig, data: FaceData) -> Checkpoint:
    """The float network with its calibrated twin.

    Raises:
        DataError: train lacks a label or has too few faces.
        ModelError, SpecError: the checkpoint can't be used.
    """
    source = checkpoints.load(Path(config.qat_from))
    spec = source.spec
    recipe = Int8Recipe(
        float_layers=default_float_layers(source.model, spec.architecture), trained=config.epochs
    )
    method = f"quantization-aware training, {config.epochs} epochs"
    begun = with_twin(source, data, recipe, method, seed=config.seed)
    begun.int8().model.train()  # Lightning trains in the mode it finds; at rest: no gradients
    return replace(begun, spec=replace(begun.spec, data=seen(spec.data, data)))
