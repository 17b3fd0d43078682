"""Accuracy of the models of a benchmark, each measured in a process of its own."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fer_edge.runtime.diagnostics.benchmark import Benchmark
from fer_edge.runtime.diagnostics.self_test import Report, read_model_spec
from fer_edge.runtime.diagnostics.worker import WorkerError, run_in_process
from fer_edge.train.data.dataset import Split
from fer_edge.train.evaluation.evaluate import evaluate_file
from fer_edge.train.evaluation.evaluation_data import load_evaluation_data

logger = logging.getLogger(__name__)

TIMEOUT = 3600.0
"""Seconds; a slow board needs minutes for a test split."""


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """Accuracy, in [0, 1], and the number of faces that it was measured on."""

    accuracy: float
    faces: int


def check(models: Iterable[Path], data: Path, split: Split, *, skip_bad: bool = False) -> None:
    """See that the data fits every model, before minutes go into timing them.

    Raises:
        ModelError, SpecError: a model can't be read.
        DataError, OSError: the data can't be read, lacks the split, or doesn't fit a model.
    """
    for path in models:
        spec = read_model_spec(path)
        load_evaluation_data(data, split, {str(path): spec}, skip_bad=skip_bad)


def add_accuracy(
    found: Benchmark,
    data: Path,
    split: Split,
    *,
    skip_bad: bool = False,
    report: Report = logger.info,
) -> Benchmark:
    """Add the accuracy of every model and engine that was timed to a benchmark.

    `report` takes a line before each model and engine; `data` and `skip_bad` as in `read_data`.
    """
    pairs = dict.fromkeys((row.model, row.backend) for row in found.rows if row.speed is not None)
    changes: dict[tuple[str, str], dict[str, Any]] = {}
    faces = None
    for model, backend in pairs:
        report(f"{Path(model).name}, {backend}: accuracy on {split}")
        try:
            measured = run_in_process(
                measure_accuracy,
                model=model,
                backend=backend,
                data=str(data),
                split=split,
                skip_bad=skip_bad,
                timeout=TIMEOUT,
            )
        except WorkerError as error:
            changes[model, backend] = {"accuracy_failure": str(error)}
            continue
        changes[model, backend], faces = {"accuracy": measured.accuracy}, measured.faces
    rows = tuple(
        row if row.speed is None else dataclasses.replace(row, **changes[row.model, row.backend])
        for row in found.rows
    )
    return dataclasses.replace(found, rows=rows, split=split, faces=faces)


def measure_accuracy(model: str, backend: str, data: str, split: Split, skip_bad: bool) -> Accuracy:
    """Accuracy of one model under one engine; what a process of its own runs.

    Raises:
        FerEdgeError: the model or the data can't be used.
    """
    found = evaluate_file(Path(model), Path(data), split, backend=backend, skip_bad=skip_bad)
    return Accuracy(found.accuracy, len(found.truth))
