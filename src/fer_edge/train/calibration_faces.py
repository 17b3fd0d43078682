"""The choice of the faces that a quantized model is calibrated on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fer_edge.errors import DataError
from fer_edge.train.data.dataset import FaceData

_MIN_FACES = 50


def choose_calibration_faces(
    data: FaceData, *, per_label: int = 64, seed: int = 0
) -> tuple[npt.NDArray[np.uint8], str]:
    """Choose faces of the training split at random, up to `per_label` of each label.

    Returns:
        Pixels uint8 `[N, S, S]`, and how they were chosen, for the spec.

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
    if len(found) < _MIN_FACES:
        raise DataError(
            f"{data.path}: {len(found)} faces in train to calibrate int8 with, at least "
            f"{_MIN_FACES} are needed"
        )
    return faces.pixels[found], (
        f"{len(found)} faces of {data.name} train, up to {max(map(len, chosen))} per label, "
        f"seed {seed}"
    )
