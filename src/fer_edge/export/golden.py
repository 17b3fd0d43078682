"""Golden samples: synthetic faces that a model carries for its self-test."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_edge.spec import GoldenSample
from fer_edge.train.evaluation.evaluate import Predict

COUNT = 16
SEED = 2013


def draw_faces(side: int) -> npt.NDArray[np.uint8]:
    """Synthetic faces, uint8 `[16, side, side]`: black, white, gradients, noise, drawn faces.

    numpy's PCG64 with a fixed seed makes them the same on every machine.
    """
    random = np.random.Generator(np.random.PCG64(SEED))
    y, x = np.mgrid[0:side, 0:side] / (side - 1) * 2 - 1
    plain: list[npt.NDArray[Any]] = [
        np.zeros((side, side)),
        np.full((side, side), 255),
        127.5 + 127.5 * x,
        127.5 - 127.5 * y,
        127.5 + 127.5 * np.sign(np.sin(8 * x) * np.sin(8 * y)),
        random.integers(0, 256, (side, side)),
    ]
    drawn = [_drawn_face(x, y, random) for _ in range(COUNT - len(plain))]
    return np.stack([np.clip(np.rint(face), 0, 255).astype(np.uint8) for face in plain + drawn])


def golden_samples(predict: Predict, side: int) -> tuple[GoldenSample, ...]:
    """The synthetic faces with the logits that `predict` gives for them."""
    faces = draw_faces(side)
    return tuple(
        GoldenSample(base64.b64encode(face.tobytes()).decode(), tuple(logits.tolist()))
        for face, logits in zip(faces, predict(faces), strict=True)
    )


def _drawn_face(
    x: npt.NDArray[Any], y: npt.NDArray[Any], random: np.random.Generator
) -> npt.NDArray[Any]:
    """An oval with random eyes, brows and mouth, and noise."""
    background, skin = random.uniform(0, 120), random.uniform(140, 230)
    tilt = random.uniform(-0.25, 0.25)
    x, y = x * np.cos(tilt) - y * np.sin(tilt), x * np.sin(tilt) + y * np.cos(tilt)
    face = np.where((x / 0.75) ** 2 + (y / 0.95) ** 2 < 1, skin, background)
    open_eye = random.uniform(0.04, 0.15)
    brow, bend = random.uniform(-0.4, 0.4), random.uniform(-1, 1)
    for centre in (-0.32, 0.32):
        eye = ((x - centre) / 0.15) ** 2 + ((y + 0.2) / open_eye) ** 2 < 1
        line = (np.abs(y + 0.5 - brow * (np.abs(x) - 0.32)) < 0.05) & (np.abs(x - centre) < 0.2)
        face = np.where(eye | line, 40, face)
    wide, thick = random.uniform(0.2, 0.45), random.uniform(0.05, 0.2)
    mouth = (np.abs(x) < wide) & (np.abs(y - 0.5 - 0.5 * bend * (x**2 - 0.06)) < thick)
    face = np.where(mouth, 60, face)
    shade: npt.NDArray[Any] = face + 25 * x * random.uniform(-1, 1) + random.normal(0, 6, x.shape)
    return shade
