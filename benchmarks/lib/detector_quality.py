"""Rows on what face detectors find in labelled photographs; a cell for each detector."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image

from benchmarks.lib.close_ups import cut_close_ups
from benchmarks.lib.mosaics import CELL, CELLS, count_inside, make_mosaic
from fer_edge.runtime.boxes import iou
from fer_edge.runtime.detection.detector import MAX_SIDE, Detection, Detector
from fer_edge.runtime.detection.searches import SIDE
from fer_edge.train.detector.evaluate import evaluate_detector, tally_photographs
from fer_edge.train.detector.labels import Photograph
from fer_edge.train.detector.metrics import MIN_IOU, Tally

SIDES = (640, 320)
AUTO = "--detect-side auto"
ONCE = f"--detect-side {SIDE}"
WAYS = {ONCE: SIDE, AUTO: None}
"""By option: the longer side of the searched image; None: further searches, as by default."""
FILLS = (0.6, 0.8, 1.0)
"""Heights of the faces of close-ups, as fractions of the image's."""
SEED = 0

Row = list[str | int | float]


@dataclass(frozen=True)
class Quality:
    """What one detector finds.

    Attributes:
        marked: number of faces that people marked.
        recall: fraction of them that was found.
        by_size, false_by_kind: as `recall_by_size` and `false_by_kind` of a `DetectorReport`.
    """

    marked: int
    recall: float
    by_size: dict[str, tuple[int, float]]
    false_by_kind: dict[str, float]


def quality_rows(
    paths: Mapping[str, Path], val: Sequence[Photograph], folder: Path
) -> Iterator[Row]:
    """Recall, average precision and false faces of one search at each of `SIDES`."""
    for side in SIDES:
        at = [evaluate_detector(path, val, folder, side=side) for path in paths.values()]
        if side == SIDES[0]:
            yield ["score threshold", *(f"{one.score_threshold:g}" for one in at)]
        yield from describe(
            f"at {side} px",
            [
                Quality(
                    one.metrics.marked, one.metrics.recall, one.recall_by_size, one.false_by_kind
                )
                for one in at
            ],
        )
        yield [
            f"at {side} px: average precision",
            *(f"{100 * one.metrics.average_precision:.2f} %" for one in at),
        ]


def describe(name: str, found: Sequence[Quality]) -> Iterator[Row]:
    """Rows of what each detector finds."""
    yield [
        f"{name}: recall of {found[0].marked:,} marked faces",
        *(f"{100 * one.recall:.2f} %" for one in found),
    ]
    for size, (count, _) in found[0].by_size.items():
        shown = (f"{100 * one.by_size[size][1]:.1f} %" for one in found)
        yield [f"{name}: of the {count:,} of {describe_size(size)}", *shown]
    for kind in found[0].false_by_kind:
        shown = (f"{one.false_by_kind[kind]:.3f}" for one in found)
        yield [f"{name}: false faces on each photograph of kind {kind}", *shown]


def describe_size(size: str) -> str:
    """A range of `recall_by_size` in words."""
    low, _, high = size.partition("-")
    return f"{low} to {high} px" if high else f"{low} px or more"


def to_rows(found: Sequence[Detection]) -> np.ndarray:
    """Detections as a tally takes them: float32 `[N, 9]`; the eyes aren't compared."""
    rows = [[*one.box, 0, 0, 0, 0, one.score] for one in found]
    return np.array(rows, np.float32).reshape(-1, 9)


def search_by_default(detector: Detector, image: Image.Image) -> np.ndarray:
    """The rows of the faces that a detector finds in an image."""
    return to_rows(detector(image))


def default_rows(
    paths: Mapping[str, Path], val: Sequence[Photograph], folder: Path
) -> Iterator[Row]:
    """Recall and false faces of the default search, by sizes in pixels of the photograph."""
    qualities = []
    for path in paths.values():
        search = partial(search_by_default, Detector(path))
        tally, false = tally_photographs(search, val, folder, 0.0, side=MAX_SIDE)
        by_size = tally.recall_by_size()
        qualities.append(Quality(len(tally.marked), tally.recall, by_size, false))
    yield from describe(AUTO, qualities)


def mosaic_rows(
    paths: Mapping[str, Path], val: Sequence[Photograph], folder: Path
) -> Iterator[Row]:
    """What further searches find in mosaics of 1,920 px, and what they cost."""
    chosen = random.Random(SEED).sample(list(val), len(val) - len(val) % CELLS**2)
    ways = {
        (name, way): Detector(path, side=side)
        for name, path in paths.items()
        for way, side in WAYS.items()
    }
    tallies = {key: Tally(0.0) for key in ways}
    false, seconds = dict.fromkeys(ways, 0), dict.fromkeys(ways, 0.0)
    empty = mosaics = 0
    for first in range(0, len(chosen), CELLS**2):
        mosaic, labels, places = make_mosaic(chosen[first : first + CELLS**2], folder)
        mosaics, empty = mosaics + 1, empty + len(places)
        for key in random.sample(list(ways), len(ways)):
            began = perf_counter()
            found = ways[key](mosaic)
            seconds[key] += perf_counter() - began
            tallies[key].add(to_rows(found), labels, 1.0)
            false[key] += count_inside(found, places)
    name = f"{mosaics} mosaics of {CELLS * CELL:,} px, "
    for way in WAYS:
        marked = len(tallies[next(iter(paths)), way].marked)
        yield [
            f"{name}{way}: recall of {marked:,} marked faces",
            *(f"{100 * tallies[one, way].recall:.2f} %" for one in paths),
        ]
        yield [
            f"{name}{way}: false faces on each photograph of animals and textures",
            *(f"{false[one, way] / max(1, empty):.3f}" for one in paths),
        ]
    yield [
        f"{name}{AUTO}: times of one search",
        *(f"{seconds[one, AUTO] / seconds[one, ONCE]:.1f}" for one in paths),
    ]


def close_up_rows(
    paths: Mapping[str, Path], val: Sequence[Photograph], folder: Path
) -> Iterator[Row]:
    """How many faces that fill an image are found."""
    ways = {
        way: [Detector(path, side=side) for path in paths.values()] for way, side in WAYS.items()
    }
    for fill in FILLS:
        found, count = {way: [0] * len(paths) for way in WAYS}, 0
        for image, face in cut_close_ups(val, folder, fill):
            count += 1
            for way, detectors in ways.items():
                for i, detector in enumerate(detectors):
                    overlaps = iou(face[:4], to_rows(detector(image))[:, :4])
                    found[way][i] += bool(overlaps.max(initial=0) >= MIN_IOU)
        name = f"{count} faces that fill {100 * fill:.0f} % of the height"
        for way, counts in found.items():
            shown = (f"{100 * one / max(1, count):.1f} %" for one in counts)
            yield [f"{name}, {way}: found", *shown]
