"""The times and multiplications of benchmarks/detector_table.py."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from benchmarks import detector_table
from benchmarks.detector_table import LARGE, OURS, YUNET, count_in_graph, time_rows
from onnx import TensorProto, helper

from fer_edge.train.detector.labels import read_labels
from tests.support.photographs import write_photographs


def test_times_are_in_the_order_of_the_columns(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_photographs(tmp_path, {"web": 24})
    val = read_labels(tmp_path / "labels.json").split("val")

    def in_turns(calls: dict[str, object], rounds: int) -> list[dict[str, float]]:
        assert list(calls) == [OURS, OURS + LARGE, YUNET, YUNET + LARGE]
        return [{YUNET: 0.08, OURS + LARGE: 0.06, OURS: 0.04, YUNET + LARGE: 0.16}] * rounds

    monkeypatch.setattr(detector_table, "Detector", lambda *_, **__: None)
    monkeypatch.setattr(detector_table, "time_in_turns", in_turns)
    milliseconds, ratios, larger = time_rows({OURS: Path("a"), YUNET: Path("b")}, val, tmp_path)
    assert milliseconds[1:] == ["5.00", "10.00"]  # of eight photographs
    assert ratios[1:] == ["0.50 (0.50 to 0.50)", "1.00 (1.00 to 1.00)"]
    assert larger[1:] == ["1.50 (1.50 to 1.50)", "2.00 (2.00 to 2.00)"]


def test_multiplications_of_a_graph(tmp_path: Path) -> None:
    weights = helper.make_tensor("w", TensorProto.FLOAT, (8, 3, 3, 3), [0.0] * 216)
    of_any = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "h", "w"])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    node = helper.make_node("Conv", ["x", "w"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1])
    graph = helper.make_graph([node], "g", [of_any], [output], [weights])
    onnx.save(helper.make_model(graph), tmp_path / "g.onnx")
    assert count_in_graph(tmp_path / "g.onnx", 32, 64) == 8 * 16 * 32 * 27
