"""Make a checkpoint of trained weights: round them, fit the temperature, write the spec."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import lightning
import torch
import torchvision

import fer_edge
from fer_edge.errors import ModelError
from fer_edge.runtime.results import softmax
from fer_edge.spec import CropSpec, DataSpec, ModelSpec, Quantization
from fer_edge.train.config import TrainConfig
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.data.unlabelled import UnlabelledFaces
from fer_edge.train.evaluation.calibration_error import fit_temperature
from fer_edge.train.evaluation.metrics import Report
from fer_edge.train.networks import checkpoint as checkpoints
from fer_edge.train.networks.checkpoint import Checkpoint
from fer_edge.train.networks.classifier import FaceClassifier
from fer_edge.train.networks.pixel_model import is_finite
from fer_edge.train.provenance import describe_training_data

TOOLS = {
    "fer-edge": fer_edge.__version__,
    "python": platform.python_version(),
    "torch": torch.__version__,
    "torchvision": torchvision.__version__,
    "lightning": lightning.__version__,
}
INTENDED_USE = (
    "Reading the expression shown by a face, for research, interaction and art with the consent of "
    "those seen. An expression isn't a feeling. Not for hiring, policing, proctoring or any "
    "decision about a person; emotion inference at work and in education is banned in the EU "
    "(AI Act, Art. 5)."
)


def default_name(architecture: str) -> str:
    """Name of a model whose run gives it none."""
    return f"fer-{architecture}"


def finalize_float(
    model: FaceClassifier,
    data: FaceData,
    trained_on: DataSpec,
    *,
    architecture: str,
    storage: Literal["fp16", "fp32"],
    name: str = "",
    version: str = "",
) -> Checkpoint:
    """Round the weights for storage, fit the temperature on validation, write the spec.

    Args:
        model: the trained network, changed in place.
        data: the data of this run.
        trained_on: all data that the weights were trained on, in this run and before.
        architecture, storage, name, version: as in `TrainConfig`.

    Raises:
        ModelError: the training diverged.
    """
    if storage == "fp16":
        checkpoints.round_to_half(model)
    val = data.split("val")
    spec = ModelSpec(
        name=name or default_name(architecture),
        version=version,
        architecture=architecture,
        labels=data.labels,
        input=model.spec,
        crop=CropSpec(),
        quantization=Quantization("fp32", "fp16-exact" if storage == "fp16" else "fp32"),
        temperature=1.0,
        data=trained_on,
        metrics=(),
        intended_use=INTENDED_USE,
        tools=TOOLS,
    )
    logits = Checkpoint(model, spec).predict(val.pixels)
    temperature = fit_temperature(logits, val.labels)
    report = Report(
        spec.name, "val", data.labels, val.labels, softmax(logits, temperature).astype("float32")
    )
    return Checkpoint(model, replace(spec, temperature=temperature, metrics=(report.metrics(),)))


def finalize_quantized(
    trained: Checkpoint,
    config: TrainConfig,
    data: FaceData,
    unlabelled: UnlabelledFaces | None = None,
    teachers: Sequence[DataSpec] = (),
) -> Checkpoint:
    """Round the quantized model's float layers for storage and fit its temperature on validation.

    The spec keeps the float model's temperature and metrics; name and version are the run's own.

    Args:
        trained: the float checkpoint with the trained quantized model.
        config: settings of the run.
        data: of the run.
        unlabelled: faces that joined train without labels, if there are any.
        teachers: the data of the teachers besides the float network.

    Raises:
        ModelError: the training diverged.
    """
    int8 = trained.int8()
    if config.storage == "fp16":
        checkpoints.round_to_half(int8.model)
    # NaN would become the integer weight 0
    if not is_finite(int8.model):
        raise ModelError("the training diverged (weights are NaN): use a lower --lr")
    val, spec = data.split("val"), trained.spec
    temperature = fit_temperature(int8.predict(val.pixels), val.labels)
    spec = replace(
        spec,
        name=config.name or default_name(spec.architecture),
        version=config.version,
        data=describe_training_data(spec.data, data, teachers, unlabelled),
        quantization=replace(spec.quantization, temperature=temperature),
        tools={**spec.tools, **TOOLS},
    )
    return replace(trained, spec=spec)
