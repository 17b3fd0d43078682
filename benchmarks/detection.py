"""Are our faces OpenCV's?

FER_EDGE_DETECTOR=/path/to/yunet.onnx python -m benchmarks.detection PHOTOGRAPH...

Each photograph, shrunk to several sizes, is shown to OpenCV's FaceDetectorYN and to our own
decoding of the same network under each engine: how many faces each finds, how far apart the boxes,
the landmarks (in pixels) and the scores are at most, and the median time of a look.
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

from fer_edge.runtime.detection.detector import NMS_THRESHOLD, SCORE_THRESHOLD, detect_faces
from fer_edge.runtime.detection.engines import ENGINES, open_network
from fer_edge.runtime.inputs.images import open_image

SIDES = (320, 640, 1280)
LOOKS = 7


def opencv(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    # OpenCV keeps its first so many candidates, we all
    peer = cv2.FaceDetectorYN.create(
        str(path), "", (320, 320), SCORE_THRESHOLD, NMS_THRESHOLD, 100_000
    )

    def look(pixels: np.ndarray) -> np.ndarray:
        peer.setInputSize((pixels.shape[1], pixels.shape[0]))
        _, rows = peer.detect(np.ascontiguousarray(pixels[:, :, ::-1]))
        return np.empty((0, 15), np.float32) if rows is None else rows

    return look


def ours(path: Path, engine: str) -> Callable[[np.ndarray], np.ndarray]:
    network = open_network(path, engine=engine)
    return lambda pixels: detect_faces(network, pixels)


def timed(look: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray) -> tuple[np.ndarray, float]:
    seconds = []
    for _ in range(LOOKS):
        began = perf_counter()
        rows = look(pixels)
        seconds.append(perf_counter() - began)
    return rows, 1000 * median(seconds)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    cv2.setNumThreads(1)
    detector = Path(os.environ["FER_EDGE_DETECTOR"])
    peer = opencv(detector)
    engines = {engine: ours(detector, engine) for engine in ENGINES}
    print(f"{'photograph':<24} side  {'by':<12} faces     box  landmarks    score       ms")
    for name in sys.argv[1:]:
        picture = open_image(Path(name)).convert("RGB")
        for side in sorted({min(side, max(picture.size)) for side in SIDES}):
            shown = picture.copy()
            shown.thumbnail((side, side), Image.Resampling.BILINEAR)
            pixels = np.asarray(shown)
            expected, spent = timed(peer, pixels)
            print(
                f"{Path(name).name[:24]:<24} {max(shown.size):>4}  {'opencv':<12} "
                f"{len(expected):>5} {'':>29} {spent:>8.1f}"
            )
            for engine, look in engines.items():
                rows, spent = timed(look, pixels)
                far = "not the same faces"
                if rows.shape == expected.shape:
                    apart = np.abs(rows - expected)
                    parts = (apart[:, :4], apart[:, 4:14], apart[:, 14])
                    far = "{:7.1e} {:10.1e} {:8.1e}".format(*(p.max(initial=0) for p in parts))
                print(f"{'':<30} {engine:<12} {len(rows):>5} {far:>28} {spent:>8.1f}")
