"""Checkpoints of detectors: a safetensors file with the spec in its header, without any pickle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialize

from fer_edge.atomic import write_bytes
from fer_edge.detector_spec import DetectorSpec
from fer_edge.errors import ModelError
from fer_edge.runtime.formats.model_files import model_type
from fer_edge.runtime.formats.spec_reader import read_detector_spec
from fer_edge.spec_document import KEY
from fer_edge.text import one_line
from fer_edge.train.detector.network import DetectorNetwork, FaceDetector, Widths
from fer_edge.train.networks import quantized
from fer_edge.train.networks.checkpoint import QUANTIZED_PREFIX
from fer_edge.train.networks.pixel_model import is_finite

Floats = npt.NDArray[np.float32]
CHECKPOINT = ".safetensors"
"""The suffix of a checkpoint."""
Run = Callable[[npt.NDArray[np.uint8]], Floats]
"""From gray images, uint8 `[N, H, W]` with sides that are multiples of 32, to `[N, 9, cells]`."""


@dataclass(frozen=True)
class DetectorCheckpoint:
    """A trained detector and its spec.

    Attributes:
        model: the float model.
        spec: the model's contract.
        quantized_model: the int8 model that was made of it, if any.
    """

    model: FaceDetector
    spec: DetectorSpec
    quantized_model: FaceDetector | None = None

    def int8(self) -> DetectorCheckpoint:
        """Return the quantized model as a checkpoint of its own.

        Raises:
            ModelError: there is none.
        """
        if self.quantized_model is None:
            raise ModelError(
                f"{self.spec.name} holds no quantized model: fer detector train --from it makes one"
            )
        return replace(self, model=self.quantized_model, quantized_model=None)

    def run(self, images: npt.NDArray[np.uint8]) -> Floats:
        """Compute the output for gray images, on the CPU: see `FaceDetector.forward`.

        Raises:
            ModelError: a number is NaN or infinite.
        """
        self.model.eval()
        with torch.inference_mode():
            output: Floats = self.model(torch.from_numpy(images.copy())).numpy()
        if not np.isfinite(output).all():
            raise ModelError(
                f"{self.spec.name}: PyTorch gives numbers that are NaN or infinite: its weights "
                "are damaged: copy it again"
            )
        return output


def make_network(spec: DetectorSpec) -> FaceDetector:
    """Build the untrained network that a spec describes."""
    return FaceDetector(DetectorNetwork(Widths(*spec.widths)), spec.input.mean, spec.input.std)


def save(checkpoint: DetectorCheckpoint, path: Path) -> None:
    """Write a checkpoint."""
    tensors = dict(checkpoint.model.network.state_dict())
    if checkpoint.quantized_model:
        for name, tensor in quantized.get_state(checkpoint.quantized_model).items():
            tensors[f"{QUANTIZED_PREFIX}{name}"] = tensor
    content = {name: tensor.contiguous() for name, tensor in tensors.items()}
    # not `save_file`: its errors, as of a full disk, are no OSErrors
    write_bytes(path, serialize(content, metadata={KEY: checkpoint.spec.to_json()}))


def load(path: Path) -> DetectorCheckpoint:
    """Read a checkpoint in float32 and evaluation mode.

    Raises:
        SpecError: the header's spec is missing, newer, damaged, or not a detector's.
        ModelError: the file is damaged or no checkpoint, or its weights don't fit or aren't finite.
    """
    spec = read_detector_spec(path)
    if model_type(path) != CHECKPOINT:
        raise ModelError(f"{path}: an exported detector, not a checkpoint: give its run")
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise ModelError(f"{path}: damaged or cut off ({error}): copy it again") from None
    int8_state = {
        name.removeprefix(QUANTIZED_PREFIX): state.pop(name)
        for name in list(state)
        if name.startswith(QUANTIZED_PREFIX)
    }
    model = make_network(spec)
    try:
        model.network.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(
            f"{path}: its weights don't fit: {one_line(error)}: train it again"
        ) from None
    model.eval()
    if not is_finite(model):
        raise ModelError(f"{path}: holds NaN or infinite weights: train it again")
    recipe = spec.quantization.int8
    if recipe is None:
        return DetectorCheckpoint(model, spec)
    quantized_model = quantized.quantize_model(model, recipe)
    try:
        quantized.load_state(quantized_model, int8_state)
    except ValueError as error:
        raise ModelError(f"{path}: its quantized model doesn't fit: {error}") from None
    if not is_finite(quantized_model):
        raise ModelError(f"{path}: its quantized model holds NaN or infinity: train it again")
    return DetectorCheckpoint(model, spec, quantized_model)
