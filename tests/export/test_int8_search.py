"""int8 files, by post-training quantization and of a QAT model, and the search."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from fer_edge.errors import ConfigError, DataError, ParityError
from fer_edge.export import to_onnx as of_onnx
from fer_edge.export.exporter import Exported, export_checkpoint
from fer_edge.export.formats import FORMATS
from fer_edge.export.golden import draw_faces
from fer_edge.export.int8_search import (
    default_int8_recipe,
    quantize,
    read_int8_recipe,
    search_int8_recipe,
    search_target,
)
from fer_edge.export.thresholds import Gate
from fer_edge.runtime.backends import open_backend
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.results import softmax
from fer_edge.spec import Int8Recipe
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.data.loading import read_data
from fer_edge.train.networks import checkpoint as checkpoints
from fer_edge.train.networks.checkpoint import Checkpoint
from tests.support.data import draw_rows, write_csv
from tests.support.exported import replace_exporter

NO_THRESHOLDS = Gate(changes={"agreement": 0.0, "accuracy_loss": 1.0, "recall_loss": 1.0})
"""Random networks lose any amount of accuracy: what counts is that a file matches PyTorch."""


@pytest.fixture(scope="module")
def data(larger_csv_file: Path) -> FaceData:
    return read_data(larger_csv_file)


@pytest.fixture(scope="module")
def trained(source: Path, data: FaceData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose quantized model counts as trained and has a temperature of its own."""
    loaded = checkpoints.load(source)
    made = quantize(loaded, data, replace(default_int8_recipe(loaded), trained=1))
    quantization = replace(made.spec.quantization, temperature=2.5)
    path = tmp_path_factory.mktemp("trained") / "tiny.safetensors"
    checkpoints.save(replace(made, spec=replace(made.spec, quantization=quantization)), path)
    return path


@pytest.fixture(scope="module")
def files(
    trained: Path, data: FaceData, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Exported]:
    folder = tmp_path_factory.mktemp("files")
    return {
        format: export_checkpoint(
            trained, folder / f"m{kind.suffix}", data,
            format=format, precision="int8", gate=NO_THRESHOLDS,
        )
        for format, kind in FORMATS.items()
        if "int8" in kind.precisions
    }  # fmt: skip


def test_a_file_has_the_temperature_of_its_model(
    files: dict[str, Exported], trained: Path, tmp_path: Path
) -> None:
    fp32 = export_checkpoint(trained, tmp_path / "fp32.onnx")
    assert (fp32.spec.temperature, files["onnx"].spec.temperature) == (1.5, 2.5)
    for done in (fp32, files["onnx"]):
        logits, probabilities = onnxruntime.InferenceSession(done.path).run(
            ["logits", "probabilities"], {"faces": draw_faces(48)}
        )
        expected = softmax(logits / done.spec.temperature)
        assert np.abs(probabilities - expected).max() < 1e-6
    assert files["onnx"].spec.quantization.temperature is None
    assert checkpoints.load(trained).spec.temperature == 1.5


def test_onnx_runtime_fuses_every_layer(tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(bundled("model"), options)
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)
    assert kinds["QLinearConv"] == 52
    assert kinds["QLinearAdd"] == 10
    assert kinds["Conv"] == 0


def test_the_spec_and_the_report_describe_the_quantization(files: dict[str, Exported]) -> None:
    for done in files.values():
        quantization = done.spec.quantization
        assert (quantization.precision, quantization.weights) == ("int8", "int8")
        assert quantization.calibration == "63 faces of FER2013 train, up to 9 per label, seed 0"
        assert quantization.int8 is not None
        assert quantization.int8.trained == 1
        assert done.savings is not None
        assert done.savings.bytes == done.size
        assert done.savings.milliseconds > 0
        assert done.parities[1].accuracy_float is not None
        assert done.to_dict()["savings"]["speedup"] == done.savings.speedup


def test_ptq_losses_are_measured_against_the_float_model(
    source: Path, data: FaceData, tmp_path: Path
) -> None:
    options = {"precision": "int8", "gate": NO_THRESHOLDS}
    done = export_checkpoint(source, tmp_path / "m.onnx", data, **options)  # type: ignore[arg-type]
    golden, test = done.parities
    assert golden.max_abs_logit_diff < 1e-5  # against the same quantization in PyTorch
    assert test.max_abs_logit_diff > 1e-3  # against float
    assert test.accuracy_float is None
    assert done.spec.quantization.method == "post-training quantization, ranges by answer"

    recipe = read_int8_recipe(done.path)
    assert recipe == done.spec.quantization.int8
    other = tmp_path / "n.onnx"
    export_checkpoint(source, other, data, recipe=recipe, **options)  # type: ignore[arg-type]
    logits = [open_backend(path)(draw_faces(48)) for path in (done.path, other)]
    assert np.array_equal(*logits)


def test_a_spoiled_int8_file_is_refused(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = of_onnx.to_onnx

    def spoiled(checkpoint: Checkpoint, precision: object) -> onnx.ModelProto:
        model = build(checkpoint, precision)  # type: ignore[arg-type]
        tensor = max(model.graph.initializer, key=lambda t: len(t.raw_data))
        tensor.raw_data = bytes(reversed(tensor.raw_data))
        return model

    replace_exporter(monkeypatch, spoiled)
    message = r"label agreement on golden .* What to try: run fer train"
    with pytest.raises(ParityError, match=message):
        export_checkpoint(trained, tmp_path / "m.onnx", precision="int8")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_quantized(
    source: Path, files: dict[str, Exported], trained: Path, tmp_path: Path
) -> None:
    path = tmp_path / "m.onnx"
    with pytest.raises(ConfigError, match="int8 needs --data"):
        export_checkpoint(source, path, precision="int8")
    few = read_data(write_csv(draw_rows(7, 1, 1), tmp_path / "few.csv"))
    with pytest.raises(DataError, match="49 faces in train to calibrate int8 with, at least 50"):
        export_checkpoint(source, path, few, precision="int8")
    unknown = Int8Recipe(float_layers=("tail",))
    with pytest.raises(ConfigError, match="has no layer 'tail'"):
        export_checkpoint(source, path, few, precision="int8", recipe=unknown)
    with pytest.raises(ConfigError, match="comes from quantization-aware training"):
        read_int8_recipe(files["onnx"].path)
    with pytest.raises(ConfigError, match="not an int8 file"):
        read_int8_recipe(trained)
    assert not path.exists()


@pytest.mark.parametrize(("minimum", "target"), [(0.97, 0.98), (0.99, 0.995), (0.996, 0.998)])
def test_the_search_aims_higher_than_the_threshold(minimum: float, target: float) -> None:
    assert search_target(minimum) == pytest.approx(target)


def test_calibration_reports_its_progress(source: Path, data: FaceData) -> None:
    steps: list[tuple[str, int, int]] = []
    loaded = checkpoints.load(source)
    quantize(loaded, data, default_int8_recipe(loaded), lambda *step: steps.append(step))
    assert (steps[0], steps[-1]) == (("calibration", 0, 1), ("calibration", 1, 1))
    assert len(steps) > 5


def test_the_search_leaves_the_most_sensitive_blocks_in_float(source: Path, data: FaceData) -> None:
    lines: list[str] = []
    easy = search_int8_recipe(source, data, lines.append, min_agreement=0.0)
    assert easy.ranges in ("answer", "mse", "percentile", "minmax")
    assert len(lines) == 5

    lines.clear()
    found = search_int8_recipe(source, data, lines.append, min_agreement=1.0)
    start = default_int8_recipe(checkpoints.load(source))
    assert set(found.float_layers) > set(start.float_layers)
    assert any(" blocks in float, from features." in line for line in lines)

    val = data.split("val").pixels
    expected = checkpoints.load(source).predict(val).argmax(1)

    def agreement(recipe: Int8Recipe) -> float:
        model = quantize(checkpoints.load(source), data, recipe).int8()
        return float((model.predict(val).argmax(1) == expected).mean())

    alone = [line.split() for line in lines if " alone in int8" in line]
    least_sensitive = max(alone, key=lambda fields: float(fields[-1][:-1]))[0]
    assert not any(layer.startswith(f"{least_sensitive}.") for layer in found.float_layers)
    assert agreement(found) > agreement(replace(start, ranges=found.ranges))
