"""How large is FER2013's frame, measured in boxes of the detector?

FER2013=/path/to/fer2013.tar.gz FER_EDGE_DETECTOR=/path/to/yunet.onnx \\
    python -m benchmarks.crop_margin

The validation faces are enlarged four times and shown to the detector. Where it finds a face, the
frame's side is compared with the longer side of the box, and the two centres with each other. The
spec's margin is the median: a square about a detected face then shows what FER2013 shows.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from fer_edge.runtime.detection.detector import detect_faces
from fer_edge.runtime.detection.engines import open_network
from fer_edge.train.data.loading import read_data

ENLARGED = 192

if __name__ == "__main__":
    faces = read_data(Path(os.environ["FER2013"])).split("val").pixels
    run = open_network(Path(os.environ["FER_EDGE_DETECTOR"]))
    found = []
    for face in faces:
        shown = Image.fromarray(face).convert("RGB").resize((ENLARGED, ENLARGED), 3)
        rows = detect_faces(run, np.asarray(shown))
        if len(rows):
            x, y, w, h = rows[0, :4]
            found.append(
                (
                    (ENLARGED / max(w, h) - 1) / 2,
                    (x + w / 2) / ENLARGED - 0.5,
                    (y + h / 2) / ENLARGED - 0.5,
                    w / h,
                )
            )
    print(f"a face found in {len(found):,} of {len(faces):,}")
    print("quartiles              25 %   50 %   75 %")
    names = ("margin", "centre, right", "centre, down", "width / height")
    for name, values in zip(names, np.array(found).T, strict=True):
        print(f"{name:<20}", *(f"{v:6.3f}" for v in np.quantile(values, (0.25, 0.5, 0.75))))
