"""The choice of the faces that a quantized model is calibrated on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fer_edge.errors import DataError
from fer_edge.train.data.dataset import FaceData

FACES_PER_LABEL = 64
MIN_FACES = 50


@dataclass(frozen=True)
class CalibrationFaces:
    """Faces of the training split that a quantized model is calibrated on.

    Attributes:
        pixels: uint8 `[N, S, S]`.
        description: how they were chosen, for the spec.
    """

    pixels: npt.NDArray[np.uint8]
    description: str


def choose_calibration_faces(
    data: FaceData, *, per_label: int = FACES_PER_LABEL, seed: int = 0
) -> CalibrationFaces:
    """Choose faces of the training split at random, up to `per_label` of each label.

    Raises:
        DataError: a label has no face in train, or there are fewer than 50 faces.
    """
    faces = data.split("train")
    random = np.random.default_rng(seed)
    chosen = []
    for label, name in enumerate(data.labels):
        indices = np.flatnonzero(faces.labels == label)
        if not len(indices):
            raise DataError(f"{data.path}: no face of {name!r} in train to calibrate int8 with")
        chosen.append(random.permutation(indices)[:per_label])
    found = random.permutation(np.concatenate(chosen))
    if len(found) < MIN_FACES:
        raise DataError(
            f"{data.path}: {len(found)} faces in train to calibrate int8 with, at least "
            f"{MIN_FACES} are needed"
        )
    return CalibrationFaces(
        faces.pixels[found],
        f"{len(found)} faces of {data.name} train, up to {max(map(len, chosen))} per label, "
        f"seed {seed}",
    )
