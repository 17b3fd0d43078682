"""Checkpoints: a safetensors file with the spec in its header, without any pickle."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialize

from fer_edge.atomic import write_bytes
from fer_edge.errors import ConfigError, ModelError
from fer_edge.runtime.formats.model_files import check_bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import KEY, ModelSpec
from fer_edge.text import one_line
from fer_edge.train.networks import quantized
from fer_edge.train.networks.classifier import FaceClassifier, build_classifier
from fer_edge.train.networks.pixel_model import PixelModel, is_finite

_BATCH_SIZE = 256
QUANTIZED_PREFIX = "int8/"
"""Prefix of the quantized model's tensors in the file; no module's name contains a slash."""


@dataclass(frozen=True)
class Checkpoint:
    """A trained network and its spec.

    Attributes:
        model: the float model.
        spec: the model's contract.
        quantized_model: the int8 model that was made of it, if any.
    """

    model: FaceClassifier
    spec: ModelSpec
    quantized_model: FaceClassifier | None = None

    def int8(self) -> Checkpoint:
        """Return the quantized model as a checkpoint of its own, with its own temperature.

        Raises:
            ModelError: there is none.
        """
        if self.quantized_model is None:
            raise ModelError(
                f"{self.spec.name} holds no quantized model: fer train --qat --from it makes one"
            )
        quantization = self.spec.quantization
        spec = replace(
            self.spec,
            temperature=quantization.temperature or self.spec.temperature,
            quantization=replace(quantization, temperature=None),
        )
        return Checkpoint(self.quantized_model, spec)

    def predict(self, faces: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Compute logits float32 `[N, labels]` of uint8 faces `[N, S, S]`, on the CPU.

        Raises:
            ModelError: a logit is NaN or infinite.
        """
        self.model.eval()
        with torch.inference_mode():
            logits = [
                self.model(torch.from_numpy(faces[i : i + _BATCH_SIZE].copy())).numpy()
                for i in range(0, len(faces), _BATCH_SIZE)
            ]
        result = np.concatenate([np.empty((0, len(self.spec.labels)), np.float32), *logits])
        if not np.isfinite(result).all():
            raise ModelError(
                f"{self.spec.name}: PyTorch predicts logits that are NaN or infinite: its weights "
                "are damaged, or its training diverged: copy it again, or train with a lower --lr"
            )
        return result


def round_to_half(model: PixelModel) -> None:
    """Round every weight of two or more dimensions to half precision, in place.

    Biases and batch norms keep full precision: they are 1 % of the weights and carry the scale.
    Quantized layers stay as they are: the file holds their integer weights.
    """
    integer = {id(layer.layer.weight) for layer in quantized.quantized_layers(model).values()}
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2 and id(parameter) not in integer:
                parameter.copy_(parameter.half().float())


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint; weights that half precision holds exactly are written in it."""
    tensors = dict(checkpoint.model.network.state_dict())
    if checkpoint.quantized_model:
        for name, tensor in quantized.get_state(checkpoint.quantized_model).items():
            tensors[f"{QUANTIZED_PREFIX}{name}"] = tensor
    for name, tensor in tensors.items():
        half = tensor.half() if tensor.dtype == torch.float32 and tensor.ndim >= 2 else tensor
        is_exact = half.dtype == torch.float16 and torch.equal(half.float(), tensor)
        tensors[name] = (half if is_exact else tensor).contiguous()
    # not `save_file`: its errors, as of a full disk, are no OSErrors
    write_bytes(path, serialize(tensors, metadata={KEY: checkpoint.spec.to_json()}))


def load(path: Path) -> Checkpoint:
    """Read a checkpoint in float32 and evaluation mode.

    Raises:
        SpecError: the header's spec is missing, newer or damaged.
        ModelError: the file is damaged, or its weights aren't its architecture's or aren't finite.
    """
    spec = read_spec(path)
    check_bundled(path)
    try:
        tensors = load_file(path)
        model = build_classifier(spec.architecture, len(spec.labels), spec.input)
    except SafetensorError as error:
        raise ModelError(f"{path}: damaged or cut off ({error}): copy it again") from None
    except ConfigError as error:
        raise ModelError(f"{path}: {error}") from None
    state = {k: v.float() if v.dtype == torch.float16 else v for k, v in tensors.items()}
    int8_state = {
        name.removeprefix(QUANTIZED_PREFIX): state.pop(name)
        for name in list(state)
        if name.startswith(QUANTIZED_PREFIX)
    }
    try:
        model.network.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(
            f"{path}: its weights don't fit {spec.architecture} with {len(spec.labels)} labels: "
            f"{one_line(error)}"
        ) from None
    model.eval()
    if not is_finite(model):
        raise ModelError(f"{path}: holds NaN or infinite weights: train it again")
    recipe = spec.quantization.int8
    if recipe is None:
        return Checkpoint(model, spec)
    quantized_model = quantized.quantize_model(model, recipe)
    try:
        quantized.load_state(quantized_model, int8_state)
    except ValueError as error:
        raise ModelError(
            f"{path}: its quantized model doesn't fit {spec.architecture}: {error}"
        ) from None
    if not is_finite(quantized_model):
        raise ModelError(f"{path}: its quantized model holds NaN or infinity: train it again")
    return Checkpoint(model, spec, quantized_model)


def sha256(path: Path) -> str:
    """Compute the SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
