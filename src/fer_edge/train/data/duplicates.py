"""The same face in two splits: exact copies by their bytes, near ones by correlation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fer_edge.train.data.dataset import Faces

THUMB = 24
NEAR = 0.95
"""Pearson correlation of 24 x 24 averages from which two faces count as one. Looked at on FER2013,
test against train, twelve pairs a step: every pair from 0.94 up is one photograph, cropped, printed
over or re-encoded; from 0.92 to 0.94 two of twelve are different people."""
_AT_ONCE = 1024


def exact(faces: Faces, others: Faces) -> npt.NDArray[np.bool_]:
    """Where `faces` holds a face whose every pixel is in `others` too; bool `[len(faces)]`."""
    known = {face.tobytes() for face in others.pixels}
    return np.array([face.tobytes() in known for face in faces.pixels], bool)


def nearest(faces: Faces, others: Faces) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """The largest correlation of each face with any of `others` or its mirror, and which it is.

    Returns:
        float32 `[len(faces)]` in [-1, 1] and int64 `[len(faces)]`.
    """
    ours = _thumbs(faces.pixels)
    theirs = np.concatenate([_thumbs(others.pixels), _thumbs(others.pixels[:, :, ::-1])]).T
    best = np.empty(len(faces), np.float32)
    which = np.empty(len(faces), np.int64)
    for i in range(0, len(faces), _AT_ONCE):
        correlation = ours[i : i + _AT_ONCE] @ theirs
        which[i : i + _AT_ONCE] = correlation.argmax(1)
        best[i : i + _AT_ONCE] = correlation.max(1)
    return best, which % len(others)


def near(faces: Faces, others: Faces) -> npt.NDArray[np.bool_]:
    """Where `faces` holds a near copy of one of `others`, exact ones included; bool."""
    return nearest(faces, others)[0] >= NEAR


def _thumbs(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Averages over a 24 x 24 grid, mean 0 and length 1; float32 `[N, 576]`."""
    side = pixels.shape[-1]
    edges = np.linspace(0, side, min(THUMB, side), endpoint=False).astype(int)
    sums = np.add.reduceat(pixels.astype(np.float32), edges, axis=1)
    sums = np.add.reduceat(sums, edges, axis=2).reshape(len(pixels), -1)
    widths = np.diff([*edges, side])
    means = (sums / np.outer(widths, widths).ravel()).astype(np.float32)
    means -= means.mean(1, keepdims=True)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    unit: npt.NDArray[np.float32] = means / np.maximum(lengths, 1e-6)
    return unit
