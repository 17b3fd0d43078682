"""Measure the margin of FER2013's images around the detector's boxes.

FER2013=/path/to/fer2013.tar.gz python -m benchmarks.crop_margin [--detector NAME]

The detector runs on the validation faces, enlarged four times. Where it finds a face, the side of
the image is compared with the longer side of the box, and their centres with each other. With the
median as the spec's margin, the crop around a detected face shows what an image of FER2013 shows.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
from PIL import Image

from fer_edge.runtime.detection.detector import open_finder
from fer_edge.runtime.detection.find_detector import BUILT_IN, find_detector
from fer_edge.train.data.loading import read_data

ENLARGED_SIDE = 192

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--detector", default=BUILT_IN, help="built-in, yunet or a file")
    path = find_detector(parser.parse_args().detector)
    find = open_finder(path, threads=1, engine="onnxruntime").find
    faces = read_data(Path(os.environ["FER2013"])).split("val").pixels
    found = []
    for face in faces:
        enlarged = Image.fromarray(face).convert("RGB").resize((ENLARGED_SIDE, ENLARGED_SIDE), 3)
        rows = find(enlarged)
        if len(rows):
            x, y, w, h = rows[0, :4]
            found.append(
                (
                    (ENLARGED_SIDE / max(w, h) - 1) / 2,
                    (x + w / 2) / ENLARGED_SIDE - 0.5,
                    (y + h / 2) / ENLARGED_SIDE - 0.5,
                    w / h,
                )
            )
    print(f"faces detected in {len(found):,} of {len(faces):,} images")
    print("quartiles              25 %   50 %   75 %")
    names = ("margin", "centre offset x", "centre offset y", "width / height")
    for name, values in zip(names, np.array(found).T, strict=True):
        print(f"{name:<20}", *(f"{v:6.3f}" for v in np.quantile(values, (0.25, 0.5, 0.75))))
