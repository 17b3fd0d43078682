"""`fer parity`."""

from __future__ import annotations

from pathlib import Path

import pytest

from fer_edge.runtime.formats.model_files import bundled
from fer_edge.train.networks import checkpoint, quantized
from tests.support.commands import Fer

pytestmark = pytest.mark.usefixtures("exporter")


def test_parity_of_two_strangers_fails(fer: Fer, tiny_checkpoint: Path, tmp_path: Path) -> None:
    """A file against a checkpoint of other weights: exit 1, and the threshold is named."""
    fp32_model = tmp_path / "m.onnx"
    assert fer("export", tiny_checkpoint, "--output", fp32_model).code == 0
    other = checkpoint.load(tiny_checkpoint)
    for parameter in other.model.parameters():
        parameter.data *= 1.25
    path = tmp_path / "other.safetensors"
    checkpoint.save(other, path)
    ran = fer("parity", path, fp32_model)
    assert ran.code == 1
    assert "FAILED  golden" in ran.out
    assert "times the threshold of 0.0001" in ran.out
    assert "m.onnx was exported from another checkpoint: its sha256 is " in ran.err

    gate = tmp_path / "gate.toml"
    gate.write_text("[fp32]\nmax_abs_logit_diff = 1000\n")
    for options in (
        ("--gate", gate, "--min-agreement", 0),
        ("--max-logit-diff", 1000, "--min-agreement", 0, "--max-recall-loss", 1),
    ):
        ran = fer("parity", path, fp32_model, *options)
        assert (ran.code, "passed  golden" in ran.out) == (0, True), ran.out
    gate.write_text("[fp32]\nagreement = 2\n")
    ran = fer("parity", path, fp32_model, "--gate", gate)
    assert (ran.code, "gate.toml: fp32: agreement must be in [0, 1]" in ran.err) == (2, True)
    ran = fer("parity", path, fp32_model, "--max-accuracy-loss", -1)
    assert (ran.code, "accuracy_loss must be in [0, 1]" in ran.err) == (2, True)


def test_an_int8_file_is_compared_with_the_quantized_model(fer: Fer, tmp_path: Path) -> None:
    other = checkpoint.load(bundled("checkpoint"))
    assert other.quantized_model is not None
    for layer in quantized.quantized_layers(other.quantized_model).values():
        layer.layer.weight.data *= -1
    path = tmp_path / "other.safetensors"
    checkpoint.save(other, path)
    ran = fer("parity", path, bundled("model"))
    assert (ran.code, "label agreement on golden" in ran.out) == (1, True)
    ran = fer("parity", bundled("checkpoint"), bundled("model"), "--device", "auto")
    assert (ran.code, ran.err) == (0, "")
