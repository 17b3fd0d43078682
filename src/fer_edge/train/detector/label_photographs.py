"""Label the faces of photographs: with YuNet at several scales, and with people's marks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from fer_edge.documents import read_json
from fer_edge.errors import DataError, SourceError
from fer_edge.runtime.boxes import iou, non_maximum_suppression
from fer_edge.runtime.detection.engines import Run, open_network
from fer_edge.runtime.detection.find_detector import find_yunet
from fer_edge.runtime.detection.yunet import detect_faces
from fer_edge.runtime.inputs.images import load_image
from fer_edge.train.data.unlabelled import list_images
from fer_edge.train.detector.labels import (
    KINDS,
    MIN_SCORE,
    SPLITS,
    Floats,
    mirror,
    write_labels,
)
from fer_edge.train.progress import ProgressCallback, ignore_progress

MARKS_FILE = "web-faces-points.json"
"""In the folder of the data: the points that people marked, by the photograph's name."""
SCALES = (0.5, 0.71, 1.0, 1.41, 2.0)
"""YuNet finds small faces in an enlarged photograph, and faces that fill it in a reduced one."""
_LOWEST_SCORE = 0.1
"""Of what a single search finds."""
_SIDES = (12, 300)
"""Smallest shorter and largest longer side of a face that a search is expected to find, in pixels
of the searched image."""
_SAME_IOU = 0.35
"""Two searches found the same face if their boxes have at least this IoU."""
_MAX_IOU = 0.4
"""Of two faces that overlap more, the one with the higher score is kept."""

# YuNet's boxes relative to four marked points, the medians of 386 faces of which both are known:
# centre on the line from between the eyes to the mouth; sides in the longer of that line and the
# distance of the eyes
_CENTRE, _WIDTH, _HEIGHT = 0.285, 2.01, 2.59

_LOG = logging.getLogger(__name__)


def label_photographs(
    photographs: Path,
    output: Path,
    *,
    detector: Path | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> int:
    """Find the faces of `photographs/{train,val}/KIND/*` and write them to `output`.

    Faces that people marked are certain. Others are those of `find_faces`. In photographs of
    kinds without people there is no face, whatever YuNet finds.

    Args:
        photographs: the folder of the data.
        output: the labels, a JSON file.
        detector: YuNet's file; None: the installed one.
        on_progress: called after each photograph.

    Returns:
        The number of photographs.

    Raises:
        DataError: there is no photograph, one of an unknown kind, or the marks are damaged.
        ModelError: there is no detector, or it can't be opened.
        OSError: a file can't be read or written.
    """
    run = open_network(find_yunet(detector))
    marks = _read_marks(photographs / MARKS_FILE)
    paths = [path for split in SPLITS for path in list_images(photographs / split)]
    rows: dict[str, npt.ArrayLike] = {}
    for done, path in enumerate(paths, 1):
        name = path.relative_to(photographs).as_posix()
        kind = KINDS.get(name.split("/")[1])
        if kind is None or name.count("/") < 2:
            raise DataError(f"{path}: in no folder of a known kind: {', '.join(KINDS)}")
        try:
            image = load_image(path).image.convert("RGB")
        except SourceError as error:
            _LOG.warning("%s", error)
            continue
        found = find_faces(run, image) if kind.has_people else np.empty((0, 10), np.float32)
        rows[name] = join_marks(found, marks.get(name, []))
        on_progress("photographs", done, len(paths))
    write_labels(rows, output)
    return len(rows)


def find_faces(run: Run, image: Image.Image) -> Floats:
    """YuNet's faces in an RGB image, of several searches: rows of `make_photograph`, best first.

    It is searched at each of `SCALES`, as it is and in a mirror. A face's score is the mean over
    the searches that are expected to find it, its box and eyes are those of the searches that did,
    weighted by score: where there is no face, one search may find one, but rarely do most.
    """
    searches = []
    for scale in SCALES:
        size = (max(32, round(image.width * scale)), max(32, round(image.height * scale)))
        resized = image if scale == 1 else image.resize(size, Image.Resampling.BICUBIC)
        ratios = np.tile([image.width / resized.width, image.height / resized.height], 4)
        for is_mirrored in (False, True):
            rows = _search(run, resized, is_mirrored=is_mirrored)
            rows[:, :8] *= ratios
            searches.append((scale, rows))
    found = np.concatenate([rows for _, rows in searches])
    found = found[found[:, 8] >= MIN_SCORE]
    found = found[np.argsort(-found[:, 8], kind="stable")]
    found = found[non_maximum_suppression(found[:, :4], _MAX_IOU)]
    rows = np.array([_join_searches(one, searches) for one in found], np.float32).reshape(-1, 9)
    rows = rows[rows[:, 8] >= MIN_SCORE]
    rows = rows[np.argsort(-rows[:, 8], kind="stable")]
    rows = rows[non_maximum_suppression(rows[:, :4], _MAX_IOU)]
    return np.concatenate([rows, np.zeros((len(rows), 1), np.float32)], 1)


def _search(run: Run, image: Image.Image, *, is_mirrored: bool) -> Floats:
    """One search's faces in pixels of the image: box, eyes and score, float32 `[N, 9]`."""
    searched = ImageOps.mirror(image) if is_mirrored else image
    found = detect_faces(run, np.asarray(searched), _LOWEST_SCORE)
    faces = mirror(found[:, :8], image.width) if is_mirrored else found[:, :8]
    return np.concatenate([faces, found[:, 14:]], 1).astype(np.float32)


def _join_searches(face: Floats, searches: Sequence[tuple[float, Floats]]) -> Floats:
    """A face `[9]` as the searches found it together.

    One that is too large for every search is unsure, and one that is too small is none.
    """
    smallest, largest = face[2:4].min(), face[2:4].max()
    expected, seen = 0, []
    for scale, rows in searches:
        if smallest * scale < _SIDES[0] or largest * scale > _SIDES[1]:
            continue
        expected += 1
        same = rows[iou(face[None, :4], rows[:, :4]) >= _SAME_IOU]
        if len(same):
            seen.append(same[same[:, 8].argmax()])
    if not expected and smallest >= _SIDES[0]:
        return np.append(face[:8], MIN_SCORE)
    if not seen:
        return np.append(face[:8], 0.0)
    weights = np.array([one[8] for one in seen])
    return np.append(np.average(seen, 0, weights)[:8], weights.sum() / expected)


def join_marks(found: Floats, marks: list[list[float]]) -> Floats:
    """Faces that a detector found and faces that people marked; a face is there once.

    Args:
        found: rows of `make_photograph`.
        marks: for each marked face x and y of both eyes, the nose and the mouth.

    Returns:
        rows of `make_photograph`: a marked face has people's eyes, the score 1 and, where the
        detector found it, the detector's box.
    """
    rows = found.copy()
    added = []
    for mark in marks:
        points = np.asarray(mark, np.float32).reshape(4, 2)
        box = box_of_points(points)
        match = _find_match(rows, points, box)
        face = np.concatenate([box if match is None else rows[match, :4], mark[:4], [1.0, 1.0]])
        if match is None:
            added.append(face)
        else:
            rows[match] = face
    return np.concatenate([rows, np.reshape(added, (-1, 10))]).astype(np.float32)


def box_of_points(points: npt.NDArray[np.floating]) -> Floats:
    """The box that YuNet would give a face: x, y, width, height.

    Args:
        points: `[4, 2]`, x and y of both eyes, the nose and the mouth.
    """
    between = points[:2].mean(0)
    down = points[3] - between
    unit = max(float(np.hypot(*down)), float(np.hypot(*(points[1] - points[0]))), 1.0)
    size = np.array([_WIDTH, _HEIGHT]) * unit
    return np.concatenate([between + _CENTRE * down - size / 2, size]).astype(np.float32)


def _find_match(rows: Floats, points: npt.NDArray[np.floating], box: Floats) -> int | None:
    """The face that all points lie in and that is as large as the points say, or None."""
    ends = rows[:, :2] + rows[:, 2:4]
    inside = (points >= rows[:, None, :2]).all((1, 2)) & (points <= ends[:, None]).all((1, 2))
    ratio = np.sqrt(rows[:, 2:4].prod(1) / box[2:].prod())
    matches = np.flatnonzero(inside & (ratio > 0.6) & (ratio < 1.7) & (rows[:, 9] == 0))
    return int(matches[rows[matches, 8].argmax()]) if len(matches) else None


def _read_marks(path: Path) -> dict[str, list[list[float]]]:
    """The marks by photograph; none where there is no such file."""
    try:
        document = read_json(path)
    except FileNotFoundError:
        _LOG.warning("%s: not there: no face is known to be one", path)
        return {}
    except ValueError as error:
        raise DataError(f"{path}: damaged ({error})") from None
    found = document.get("images") if isinstance(document, dict) else None
    if not isinstance(found, dict):
        raise DataError(f"{path}: it has no key 'images'")
    for name, faces in found.items():
        try:
            table = np.asarray(faces, np.float32)
            is_valid = table.ndim == 2 and table.shape[1] == 8 and np.isfinite(table).all()
        except (ValueError, TypeError):
            is_valid = False
        if not is_valid:
            raise DataError(f"{path}: {name} isn't a list of faces of eight numbers")
    return found
