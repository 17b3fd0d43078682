"""From the output of our own face detector to faces: a threshold and non-maximum suppression."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fer_edge.detector_spec import MULTIPLE
from fer_edge.runtime.boxes import non_maximum_suppression

Floats = npt.NDArray[np.float32]

MAX_CANDIDATES = 2000
"""Cells of the highest scores that are compared with each other."""


def pad_image(gray: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Fill an image, uint8 `[H, W]`, up with black below and on the right: `[1, H', W']`.

    Its sides are then multiples of `MULTIPLE`.
    """
    height, width = gray.shape
    padded = np.zeros(
        (1, -(-height // MULTIPLE) * MULTIPLE, -(-width // MULTIPLE) * MULTIPLE), np.uint8
    )
    padded[0, :height, :width] = gray
    return padded


def select_faces(output: Floats, score_threshold: float, nms_threshold: float) -> Floats:
    """The faces in the output for one image.

    Args:
        output: float32 `[9, cells]`, as `DetectorSpec` describes it.
        score_threshold: lowest score of a face.
        nms_threshold: largest IoU of two faces.

    Returns:
        float32 `[faces, 9]`, in order of falling score: x, y, width, height, x and y of both eyes,
        score.
    """
    rows = output.T[output[-1] >= score_threshold]
    rows = rows[np.argsort(-rows[:, -1], kind="stable")][:MAX_CANDIDATES]
    kept: Floats = rows[non_maximum_suppression(rows[:, :4], nms_threshold)]
    return kept
