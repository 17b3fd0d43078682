"""Exported detectors find what PyTorch finds, under every engine, for images of any size."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from fer_edge.detector_spec import DetectorParity
from fer_edge.errors import ConfigError, ModelError, ParityError, SpecError
from fer_edge.export import detector_exporter, detector_formats
from fer_edge.export.detector_exporter import ExportedDetector, export_detector
from fer_edge.export.detector_formats import DETECTOR_FORMATS, detector_to_onnx
from fer_edge.export.detector_parity import (
    THRESHOLDS,
    Comparison,
    DetectorThresholds,
    find_failures,
    pair_faces,
)
from fer_edge.runtime.detection.cells import is_same_output, open_cells
from fer_edge.runtime.detection.detector import Detector
from fer_edge.runtime.detection.engines import ENGINES
from fer_edge.runtime.formats.spec_reader import read_detector_spec, read_spec
from fer_edge.spec import Precision
from fer_edge.train.detector import checkpoint
from fer_edge.train.detector.checkpoint import DetectorCheckpoint
from fer_edge.train.detector.labels import read_labels
from fer_edge.train.detector.whole import WholePhotographs
from tests.support.detectors import draw_image, save_detector
from tests.support.photographs import write_photographs

CELLS = [
    (format, precision)
    for format, kind in DETECTOR_FORMATS.items()
    for precision in kind.precisions
]
READERS = [
    (*cell, engine)
    for cell in CELLS
    for engine in (("onnxruntime", "openvino") if cell[0] == "onnx" else (cell[0],))
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_detector(tmp_path_factory.mktemp("detector"))


@pytest.fixture(scope="module")
def exported(
    source: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], ExportedDetector]:
    folder = tmp_path_factory.mktemp("exported")
    photographs = tmp_path_factory.mktemp("photographs")
    val = read_labels(write_photographs(photographs)).split("val")
    whole = WholePhotographs(val, photographs, 160)
    made, graphs = {}, dict[str, bytes]()

    def build(loaded: DetectorCheckpoint, precision: Precision) -> onnx.ModelProto:
        """PyTorch's exporter takes seconds: once for each precision."""
        if precision not in graphs:
            graphs[precision] = detector_to_onnx(loaded, precision).SerializeToString()
        return onnx.load_from_string(graphs[precision])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detector_formats, "detector_to_onnx", build)
        for format, precision in CELLS:
            path = folder / f"{precision}{DETECTOR_FORMATS[format].suffix}"
            # int8 of a network that isn't trained loses recall by chance
            enforced = precision == "fp32"
            made[format, precision] = export_detector(
                source, path, whole, format=format, precision=precision, enforced=enforced
            )
    return made


@pytest.mark.parametrize(("format", "precision", "engine"), READERS)
def test_the_output_is_pytorchs_for_every_size(
    format: str,
    precision: str,
    engine: str,
    exported: dict[tuple[str, str], ExportedDetector],
    source: Path,
) -> None:
    path = exported[format, precision].path
    loaded = checkpoint.load(source)
    own = loaded.int8() if precision == "int8" else loaded
    run = open_cells(path, read_detector_spec(path), engine=engine)
    for height, width in ((32, 32), (64, 160), (96, 64)):
        image = draw_image(height, width)[None]
        output, expected = run(image)[0], own.run(image)[0]
        assert is_same_output(output, expected)
        assert np.abs(output[-1] - expected[-1]).max() < 1e-5
        assert np.abs(output[:-1] - expected[:-1]).max() < 1e-2


@pytest.mark.parametrize(("format", "precision"), CELLS)
def test_the_comparison_is_in_the_file_and_in_the_report(
    format: str, precision: str, exported: dict[tuple[str, str], ExportedDetector], source: Path
) -> None:
    done = exported[format, precision]
    spec = read_detector_spec(done.path)
    assert spec.parity == done.parity
    assert done.parity.photographs == 6
    assert done.parity.faces > 0  # else nothing was compared
    assert done.parity.same == 1
    assert done.parity.max_box_difference < 0.01
    assert spec.quantization.precision == precision
    assert spec.source_sha256 == detector_exporter.sha256(source)
    assert len(spec.golden) == 2
    report = json.loads(done.report.read_text())
    assert report == {**done.to_dict(), "parity": report["parity"]}
    assert report["bytes"] == done.size


@pytest.mark.parametrize("engine", ENGINES)
def test_the_runtime_finds_the_faces_that_the_checkpoint_finds(
    engine: str, exported: dict[tuple[str, str], ExportedDetector]
) -> None:
    format = {"onnxruntime": "onnx"}.get(engine, engine)
    detector = Detector(exported[format, "fp32"].path, min_face=1, engine=engine)
    image = Image.fromarray(draw_image(90, 150))
    found = detector(image)
    assert found
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert found == detector(image.convert("RGB"))
    for one in found:
        assert len(one.landmarks) == 2
        x, y, width, height = one.box
        assert x >= 0 <= y
        assert x + width <= 150
        assert y + height <= 90


def test_int8_is_computed_in_integers(exported: dict[tuple[str, str], ExportedDetector]) -> None:
    graph = onnx.load(exported["onnx", "int8"].path).graph
    produced = {output: node for node in graph.node for output in node.output}
    layers = [node for node in graph.node if node.op_type == "Conv"]
    quantized = [node for node in layers if node.input[1] in produced]
    assert len(layers) - len(quantized) == 3  # the heads' last layers
    assert not [node for node in graph.node if node.op_type == "SequenceConstruct"]


def test_another_engines_file(exported: dict[tuple[str, str], ExportedDetector]) -> None:
    with pytest.raises(ConfigError, match=r"ncnn reads detectors that end in \.param"):
        Detector(exported["onnx", "fp32"].path, engine="ncnn")


def test_a_changed_weight_is_found(
    exported: dict[tuple[str, str], ExportedDetector], tmp_path: Path
) -> None:
    path = tmp_path / "d.onnx"
    model = onnx.load(exported["onnx", "fp32"].path)
    largest = max(model.graph.initializer, key=lambda one: len(one.raw_data))
    values = np.frombuffer(largest.raw_data, np.float32).copy()
    values[:100] += 3
    largest.raw_data = values.tobytes()
    onnx.save(model, path)
    with pytest.raises(ModelError, match=r"d\.onnx: computes otherwise than its spec says"):
        Detector(path)


def test_a_file_that_misses_a_threshold_is_not_kept(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = DetectorThresholds(same=1.0, max_box_difference=-1.0, recall_lost=0.0)
    monkeypatch.setitem(THRESHOLDS, "fp32", strict)
    path = tmp_path / "d.ncnn.param"
    with pytest.raises(ParityError, match="is not kept"):
        export_detector(source, path, format="ncnn")
    assert list(tmp_path.iterdir()) == []
    done = export_detector(source, path, format="ncnn", enforced=False)
    assert (done.parity.gate, done.parity.passed) == ("off", False)


def test_what_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ncnn has no int8: fp32"):
        export_detector(source, tmp_path / "d.ncnn.param", format="ncnn", precision="int8")
    with pytest.raises(ConfigError, match=r"onnx writes a file that ends in \.onnx"):
        export_detector(source, tmp_path / "d.xml")
    (tmp_path / "d.onnx").write_bytes(b"x")
    with pytest.raises(ConfigError, match="exists: pass --force"):
        export_detector(source, tmp_path / "d.onnx")
    plain = checkpoint.load(source)
    quantization = replace(plain.spec.quantization, int8=None)
    spec = replace(plain.spec, quantization=quantization)
    other = tmp_path / "float.safetensors"
    checkpoint.save(replace(plain, spec=spec, quantized_model=None), other)
    with pytest.raises(ModelError, match="holds no quantized model"):
        export_detector(other, tmp_path / "e.onnx", precision="int8")
    with pytest.raises(SpecError, match="a face detector, not a model of expressions"):
        read_spec(source)


def rows(*faces: tuple[float, float]) -> np.ndarray:
    found = [[x, y, 20, 20, 0, 0, 0, 0, 0.9] for x, y in faces]
    return np.array(found, np.float32).reshape(-1, 9)


def test_faces_are_paired_once() -> None:
    assert pair_faces(rows((0, 0), (1, 0)), rows((1, 0))) == [(0, 0)]
    assert pair_faces(rows((0, 0)), rows((50, 0))) == []
    assert pair_faces(rows(), rows((50, 0))) == []
    compared = Comparison()
    compared.add(rows((0, 0), (50, 50)), rows((0, 0.25)))
    compared.add(rows(), rows())
    assert (compared.same, compared.differing) == (2 / 3, [0])
    assert compared.max_box_difference == 0.25


def test_missed_thresholds_are_named() -> None:
    parity = DetectorParity(10, 20, 0.99, 0.75, 0.01, passed=False)
    assert len(find_failures(parity, THRESHOLDS["int8"])) == 3
    assert find_failures(replace(parity, recall_lost=None), THRESHOLDS["int8"])[0].startswith(
        "99.000% of the faces"
    )
    fine = DetectorParity(0, 20, 1.0, 0.1, None, passed=True)
    assert find_failures(fine, THRESHOLDS["fp32"]) == []
