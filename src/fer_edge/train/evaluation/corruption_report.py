"""Measure a model on corrupted faces: accuracy, unchanged labels, calibration, predicted labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_edge.spec import CropSpec
from fer_edge.train.evaluation.calibration_error import calibration_error
from fer_edge.train.evaluation.corruptions import CLEAN, corrupt, make_corruptions
from fer_edge.train.evaluation.metrics import Report
from fer_edge.train.progress import ProgressCallback, ignore_progress

Probabilities = npt.NDArray[np.float32]
PredictProbabilities = Callable[[npt.NDArray[np.uint8]], Probabilities]
MEAN = "mean, corrupted"
_BATCH_SIZE = 256


@dataclass(frozen=True)
class CorruptionRow:
    """A model under one corruption. All values are in [0, 1].

    Attributes:
        name: of the corruption.
        accuracy: fraction of correct predictions.
        unchanged: fraction of the predictions that are those of the clean faces.
        ece: expected calibration error, 15 bins.
        predicted: fraction of the predictions for each label, in the order of the labels.
    """

    name: str
    accuracy: float
    unchanged: float
    ece: float
    predicted: tuple[float, ...]


@dataclass(frozen=True)
class CorruptionReport:
    """A model under all corruptions.

    Attributes:
        labels: label names in the order of the logits.
        n: number of faces.
        clean: without a corruption.
        rows: one for each corruption, in the order of `make_corruptions`.
    """

    labels: tuple[str, ...]
    n: int
    clean: CorruptionRow
    rows: tuple[CorruptionRow, ...]

    @property
    def mean(self) -> CorruptionRow:
        """The mean over `rows`, each of which counts the same."""
        return CorruptionRow(
            MEAN,
            float(np.mean([row.accuracy for row in self.rows])),
            float(np.mean([row.unchanged for row in self.rows])),
            float(np.mean([row.ece for row in self.rows])),
            tuple(np.mean([row.predicted for row in self.rows], axis=0).tolist()),
        )

    @property
    def all_rows(self) -> tuple[CorruptionRow, ...]:
        """The clean faces, each corruption, and the mean, as tables show them."""
        return self.clean, *self.rows, self.mean

    def to_dict(self) -> dict[str, Any]:
        """The value of "corruptions" in the JSON of `fer evaluate`."""
        return {
            "clean": self._to_document(self.clean),
            "rows": [self._to_document(row) for row in self.rows],
            "mean": self._to_document(self.mean),
        }

    def _to_document(self, row: CorruptionRow) -> dict[str, Any]:
        predicted = dict(zip(self.labels, row.predicted, strict=True))
        return {**vars(row), "predicted": predicted}


def measure_corruptions(
    report: Report,
    predict: PredictProbabilities,
    pixels: npt.NDArray[np.uint8],
    crop: CropSpec,
    on_progress: ProgressCallback = ignore_progress,
) -> CorruptionReport:
    """Predict every face under every corruption.

    Args:
        report: of the model on the clean faces.
        predict: maps uint8 faces `[N, S, S]` to the probabilities of the report's labels, float32
            `[N, labels]`.
        pixels: the report's faces, uint8 `[N, S, S]`.
        crop: of the model; see `make_corruptions`.
        on_progress: called after each batch, with the number of faces as the total.

    Raises:
        ModelError: the model returned a NaN or an infinite logit.
    """
    clean = report.probabilities
    rows = []
    corruptions = make_corruptions(crop)
    for number, (name, corruption) in enumerate(corruptions.items(), 1):
        stage = f"{name} ({number} of {len(corruptions)})"
        found = np.empty_like(clean)
        for start in range(0, len(pixels), _BATCH_SIZE):
            batch = slice(start, start + _BATCH_SIZE)
            found[batch] = predict(corrupt(pixels[batch], corruption))
            on_progress(stage, min(batch.stop, len(pixels)), len(pixels))
        rows.append(_summarize(name, found, report))
    return CorruptionReport(
        report.labels, len(report.truth), _summarize(CLEAN, clean, report), tuple(rows)
    )


def _summarize(name: str, probabilities: Probabilities, report: Report) -> CorruptionRow:
    predicted = probabilities.argmax(1)
    counts = np.bincount(predicted, minlength=len(report.labels))
    return CorruptionRow(
        name,
        float((predicted == report.truth).mean()),
        float((predicted == report.predicted).mean()),
        calibration_error(probabilities, report.truth),
        tuple((counts / len(predicted)).tolist()),
    )
