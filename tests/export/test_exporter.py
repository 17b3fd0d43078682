from __future__ import annotations

import json
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from torch import nn

from fer_edge.errors import ParityError
from fer_edge.export import exporter
from fer_edge.export import to_onnx as of_onnx
from fer_edge.export.exporter import export_checkpoint
from fer_edge.export.formats import FORMATS
from fer_edge.export.thresholds import ADVICE, Gate, ThresholdKind, Thresholds
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import Precision
from fer_edge.train.data.loading import read_data
from fer_edge.train.evaluation.evaluate import Model, evaluate, match_labels
from fer_edge.train.networks.checkpoint import Checkpoint
from tests.support.commands import Fer
from tests.support.exported import replace_exporter
from tests.support.requirements import needs_ncnn


def test_with_data_the_whole_split_is_compared(
    source: Path, csv_file: Path, tmp_path: Path
) -> None:
    done = export_checkpoint(source, tmp_path / "m.onnx", read_data(csv_file))
    golden, test = done.parities
    assert (golden.faces, golden.n, test.faces, test.n) == ("golden", 16, "test", 14)
    assert test.accuracy_reference == test.accuracy_exported
    assert done.spec.parity == test.summary()
    assert [m.split for m in done.spec.metrics] == ["test"]
    document = json.loads(done.report.read_text())
    assert document["path"] == str(tmp_path / "m.onnx")
    assert document["parity"]["n"] == 14
    assert document["bytes"] == done.path.stat().st_size
    assert {p.name for p in tmp_path.iterdir()} == {
        "m.onnx", "m.onnx.parity.json", "m.onnx.parity.html",
    }  # fmt: skip
    assert document["html_report"] == str(done.html_report)
    assert document["gate"] == "default"
    page = done.html_report.read_text("utf-8")
    assert "Split test: 14 faces" in page
    assert f"{done.size / 1e6:.2f} MB" in page
    assert f"{source.stat().st_size / 1e6:.2f} MB" in page


def test_every_face_is_predicted_once(
    source: Path, csv_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predicted = []
    opened = exporter.open_model

    def counting(path: Path, **options: Any) -> Model:
        model = opened(path, **options)

        def predict(faces: np.ndarray) -> np.ndarray:
            predicted.append(len(faces))
            return model.predict(faces)

        return replace(model, predict=predict)

    monkeypatch.setattr(exporter, "open_model", counting)
    done = export_checkpoint(source, tmp_path / "m.onnx", read_data(csv_file))
    assert predicted == [16, 14]
    monkeypatch.undo()
    data = read_data(csv_file)
    faces = match_labels(data, data.split("test"), done.spec, "m")
    assert done.spec.metrics == (evaluate(opened(done.path), faces, "test").metrics(),)


def spoil(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Make the converters write another mean, or weights that are off by 1 %."""
    build = of_onnx.to_onnx

    def spoiled(checkpoint: Checkpoint, precision: Precision) -> onnx.ModelProto:
        if what == "mean":
            before = checkpoint.model.shift
            checkpoint.model.shift = before + 0.2  # 5 % of black to white
            graph = build(checkpoint, precision)
            checkpoint.model.shift = before
            return graph
        graph, random = build(checkpoint, precision), np.random.default_rng(0)
        for tensor in graph.graph.initializer:
            values = onnx.numpy_helper.to_array(tensor)
            if values.ndim >= 2:
                off = values * (1 + 0.01 * random.standard_normal(values.shape))
                tensor.CopyFrom(onnx.numpy_helper.from_array(off.astype(values.dtype), tensor.name))
        return graph

    replace_exporter(monkeypatch, spoiled)


def spoil_ncnn(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """The same for ncnn."""
    from fer_edge.export import to_ncnn

    convert = to_ncnn._run_pnnx

    def spoiled(module: nn.Module, *given: Any) -> tuple[str, bytes]:
        before = module.model.shift
        module.model.shift = before + 0.2 * (what == "mean")
        graph, weights = convert(module, *given)
        module.model.shift = before
        numbers, random = np.frombuffer(weights, "<f4"), np.random.default_rng(0)
        if what == "weights":  # the tags are 0 and stay 0
            numbers = numbers * (1 + 0.01 * random.standard_normal(numbers.shape)).astype("<f4")
        return graph, numbers.tobytes()

    monkeypatch.setattr(to_ncnn, "_run_pnnx", spoiled)


@pytest.mark.parametrize("what", ["mean", "weights"])
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_spoiled_export_is_refused_and_leaves_nothing(
    source: Path, fer: Fer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    precision: ThresholdKind, format: str, what: str,
) -> None:  # fmt: skip
    needs_ncnn(format)
    (spoil_ncnn if format == "ncnn" else spoil)(monkeypatch, what)
    options = ("--precision", precision, "--format", format, "--output", tmp_path)
    ran = fer("export", source, *options)
    assert (ran.code, ran.out) == (1, "")
    assert "is not kept, it differs from " in ran.err
    assert " on golden is " in ran.err
    assert ran.err.endswith(f"What to try: {ADVICE[precision]}\n")
    assert list(tmp_path.iterdir()) == []


def test_without_the_gate_a_spoiled_export_is_kept_and_recorded(
    source: Path, csv_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, "weights")
    path = tmp_path / "m.onnx"
    done = export_checkpoint(source, path, read_data(csv_file), gate=Gate(enforced=False))
    parity = read_spec(path).parity
    assert parity is not None
    assert (parity.passed, parity.gate) == (False, "off")
    document = json.loads(done.report.read_text())
    assert document["gate"] == "off"
    assert document["golden"]["passed"] is False
    assert document["golden"]["failures"]
    assert "The gate was off" in done.html_report.read_text("utf-8")


def test_logits_that_are_nan_pass_only_without_the_gate(
    source: Path, csv_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = exporter.open_model

    def broken(path: Path, **options: Any) -> Model:
        return replace(
            opened(path, **options),
            predict=lambda faces: np.full((len(faces), 7), np.float32("nan")),
        )

    monkeypatch.setattr(exporter, "open_model", broken)
    data = read_data(csv_file)
    with pytest.raises(ParityError, match="some logits on golden are NaN or infinite"):
        export_checkpoint(source, tmp_path / "m.onnx", data)
    done = export_checkpoint(source, tmp_path / "m.onnx", data, gate=Gate(enforced=False))
    assert done.spec.parity is not None
    assert done.spec.parity.max_abs_logit_diff is None
    assert done.spec.metrics == ()
    json.loads(done.report.read_text(), parse_constant=pytest.fail)


def test_golden_samples_that_fail_are_not_hidden_by_a_split_that_passes(
    source: Path, csv_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = exporter.open_model

    def off_on_golden(path: Path, **options: Any) -> Model:
        model = opened(path, **options)
        return replace(model, predict=lambda faces: model.predict(faces) + (len(faces) == 16))

    monkeypatch.setattr(exporter, "open_model", off_on_golden)
    done = export_checkpoint(
        source, tmp_path / "m.onnx", read_data(csv_file), gate=Gate(enforced=False)
    )
    assert [parity.passed for parity in done.parities] == [False, True]
    assert done.spec.parity is not None
    assert not done.spec.parity.passed


def test_changed_thresholds_are_recorded_in_the_spec(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, "mean")
    gate = Gate({"fp32": Thresholds(agreement=0.0)})
    done = export_checkpoint(source, tmp_path / "m.onnx", gate=gate)
    assert done.spec.parity is not None
    assert (done.spec.parity.passed, done.spec.parity.gate) == (True, "changed")
    assert done.to_dict()["parity"]["thresholds"]["agreement"] == 0.0


def test_a_report_that_cannot_be_written_keeps_the_model_back(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_checkpoint(source, tmp_path / "m.onnx")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporter, "render_html_report", full)
    with pytest.raises(OSError, match="No space left"):
        export_checkpoint(source, tmp_path / "m.onnx", precision="fp16", force=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("format", FORMATS)
def test_a_disk_that_fills_up_leaves_nothing(
    source: Path, fer: Fer, tmp_path: Path, format: str
) -> None:
    """No file may grow past 20 kB, so that of the spec or the weights is cut off."""
    needs_ncnn(format)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        ran = fer("export", source, "--format", format, "--output", tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (ran.code, ran.out) == (1, "")
    assert "Error: " in ran.err
    if format == "onnx":  # OpenVINO's writer has a message of its own
        assert ran.err.endswith(f": '{tmp_path / 'fer-tiny-fp32.onnx'}'\n")
    assert list(tmp_path.iterdir()) == []
