"""Find copies of faces in another split: exact ones by their bytes, near ones by correlation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fer_edge.train.data.dataset import Faces

THUMBNAIL_SIDE = 24
NEAR_COPY_THRESHOLD = 0.95
"""Minimum Pearson correlation of the 24 x 24 thumbnails of near copies. Of twelve inspected pairs
of FER2013's test and train splits per step of 0.01, all from 0.94 up show the same photograph,
cropped, overprinted or re-encoded; from 0.92 to 0.94 two of twelve show different people."""
_BATCH_SIZE = 1024


def find_exact_copies(faces: Faces, others: Faces) -> npt.NDArray[np.int64]:
    """Index into `others` of a face with the same pixels, -1 if there is none; `[len(faces)]`."""
    known = {face.tobytes(): i for i, face in reversed(list(enumerate(others.pixels)))}
    return np.array([known.get(face.tobytes(), -1) for face in faces.pixels], np.int64)


def find_nearest(
    faces: Faces, others: Faces
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Find for each face the most similar one of `others` or of their mirror images.

    Returns:
        The correlation, float32 `[len(faces)]` in [-1, 1], and the index into `others`, int64.
    """
    highest, index = _correlate(
        _make_thumbnails(faces.pixels), _make_both_thumbnails(others.pixels)
    )
    return highest, index % len(others)


def find_earlier_copies(faces: Faces) -> npt.NDArray[np.int64]:
    """Index of the first face with the same pixels, -1 for that face itself; `[len(faces)]`."""
    first: dict[bytes, int] = {}
    found = [first.setdefault(face.tobytes(), i) for i, face in enumerate(faces.pixels)]
    return np.array([-1 if j == i else j for i, j in enumerate(found)], np.int64)


def find_nearest_before(faces: Faces) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Find for each face the most similar one before it; as `find_nearest`, -1 for the first."""
    ours = _make_thumbnails(faces.pixels)
    mirrored = _make_thumbnails(faces.pixels[:, :, ::-1])
    highest = np.full(len(faces), -1, np.float32)
    index = np.full(len(faces), -1, np.int64)
    for start in range(0, len(faces), _BATCH_SIZE):
        end = min(start + _BATCH_SIZE, len(faces))
        batch = ours[start:end]
        correlation = np.maximum(batch @ ours[:end].T, batch @ mirrored[:end].T)
        is_before = np.arange(end) < np.arange(start, end)[:, None]
        correlation[~is_before] = -1
        highest[start:end] = correlation.max(1)
        index[start:end] = np.where(is_before.any(1), correlation.argmax(1), -1)
    return highest, index


def find_near_copies(faces: Faces, others: Faces) -> npt.NDArray[np.bool_]:
    """Mask of the faces of which `others` holds a near copy, exact ones included."""
    return NearCopies(others).find(faces.pixels)


class NearCopies:
    """Finds near copies of the same faces in many batches; their thumbnails are computed once."""

    def __init__(self, others: Faces) -> None:
        self._thumbnails = _make_both_thumbnails(others.pixels)

    def find(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        """Mask `[N]` of the faces uint8 `[N, S, S]` that are near copies, or exact ones."""
        return _correlate(_make_thumbnails(pixels), self._thumbnails)[0] >= NEAR_COPY_THRESHOLD


def _correlate(
    ours: npt.NDArray[np.float32], theirs: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """The highest correlation of each of our thumbnails with one of theirs, and its index."""
    highest = np.empty(len(ours), np.float32)
    index = np.empty(len(ours), np.int64)
    for i in range(0, len(ours), _BATCH_SIZE):
        correlation = ours[i : i + _BATCH_SIZE] @ theirs.T
        index[i : i + _BATCH_SIZE] = correlation.argmax(1)
        highest[i : i + _BATCH_SIZE] = correlation.max(1)
    return highest, index


def _make_both_thumbnails(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return np.concatenate([_make_thumbnails(pixels), _make_thumbnails(pixels[:, :, ::-1])])


def _make_thumbnails(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Block means on a 24 x 24 grid, mean 0 and length 1; float32 `[N, 576]`."""
    side = pixels.shape[-1]
    edges = np.linspace(0, side, min(THUMBNAIL_SIDE, side), endpoint=False).astype(int)
    sums = np.add.reduceat(pixels.astype(np.float32), edges, axis=1)
    sums = np.add.reduceat(sums, edges, axis=2).reshape(len(pixels), -1)
    widths = np.diff([*edges, side])
    means = (sums / np.outer(widths, widths).ravel()).astype(np.float32)
    means -= means.mean(1, keepdims=True)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    unit: npt.NDArray[np.float32] = means / np.maximum(lengths, 1e-6)
    return unit
