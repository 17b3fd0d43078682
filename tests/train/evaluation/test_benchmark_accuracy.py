from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from fer_edge.errors import DataError
from fer_edge.runtime.device.board import read_board
from fer_edge.runtime.diagnostics.benchmark import Benchmark, Row
from fer_edge.runtime.diagnostics.statistics import Speed
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.train.evaluation.benchmark_accuracy import (
    Accuracy,
    add_accuracy,
    check,
    measure_accuracy,
)

SPEED = Speed("1", 300, 1.0, (1.0, 1.0), 1.0, 1.0, (1.0,), 1.0, 1.0, 1.0, 2**26, ())


def measured(*rows: tuple[Path, str, int, Speed | None]) -> Benchmark:
    return Benchmark(
        "0",
        read_board(),
        (),
        tuple(
            Row(str(path), "int8", 1, backend, threads, 1, speed, None if speed else "it crashed")
            for path, backend, threads, speed in rows
        ),
    )


def test_once_for_each_model_and_engine(csv_file: Path) -> None:
    model = bundled("model")
    found = measured(
        (model, "onnxruntime", 1, SPEED),
        (model, "onnxruntime", 2, SPEED),
        (model, "onnxruntime", 4, None),
        (model, "openvino", 1, None),
    )
    told: list[str] = []
    rated = add_accuracy(found, csv_file, "val", report=told.append)
    assert told == ["base.onnx, onnxruntime: accuracy on val"]
    first = rated.rows[0].accuracy
    assert first is not None
    assert 0 <= first <= 1
    assert [row.accuracy for row in rated.rows] == [first, first, None, None]
    assert (rated.split, rated.faces) == ("val", 14)
    assert json.loads(json.dumps(rated.to_dict()))["rows"][1]["accuracy"] == first


def test_it_is_what_evaluate_says(csv_file: Path) -> None:
    from fer_edge.train.data.loading import read_data
    from fer_edge.train.evaluation.evaluate import evaluate, match_labels, open_model

    opened = open_model(bundled("model"))
    read = read_data(csv_file)
    faces = match_labels(read, read.split("test"), opened.spec, "m")
    measured = measure_accuracy(
        str(bundled("model")), "onnxruntime", str(csv_file), "test", skip_bad=False
    )
    assert measured == Accuracy(evaluate(opened, faces, "test").accuracy, 14)


def test_a_model_that_fails_is_a_row(csv_file: Path, tmp_path: Path) -> None:
    broken = tmp_path / "m.onnx"
    broken.write_bytes(bundled("model").read_bytes()[:100_000])
    found = measured((broken, "onnxruntime", 1, SPEED), (bundled("model"), "onnxruntime", 1, SPEED))
    first, second = add_accuracy(found, csv_file, "test").rows
    assert first.accuracy is None
    assert "ModelError" in str(first.accuracy_failure)
    assert second.accuracy is not None
    assert second.accuracy_failure is None
    assert first == dataclasses.replace(found.rows[0], accuracy_failure=first.accuracy_failure)


def test_data_that_does_not_fit_is_said_first(csv_file: Path, tmp_path: Path) -> None:
    check([bundled("model")], csv_file, "test")
    with pytest.raises(DataError, match="there is no such file"):
        check([bundled("model")], tmp_path / "no.csv", "test")
    shutil.copy(csv_file, tmp_path / "bad.csv")
    with (tmp_path / "bad.csv").open("a") as stream:
        stream.write("9,1 2 3,PrivateTest\n")
    with pytest.raises(DataError):
        check([bundled("model")], tmp_path / "bad.csv", "test")
    check([bundled("model")], tmp_path / "bad.csv", "test", skip_bad=True)
