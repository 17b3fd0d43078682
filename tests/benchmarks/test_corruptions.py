"""The table of benchmarks/corruptions.py, and the predictions of a peer's process."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks.corruptions import Measured, format_rows, main, peer_predictor, split_name
from benchmarks.lib import result_tables
from benchmarks.peers.child import Reader, respond
from benchmarks.peers.rows import Row
from benchmarks.peers.table import TABLE

from fer_edge.runtime.formats.model_files import bundled
from fer_edge.train.evaluation.corruption_report import CorruptionReport, CorruptionRow


def reported(accuracy: float) -> CorruptionReport:
    clean = CorruptionRow("clean", 0.9, 1.0, 0.01, (1.0,))
    return CorruptionReport(("happy",), 10, clean, (CorruptionRow("b", accuracy, 1, 0.2, (1.0,)),))


def test_a_row_for_each_corruption_and_two_columns_for_each_model() -> None:
    columns, rows = format_rows(
        [Measured("m", {}, reported(0.5)), Measured("o", {}, reported(0.1))]
    )
    assert columns == ["", "m: accuracy", "calibration error", "o: accuracy", "calibration error"]
    assert rows == [
        ["clean", "90.0 %", "0.010", "90.0 %", "0.010"],
        ["b", "50.0 %", "0.200", "10.0 %", "0.200"],
        ["mean, corrupted", "50.0 %", "0.200", "10.0 %", "0.200"],
    ]


class FakeRow(Row):
    """A peer that runs in this process and knows two labels."""

    def ask(self, **request: object) -> dict[str, object] | None:
        reader = Reader(
            ("sadness", "Happy"),
            str,
            lambda _: "sadness",
            None,
            (),
            lambda face: np.array([face.mean() / 255, 1 - face.mean() / 255]),
        )
        return respond(reader, dict(request))


def test_probabilities_of_a_peer_are_in_the_order_of_the_labels() -> None:
    row = FakeRow(TABLE[0], labels=["sadness", "Happy"])
    faces = np.stack([np.full((48, 48), level, np.uint8) for level in (0, 51, 255)])
    with peer_predictor(row, ("happy", "sad")) as predict:
        found = predict(faces)
    assert found.dtype == np.float32
    assert np.allclose(found, [[1, 0], [0.8, 0.2], [0, 1]])


def test_a_peer_that_fails_is_named() -> None:
    row = Row(TABLE[0], failure="it ended with (1)", labels=[])
    with (
        pytest.raises(SystemExit, match=r"ONNX Runtime: it ended with \(1\)"),
        peer_predictor(row, ("happy",)),
    ):
        pass


def test_a_peer_without_probabilities_says_so(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.zeros((1, 48, 48), np.uint8))
    reader = Reader(("happy",), str, lambda _: "happy", None, ())
    reply = respond(reader, {"do": "probabilities", "faces": str(tmp_path / "f.npy")})
    assert reply == {"error": "it predicts labels alone"}


def test_the_kept_result_names_the_models_and_the_split(
    csv_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_tables, "RESULTS", tmp_path)
    monkeypatch.setenv("FER2013", str(csv_file))
    monkeypatch.setattr(sys, "argv", ["corruptions", f"old={bundled('model')}", "--keep"])
    main()
    kept = json.loads((tmp_path / "corruptions.json").read_text())
    assert kept["command"] == (
        f"python -m benchmarks.corruptions old={bundled('model').name} --split val --keep"
    )
    assert kept["columns"] == ["val, 14 faces", "old: accuracy", "calibration error"]
    assert (kept["model"], len(kept["rows"])) == (["old"], 22)
    assert len(kept["figures"]["old"]["rows"]) == 20
    assert "onnxruntime)" in kept["versions"][bundled("model").name]


def test_a_path_may_have_an_equals_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lr=1.onnx").touch()
    for given, expected in {
        "base": ("", "base"),
        "old=runs/m.onnx": ("old", "runs/m.onnx"),
        "runs/lr=0.1/m.onnx": ("", "runs/lr=0.1/m.onnx"),
        "old=runs/lr=0.1/m.onnx": ("old", "runs/lr=0.1/m.onnx"),
        "lr=1.onnx": ("", "lr=1.onnx"),
    }.items():
        assert split_name(given) == expected
