"""From an image to the faces that YuNet finds in it.

YuNet is OpenCV Zoo's (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", Machine
Intelligence Research 20, 2023); its output is decoded as OpenCV's FaceDetectorYN does.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from fer_edge.runtime.boxes import non_maximum_suppression
from fer_edge.runtime.detection.engines import KINDS, STRIDES, Floats, Run

SCORE_THRESHOLD = 0.6
"""Minimum of sqrt(class x objectness), in [0, 1]."""
NMS_THRESHOLD = 0.3
"""Maximum IoU of two boxes: of two that overlap more, the one with the higher score stays."""
MAX_CANDIDATES = 5000
"""Boxes of the highest scores that are compared with each other, as in FaceDetectorYN."""
MAX_LOG_SIZE = 10.0
"""Largest logarithm of a box's size in strides, which is e^10 = 22,026 strides: beyond every image.
Without it, a damaged network's numbers would overflow."""


def detect_faces(
    run: Run, pixels: npt.NDArray[np.uint8], score_threshold: float = SCORE_THRESHOLD
) -> Floats:
    """Faces in RGB pixels, uint8 `[H, W, 3]`: float32 `[faces, 15]`, in order of falling score.

    A row is x, y, width, height, five landmarks' x and y, and the score, as in FaceDetectorYN.
    """
    height, width = pixels.shape[:2]
    padded = np.zeros((-(-height // 32) * 32, -(-width // 32) * 32, 3), np.float32)
    padded[:height, :width] = pixels[:, :, ::-1]
    outputs = run(np.ascontiguousarray(padded.transpose(2, 0, 1)[None]))
    rows = np.concatenate([_decode_stride(outputs, stride, padded.shape[1]) for stride in STRIDES])
    rows = rows[rows[:, 14] >= score_threshold]
    rows = rows[np.argsort(-rows[:, 14], kind="stable")][:MAX_CANDIDATES]
    # on whole pixels, as OpenCV does
    return rows[non_maximum_suppression(np.trunc(rows[:, :4]), NMS_THRESHOLD)]


def _decode_stride(outputs: Mapping[str, Floats], stride: int, width: int) -> Floats:
    """All anchors of one stride as rows of `detect_faces`."""
    score, objectness, box, points = (outputs[f"{kind}_{stride}"][0] for kind in KINDS)
    index = np.arange(len(score))
    anchor = np.stack([index % (width // stride), index // (width // stride)], 1)
    rows = np.empty((len(score), 15), np.float32)
    size = np.exp(box[:, 2:].clip(max=MAX_LOG_SIZE)) * stride
    rows[:, 0:2] = (anchor + box[:, :2]) * stride - size / 2
    rows[:, 2:4] = size
    rows[:, 4:14] = (points + np.tile(anchor, 5)) * stride
    rows[:, 14] = np.sqrt(score.clip(0, 1) * objectness.clip(0, 1))[:, 0]
    return rows
