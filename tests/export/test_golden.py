from __future__ import annotations

import hashlib

import numpy as np

from fer_edge.export.golden import COUNT, draw_faces


def test_the_faces_are_the_same_everywhere() -> None:
    faces = draw_faces(48)
    assert faces.shape == (COUNT, 48, 48)
    assert faces.dtype == np.uint8
    assert len({face.tobytes() for face in faces}) == COUNT
    assert hashlib.sha256(faces.tobytes()).hexdigest()[:16] == "4930b5d8e46711cf"


def test_any_side() -> None:
    assert draw_faces(96).shape == (COUNT, 96, 96)
