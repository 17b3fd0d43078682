"""Checkpoints: a safetensors file with the spec in its header. No pickle anywhere."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from fer_edge.atomic import whole_file
from fer_edge.errors import ConfigError, ModelError
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import KEY, ModelSpec
from fer_edge.train.networks import quantized
from fer_edge.train.networks.classifier import FaceClassifier, build_classifier

_AT_ONCE = 256
_TWIN = "int8/"  # what the twin's tensors begin with: no module's name holds a slash


@dataclass(frozen=True)
class Checkpoint:
    """A trained network and its spec; `predict` is its PyTorch answer.

    Attributes:
        model: the float network.
        spec: the contract.
        twin: the int8 network that quantization-aware training made of it.
    """

    model: FaceClassifier
    spec: ModelSpec
    twin: FaceClassifier | None = None

    def int8(self) -> Checkpoint:
        """The twin as a checkpoint of its own, at its own temperature.

        Raises:
            ModelError: there is none.
        """
        if self.twin is None:
            raise ModelError(
                f"{self.spec.name} holds no int8 twin: fer train --qat --from it makes one"
            )
        quantization = self.spec.quantization
        own = quantization.temperature or self.spec.temperature
        spec = replace(
            self.spec, temperature=own, quantization=replace(quantization, temperature=None)
        )
        return Checkpoint(self.twin, spec)

    def predict(self, faces: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Logits float32 `[N, labels]` of uint8 faces `[N, S, S]`, on the CPU in float32."""
        self.model.eval()
        with torch.inference_mode():
            parts = [
                self.model(torch.from_numpy(faces[i : i + _AT_ONCE].copy())).numpy()
                for i in range(0, len(faces), _AT_ONCE)
            ]
        return np.concatenate([np.empty((0, len(self.spec.labels)), np.float32), *parts])


def round_to_half(model: FaceClassifier) -> None:
    """Round every weight of two or more dimensions to half precision, in place.

    Biases and batch norms stay in full: they are 1 % of the weights and carry the scale. So do
    int8 layers, which are kept as their codes.
    """
    codes = {id(layer.layer.weight) for layer in quantized.rounded(model).values()}
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2 and id(parameter) not in codes:
                parameter.copy_(parameter.half().float())


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint; weights that half precision holds exactly take half the room."""
    tensors = {}
    network, twin = checkpoint.model.network, checkpoint.twin
    everything = network.state_dict() | (
        {f"{_TWIN}{name}": t for name, t in quantized.state(twin).items()} if twin else {}
    )
    for name, tensor in everything.items():
        half = tensor.half() if tensor.dtype == torch.float32 and tensor.ndim >= 2 else tensor
        exact = half.dtype == torch.float16 and torch.equal(half.float(), tensor)
        tensors[name] = (half if exact else tensor).contiguous()
    with whole_file(path) as beside:
        save_file(tensors, beside, metadata={KEY: checkpoint.spec.to_json()})


def load(path: Path) -> Checkpoint:
    """Read a checkpoint in float32, ready to answer.

    Raises:
        SpecError: the header's spec is missing, newer or damaged.
        ModelError: the file is damaged or its weights aren't its architecture's.
    """
    spec = read_spec(path)
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise ModelError(f"{path}: damaged or cut off ({error}): copy it again") from None
    try:
        model = build_classifier(spec.architecture, len(spec.labels), spec.input)
    except ConfigError as error:
        raise ModelError(f"{path}: {error}") from None
    state = {k: v.float() if v.dtype == torch.float16 else v for k, v in tensors.items()}
    rounded = {k.removeprefix(_TWIN): state.pop(k) for k in list(state) if k.startswith(_TWIN)}
    try:
        model.network.load_state_dict(state)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise ModelError(
            f"{path}: its weights don't fit {spec.architecture} with {len(spec.labels)} labels: "
            f"{first}"
        ) from None
    model.eval()
    recipe = spec.quantization.int8
    if recipe is None:
        return Checkpoint(model, spec)
    twin = quantized.twin_of(model, spec.architecture, recipe)
    try:
        quantized.load_state(twin, rounded)
    except ValueError as error:
        raise ModelError(
            f"{path}: its int8 twin doesn't fit {spec.architecture}: {error}"
        ) from None
    return Checkpoint(model, spec, twin)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
