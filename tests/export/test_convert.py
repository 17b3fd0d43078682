from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from fer_edge.errors import ParityError
from fer_edge.export import convert
from fer_edge.export.convert import export_file
from fer_edge.spec import Precision
from fer_edge.train.checkpoint import Checkpoint
from fer_edge.train.datasets import read_data


def test_with_data_the_whole_split_is_compared(
    source: Path, csv_file: Path, tmp_path: Path
) -> None:
    done = export_file(source, tmp_path / "m.onnx", read_data(csv_file))
    golden, test = done.parities
    assert (golden.faces, golden.n, test.faces, test.n) == ("golden", 16, "test", 14)
    assert test.accuracy_reference == test.accuracy_exported
    assert done.spec.parity == test.summary()
    assert [m.split for m in done.spec.metrics] == ["test"]
    document = json.loads(done.report.read_text())
    assert document["path"] == str(tmp_path / "m.onnx")
    assert document["parity"]["n"] == 14
    assert document["bytes"] == done.path.stat().st_size
    assert {p.name for p in tmp_path.iterdir()} == {"m.onnx", "m.onnx.parity.json"}


@pytest.mark.parametrize("what", ["mean", "weight"])
def test_a_spoiled_export_is_refused_and_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    build = convert.to_onnx

    def spoiled(checkpoint: Checkpoint, precision: Precision) -> onnx.ModelProto:
        if what == "mean":
            checkpoint.model.shift += 0.05
            graph = build(checkpoint, precision)
            checkpoint.model.shift -= 0.05
            return graph
        graph = build(checkpoint, precision)
        tensor = max(graph.graph.initializer, key=lambda t: len(t.raw_data))
        tensor.raw_data = bytes(len(tensor.raw_data))
        return graph

    monkeypatch.setattr(convert, "to_onnx", spoiled)
    with pytest.raises(ParityError, match=r"isn't kept: .*max \|Δlogit\| on golden is"):
        export_file(source, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []
