"""Golden samples and speed of one model under one engine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fer_edge.errors import ModelError
from fer_edge.runtime.backends.registry import ENGINES
from fer_edge.runtime.diagnostics.self_test import (
    Measured,
    Row,
    Verdict,
    choose_fastest,
    describe_engine,
    measure_model,
    thread_counts,
)
from fer_edge.runtime.diagnostics.worker import WorkerError, run_in_process
from fer_edge.runtime.formats.model_files import bundled


@pytest.mark.parametrize("seconds", [0.0, 0.01])
def test_base(seconds: float) -> None:
    measured = measure_model(str(bundled("model")), "onnxruntime", 1, seconds)
    assert (measured.samples, measured.labels_differ) == (16, 0)
    assert measured.max_abs_logit_diff is not None
    assert measured.max_abs_logit_diff < 1e-4
    assert (measured.ms is None) == (seconds == 0)
    assert measured.ms is None or measured.ms > 0


def test_in_a_process_of_its_own(tmp_path: Path) -> None:
    arguments = {"backend": "onnxruntime", "threads": 1, "seconds": 0.0}
    measured = run_in_process(measure_model, model=str(bundled("model")), **arguments)
    assert measured == measure_model(str(bundled("model")), "onnxruntime", 1, 0.0)
    with pytest.raises(WorkerError, match=r"^ModelError: .*no\.onnx: there is no such file \(exit"):
        run_in_process(measure_model, model=str(tmp_path / "no.onnx"), **arguments)
    with pytest.raises(ModelError):
        measure_model(str(tmp_path / "no.onnx"), "onnxruntime", 1, 0.0)


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_is_described(name: str) -> None:
    pytest.importorskip(ENGINES[name].package)
    info = describe_engine(name)
    assert info.devices[0] == "cpu"
    assert info.version == sys.modules[ENGINES[name].package].__version__.partition("-")[0]


def rows(*tried: tuple[str, int, Verdict, float | None]) -> list[Row]:
    return [
        Row(name, threads, verdict, Measured(16, 0, 0.0, ms))
        for name, threads, verdict, ms in tried
    ]


@pytest.mark.parametrize(
    ("tried", "chosen"),
    [
        ([], None),
        ([("a", 1, "right", None)], None),
        ([("a", 1, "wrong", 1.0), ("b", 1, "failed", 1.0), ("c", 1, "untested", 1.0)], None),
        ([("a", 1, "right", 1.0), ("a", 2, "right", 0.91)], ("a", 1)),
        ([("a", 1, "right", 1.0), ("a", 2, "right", 0.89)], ("a", 2)),
        ([("a", 1, "right", 1.0), ("b", 1, "right", 0.8), ("b", 2, "right", 0.5)], ("b", 2)),
        ([("a", 1, "right", 1.0), ("b", 1, "close", 0.1), ("c", 1, "wrong", 0.1)], ("a", 1)),
        ([("a", 1, "wrong", 0.1), ("b", 1, "close", 1.0), ("b", 2, "close", 0.5)], ("b", 2)),
    ],
)
def test_the_choice(
    tried: list[tuple[str, int, Verdict, float | None]], chosen: tuple[str, int] | None
) -> None:
    found = choose_fastest(rows(*tried))
    assert (found and (found.backend, found.threads)) == chosen


@pytest.mark.parametrize(
    ("cores", "counts"),
    [(1, [1]), (2, [1, 2]), (4, [1, 2, 4]), (6, [1, 2, 4, 6]), (64, [1, 2, 4, 8])],
)
def test_thread_counts(cores: int, counts: list[int]) -> None:
    assert thread_counts(cores) == counts
