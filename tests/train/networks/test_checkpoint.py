from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from fer_edge.errors import DamagedSpecError, MissingSpecError, ModelError
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import KEY, ModelSpec
from fer_edge.train.networks.checkpoint import Checkpoint, load, round_to_half, save
from fer_edge.train.networks.classifier import build_classifier


@pytest.fixture
def checkpoint(spec: ModelSpec) -> Checkpoint:
    torch.manual_seed(0)
    return Checkpoint(build_classifier(spec.architecture, 7, spec.input).eval(), spec)


FACES = np.random.default_rng(0).integers(0, 256, (5, 48, 48), dtype=np.uint8)


def test_round_trip_is_exact(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save(checkpoint, path)
    full = path.stat().st_size
    again = load(path)
    assert again.spec == checkpoint.spec == read_spec(path)
    assert np.array_equal(again.predict(FACES), checkpoint.predict(FACES))
    round_to_half(checkpoint.model)
    save(checkpoint, path)
    assert path.stat().st_size < 0.55 * full
    assert np.array_equal(load(path).predict(FACES), checkpoint.predict(FACES))


def test_no_face_is_no_answer(checkpoint: Checkpoint) -> None:
    assert checkpoint.predict(FACES[:0]).shape == (0, 7)


def test_logits_beyond_float32_are_named(checkpoint: Checkpoint) -> None:
    with torch.no_grad():
        for parameter in checkpoint.model.parameters():
            parameter.fill_(1e30)
    with pytest.raises(ModelError, match="PyTorch predicts logits that are NaN or infinite"):
        checkpoint.predict(FACES)


def test_damaged_files(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with pytest.raises(ModelError, match="no such file"):
        load(path)
    save(checkpoint, path)
    whole = path.read_bytes()
    for content, why in (
        (b"", "damaged or cut off, it is empty"),
        (b"\xff" * 100, "not a safetensors file"),
        (struct.pack("<Q", 22) + b'{"__metadata__": null}', "no 'fer_edge' spec"),
        (whole[:500], "damaged or cut off"),
        (whole[:-500], "damaged or cut off"),
    ):
        path.write_bytes(content)
        with pytest.raises((ModelError, MissingSpecError), match=rf"a\.safetensors: {why}"):
            load(path)


def test_specs_that_do_not_fit(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save(checkpoint, path)
    tensors = load_file(path)
    save_file(tensors, path)
    with pytest.raises(MissingSpecError, match=r"a\.safetensors: no 'fer_edge' spec"):
        load(path)
    save_file(tensors, path, metadata={KEY: "{}"})
    with pytest.raises(DamagedSpecError):
        load(path)
    document = json.loads(checkpoint.spec.to_json())
    save_file(tensors, path, metadata={KEY: json.dumps({**document, "architecture": "lenet"})})
    with pytest.raises(ModelError, match=r"a\.safetensors: unknown architecture 'lenet': choose"):
        load(path)
    document["labels"] = ["a", "b"]
    save_file(tensors, path, metadata={KEY: json.dumps(document)})
    with pytest.raises(ModelError, match="don't fit mobilenet_v3_small with 2 labels"):
        load(path)


def test_the_header_is_read_without_the_library(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save(checkpoint, path)
    size = struct.unpack("<Q", path.read_bytes()[:8])[0]
    assert json.loads(path.read_bytes()[8 : 8 + size])["__metadata__"][KEY]
    other = tmp_path / "a.pth"
    other.touch()
    with pytest.raises(
        ModelError, match=r"a\.pth: a model file ends in \.safetensors, \.onnx, \.xml or"
    ):
        read_spec(other)
