"""Every architecture through every format, and its int8 through every engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fer_edge.export.exporter import export_checkpoint
from fer_edge.export.formats import FORMATS
from fer_edge.export.golden import draw_faces
from fer_edge.export.int8_search import default_int8_recipe, quantize
from fer_edge.export.thresholds import Gate
from fer_edge.runtime.backends import open_backend
from fer_edge.runtime.backends.registry import ENGINES
from fer_edge.train.data.loading import read_data
from fer_edge.train.networks import checkpoint as checkpoints
from fer_edge.train.networks.architectures import ARCHITECTURES
from tests.support.networks import make_checkpoint
from tests.support.requirements import needs_ncnn

NO_THRESHOLDS = Gate(changes={"agreement": 0.0, "accuracy_loss": 1.0, "recall_loss": 1.0})
"""Random networks lose any amount of accuracy: what counts is that a file matches PyTorch."""
COMPUTED_OTHERWISE = {
    # hard swish and the gates of squeeze-and-excitation stay in float, and OpenVINO rounds them
    # differently: a last bit crosses a quantization level further on
    ("mobilenet_v3_small", "openvino"),
}


VANISHING = "mobilenet_v3_large"
"""Not compared in int8: with random weights its int8 logits are nearly the same for all faces, so
that no comparison could fail; mobilenet_v3_small has the same kinds of layers."""


def slow_unless(*prefixes: str, without: str | None = None) -> list[Any]:
    """Every architecture but `without`; those without one of these prefixes are marked as slow."""
    return [
        name if name.startswith(prefixes) else pytest.param(name, marks=pytest.mark.slow)
        for name in ARCHITECTURES
        if name != without
    ]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("architecture", slow_unless("tiny", "mobilenet"))
def test_fp32_reaches_its_thresholds(architecture: str, format: str, tmp_path: Path) -> None:
    needs_ncnn(format)
    path = tmp_path / f"m{FORMATS[format].suffix}"
    done = export_checkpoint(make_checkpoint(architecture, tmp_path), path, format=format)
    assert [parity.passed for parity in done.parities] == [True]
    assert done.spec.architecture == architecture


@pytest.mark.parametrize("architecture", slow_unless("tiny", without=VANISHING))
def test_int8_is_computed_as_in_pytorch(
    architecture: str, tmp_path: Path, larger_csv_file: Path
) -> None:
    data = read_data(larger_csv_file)
    source = checkpoints.load(make_checkpoint(architecture, tmp_path))
    recipe = replace(default_int8_recipe(source), ranges="minmax", trained=1)
    path = tmp_path / "int8.safetensors"
    checkpoints.save(quantize(source, data, recipe), path)
    done = export_checkpoint(path, tmp_path / "m.onnx", data, precision="int8", gate=NO_THRESHOLDS)
    faces = np.concatenate([draw_faces(48), data.split("test").pixels])
    expected = checkpoints.load(path).int8().predict(faces)
    assert expected.std(0).min() > 0.01
    for engine in ENGINES:
        if not done.path.name.endswith(ENGINES[engine].suffixes):
            continue
        for batch in (1, 7, 64):
            backend = open_backend(done.path, backend=engine)
            batches = range(0, len(faces), batch)
            got = np.concatenate([backend(faces[i : i + batch]) for i in batches])
            if (architecture, engine) in COMPUTED_OTHERWISE:
                assert (got.argmax(1) == expected.argmax(1)).mean() > 0.9
                assert np.abs(got - expected).mean() < 0.05 * expected.std()
            else:
                assert np.abs(got - expected).max() < 1e-5, engine
