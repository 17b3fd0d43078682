"""Evaluate a detector on labelled photographs: ours, as checkpoint or exported, or YuNet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fer_edge.detector_spec import DetectorMetrics
from fer_edge.runtime.detection.cells import find_faces
from fer_edge.runtime.detection.detector import open_finder
from fer_edge.runtime.detection.searches import SIDE, Finder, search_shrunk
from fer_edge.runtime.detection.shrink import shrunk_size
from fer_edge.runtime.formats.model_files import model_type
from fer_edge.train.detector import checkpoint as checkpoints
from fer_edge.train.detector.checkpoint import CHECKPOINT
from fer_edge.train.detector.labels import Photograph
from fer_edge.train.detector.metrics import Tally, count_false
from fer_edge.train.detector.module import LOWEST_SCORE
from fer_edge.train.detector.photographs import read_photograph
from fer_edge.train.progress import ProgressCallback, ignore_progress


@dataclass(frozen=True)
class DetectorReport:
    """What a detector reaches at one side.

    Attributes:
        detector: its file.
        score_threshold: lowest score of a face, for recall and false faces.
        metrics: on all photographs.
        recall_by_size: by range of the shorter side in the searched image, in pixels: the number
            of faces that people marked, and the fraction that was found.
        false_by_kind: false faces in the photographs of each kind of background, for each of them.
            In kinds that show a few people, a face that isn't certain but was labelled counts
            neither way.
    """

    detector: str
    score_threshold: float
    metrics: DetectorMetrics
    recall_by_size: dict[str, tuple[int, float]]
    false_by_kind: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """As `fer detector evaluate --json` prints it."""
        return asdict(self)


def evaluate_detector(
    path: Path,
    photographs: Sequence[Photograph],
    folder: Path,
    *,
    split: str = "val",
    side: int = SIDE,
    score_threshold: float | None = None,
    engine: str = "onnxruntime",
    quantized: bool = False,
    on_progress: ProgressCallback = ignore_progress,
) -> DetectorReport:
    """Find the faces of labelled photographs as the runtime does, and compare them.

    Args:
        path: a checkpoint, an exported detector, or YuNet's file.
        photographs: with their labels.
        folder: where they are.
        split: their split, for the report.
        side: longer side to which they are shrunk, in pixels.
        score_threshold: lowest score of a face; None: the detector's own.
        engine: a key of `fer_edge.runtime.detection.engines.ENGINES`, for exported files.
        quantized: of a checkpoint, evaluate its QAT model.
        on_progress: called after each photograph.

    Raises:
        ModelError, SpecError: the detector can't be used.
        DataError: a photograph can't be read.
    """
    find, own_threshold = _open(path, engine, quantized=quantized)
    threshold = own_threshold if score_threshold is None else score_threshold
    tally, false_by_kind = tally_photographs(
        lambda image: search_shrunk(find, image, side),
        photographs,
        folder,
        threshold,
        side=side,
        on_progress=on_progress,
    )
    metrics = tally.metrics(split, side)
    return DetectorReport(str(path), threshold, metrics, tally.recall_by_size(), false_by_kind)


def tally_photographs(
    search: Finder,
    photographs: Sequence[Photograph],
    folder: Path,
    threshold: float,
    *,
    side: int = SIDE,
    on_progress: ProgressCallback = ignore_progress,
) -> tuple[Tally, dict[str, float]]:
    """Find the faces of labelled photographs by any search, and compare them.

    Args:
        search: from a photograph to its faces, in pixels of the photograph.
        photographs: with their labels.
        folder: where they are.
        threshold: lowest score of a face.
        side: longer side of the searched image, in whose pixels faces are small or large.
        on_progress: called after each photograph.

    Returns:
        the counts, and `false_by_kind` of a `DetectorReport`.

    Raises:
        DataError: a photograph can't be read.
    """
    tally, false_faces = Tally(threshold), defaultdict[str, list[int]](list)
    for done, photograph in enumerate(photographs, 1):
        image = read_photograph(folder / photograph.name)
        rows = search(image)
        tally.add(rows, photograph, shrunk_size(image.size, side)[0] / image.width)
        if photograph.kind.is_background:
            found = rows[rows[:, -1] >= threshold]
            false_faces[photograph.kind_name].append(count_false(found, photograph))
        on_progress("photographs", done, len(photographs))
    return tally, {kind: float(np.mean(counts)) for kind, counts in false_faces.items()}


def _open(path: Path, engine: str, *, quantized: bool) -> tuple[Finder, float]:
    """A finder that reports low scores too, for average precision, and the own threshold."""
    if model_type(path) != CHECKPOINT:
        opened = open_finder(path, threads=1, engine=engine, score_threshold=LOWEST_SCORE)
        return opened.find, opened.score_threshold
    checkpoint = checkpoints.load(path)
    own = checkpoint.int8() if quantized else checkpoint
    spec = replace(own.spec, score_threshold=LOWEST_SCORE)
    return partial(find_faces, own.run, spec), own.spec.score_threshold
