"""How many faces of a split the models of a benchmark answer rightly.

`python -m fer_edge.train.evaluation.benchmark_accuracy MODEL BACKEND DATA SPLIT SKIP_BAD` prints
one line of JSON: an `Accuracy`. SKIP_BAD is 0 or 1.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from fer_edge.errors import FerEdgeError
from fer_edge.runtime.diagnostics.benchmark import Benchmark
from fer_edge.runtime.diagnostics.self_test import Tell, child, readable, silent
from fer_edge.schema import parse
from fer_edge.train.data.dataset import SPLITS, Split
from fer_edge.train.data.loading import read_data
from fer_edge.train.evaluation.evaluate import evaluate, match_labels, open_model

MODULE = "fer_edge.train.evaluation.benchmark_accuracy"
SECONDS = 3600.0
"""A slow board needs minutes for a test split."""


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """Share of right answers, in [0, 1], and of how many faces."""

    accuracy: float
    faces: int


def check(models: Iterable[Path], data: Path, split: Split, *, skip_bad: bool = False) -> None:
    """See that every model can be asked about the data, before minutes go into timing it.

    Raises:
        ModelError, SpecError: a model can't be read.
        DataError, OSError: the data can't be read, lacks the split, or doesn't fit a model.
    """
    for path in models:
        spec = readable(path)
        read = read_data(data, side=spec.input.side, skip_bad=skip_bad)
        match_labels(read, read.split(split), spec, str(path))


def with_accuracy(
    found: Benchmark, data: Path, split: Split, *, skip_bad: bool = False, tell: Tell = silent
) -> Benchmark:
    """A benchmark with the accuracy of what was measured, once for each model and engine.

    Args:
        found: the benchmark.
        data: see `read_data`.
        split: of the data.
        skip_bad: leave wrong rows and pictures out.
        tell: called with a line before each model and engine.
    """
    pairs = dict.fromkeys((row.model, row.backend) for row in found.rows if row.speed is not None)
    changes: dict[tuple[str, str], dict[str, float | str | None]] = {}
    faces = None
    for model, backend in pairs:
        tell(f"{Path(model).name}, {backend}: accuracy on {split}")
        answer, failure = child(
            *(model, backend, str(data), split, str(int(skip_bad))), module=MODULE, seconds=SECONDS
        )
        if failure is not None:
            changes[model, backend] = {"accuracy_failure": failure}
            continue
        right = parse(Accuracy, answer, "accuracy", unknown="reject")
        changes[model, backend], faces = {"accuracy": right.accuracy}, right.faces
    rows = tuple(
        dataclasses.replace(row, **changes[row.model, row.backend])  # type: ignore[arg-type]
        if (row.model, row.backend) in changes and row.speed is not None
        else row
        for row in found.rows
    )
    return dataclasses.replace(found, rows=rows, split=split, faces=faces)


def main(arguments: list[str]) -> None:
    """Print the accuracy; a failure is one line on standard error and exit code 1."""
    model, backend, data, split, skip_bad = arguments
    try:
        opened = open_model(Path(model), backend=backend)
        read = read_data(Path(data), side=opened.spec.input.side, skip_bad=skip_bad == "1")
        chosen = next(name for name in SPLITS if name == split)
        faces = match_labels(read, read.split(chosen), opened.spec, opened.name)
        report = evaluate(opened, faces, split)
    except FerEdgeError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    print(json.dumps(dataclasses.asdict(Accuracy(report.accuracy, len(faces)))))


if __name__ == "__main__":
    main(sys.argv[1:])
