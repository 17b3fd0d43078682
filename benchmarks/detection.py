"""Compare the face detection with OpenCV's.

FER_EDGE_DETECTOR=/path/to/yunet.onnx python -m benchmarks.detection PHOTOGRAPH...

OpenCV's FaceDetectorYN and fer-edge's detector, under each engine, run the same network on each
photograph in several sizes. The table shows the number of faces, the maximum difference of boxes
and landmarks, in pixels, and of scores, and the median time of a call.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import cv2
import numpy as np
from PIL import Image

from fer_edge.runtime.detection.engines import ENGINES, open_network
from fer_edge.runtime.detection.yunet import NMS_THRESHOLD, SCORE_THRESHOLD, detect_faces
from fer_edge.runtime.inputs.images import open_image

SIDES = (320, 640, 1280)
CALLS = 7


def opencv(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    # a limit on candidates so high that OpenCV keeps all, as fer-edge does
    peer = cv2.FaceDetectorYN.create(
        str(path), "", (320, 320), SCORE_THRESHOLD, NMS_THRESHOLD, 100_000
    )

    def detect(pixels: np.ndarray) -> np.ndarray:
        peer.setInputSize((pixels.shape[1], pixels.shape[0]))
        _, rows = peer.detect(np.ascontiguousarray(pixels[:, :, ::-1]))
        return np.empty((0, 15), np.float32) if rows is None else rows

    return detect


def fer_edge(path: Path, engine: str) -> Callable[[np.ndarray], np.ndarray]:
    network = open_network(path, engine=engine)
    return lambda pixels: detect_faces(network, pixels)


def measure(
    detect: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray
) -> tuple[np.ndarray, float]:
    """The rows of faces, and the median milliseconds of a call."""
    seconds = []
    for _ in range(CALLS):
        start = perf_counter()
        rows = detect(pixels)
        seconds.append(perf_counter() - start)
    return rows, 1000 * median(seconds)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    cv2.setNumThreads(1)
    detector = Path(os.environ["FER_EDGE_DETECTOR"])
    peer = opencv(detector)
    engines = {engine: fer_edge(detector, engine) for engine in ENGINES}
    print(f"{'photograph':<24} side  {'detector':<12} faces     box  landmarks    score       ms")
    for name in sys.argv[1:]:
        image = open_image(Path(name)).convert("RGB")
        for side in sorted({min(side, max(image.size)) for side in SIDES}):
            resized = image.copy()
            resized.thumbnail((side, side), Image.Resampling.BILINEAR)
            pixels = np.asarray(resized)
            expected, ms = measure(peer, pixels)
            print(
                f"{Path(name).name[:24]:<24} {max(resized.size):>4}  {'opencv':<12} "
                f"{len(expected):>5} {'':>29} {ms:>8.1f}"
            )
            for engine, detect in engines.items():
                rows, ms = measure(detect, pixels)
                difference = "different faces"
                if rows.shape == expected.shape:
                    errors = np.abs(rows - expected)
                    parts = (errors[:, :4], errors[:, 4:14], errors[:, 14])
                    difference = "{:7.1e} {:10.1e} {:8.1e}".format(
                        *(p.max(initial=0) for p in parts)
                    )
                print(f"{'':<30} {engine:<12} {len(rows):>5} {difference:>28} {ms:>8.1f}")
