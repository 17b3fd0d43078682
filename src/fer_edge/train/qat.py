"""Quantization-aware training: an int8 twin learns to answer as the float network it came from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fer_edge.spec import DataSpec, Int8Recipe
from fer_edge.train import checkpoint as checkpoints
from fer_edge.train.calibrate import calibrate, calibration_faces
from fer_edge.train.checkpoint import Checkpoint
from fer_edge.train.config import TrainConfig
from fer_edge.train.faces import FaceData
from fer_edge.train.int8 import default_float_layers, twin_of

MODEL = "model.safetensors"


def checkpoint_of(path: Path) -> Path:
    """A run's checkpoint, where `path` is a run's folder; else `path`."""
    return path / MODEL if path.is_dir() else path


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
    pixels, calibration = calibration_faces(data, seed=config.seed)
    twin = twin_of(source.model, spec.architecture, recipe)
    calibrate(twin, pixels, recipe)
    twin.train()  # Lightning trains in the mode it finds, and a twin at rest has no gradients
    quantization = replace(
        spec.quantization,
        method=f"quantization-aware training, {config.epochs} epochs",
        calibration=calibration,
        int8=recipe,
    )
    return Checkpoint(
        source.model,
        replace(spec, quantization=quantization, data=_seen(spec.data, data)),
        twin,
    )


def _seen(before: DataSpec, data: FaceData) -> DataSpec:
    """What the float network and its twin were trained on."""
    if before.name == data.name:
        return before
    licences = dict.fromkeys((before.licence, data.licence))
    return DataSpec(f"{before.name}, then {data.name}", "; ".join(licences), data.counts())
