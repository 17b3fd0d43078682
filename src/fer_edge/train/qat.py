"""Quantization-aware training: an int8 twin learns to answer as the float network it came from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fer_edge.errors import ConfigError
from fer_edge.spec import Int8Recipe
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


def begin(config: TrainConfig, data: FaceData) -> tuple[Checkpoint, TrainConfig]:
    """The float network with its calibrated twin, and the settings as they follow from it.

    Raises:
        ConfigError: the checkpoint is of another architecture or side than asked for.
        DataError: train lacks a label or has too few faces.
        ModelError, SpecError: the checkpoint can't be used.
    """
    path = Path(config.qat_from)
    source = checkpoints.load(path)
    spec = source.spec
    unset = TrainConfig(config.data)
    for name, own in (("architecture", spec.architecture), ("side", spec.input.side)):
        if getattr(config, name) not in (own, getattr(unset, name)):
            raise ConfigError(f"{path}: its {name} is {own}, not {getattr(config, name)}")
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
    settled = replace(config, architecture=spec.architecture, side=spec.input.side)
    return Checkpoint(source.model, replace(spec, quantization=quantization), twin), settled
