"""What a camera does to a face, in fixed strengths, to measure its effect on a model.

A corruption depends on the face alone: where it draws at random, its seed is a checksum of the
face's bytes. So any subset, order or batch of faces, and every model, has the same corrupted faces.
Pixels are those of the model's input. Beyond its edge, the edge's pixels are repeated.

This is a measurement and shares no code with the augmentation of the training.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from fer_edge.runtime.preprocess import crop_face
from fer_edge.spec import CropSpec

Face = npt.NDArray[np.uint8]
Corruption = Callable[[Face], Face]
"""From one face, uint8 `[S, S]`, to the corrupted one, uint8 `[S, S]`."""

CLEAN = "clean"
_SHADE = 0.2
"""Fraction of the light that is left at the dark side under side light."""
_MOUTH, _EYES = (0.64, 0.96, 0.2, 0.8), (0.22, 0.46, 0.1, 0.9)
"""Top, bottom, left and right of what is covered, as fractions of the side (FER2013)."""


def make_corruptions(crop: CropSpec) -> dict[str, Corruption]:
    """The corruptions by name, without the clean face, in the order of the tables.

    Args:
        crop: of the model: small faces are enlarged by its filter, as when the model runs.
    """
    whole = replace(crop, margin=0.0)
    table: dict[str, Corruption] = {
        **{f"noise, sigma {sigma}": partial(_add_noise, sigma=sigma) for sigma in (5, 10, 20)},
        **{f"blur, sigma {sigma} px": partial(_blur, sigma=sigma) for sigma in (1, 2)},
        **{f"JPEG, quality {quality}": partial(_compress, quality=quality) for quality in (20, 10)},
        **{
            f"face of {size} px": partial(_shrink, size=size, crop=whole)
            for size in (32, 24, 20, 16)
        },
        **{f"brightness x {by}": partial(_scale_light, factor=by) for by in (0.25, 0.5, 1.5)},
        "contrast x 0.5": partial(_reduce_contrast, factor=0.5),
        "side light": _light_from_side,
        "rotated by 15 degrees": partial(_rotate, degrees=15.0, crop=whole),
        "shifted by 3 px": partial(_shift, distance=3, crop=whole),
        "mouth covered": partial(_cover, part=_MOUTH),
        "eyes covered": partial(_cover, part=_EYES),
    }
    return table


def corrupt(pixels: npt.NDArray[np.uint8], corruption: Corruption) -> npt.NDArray[np.uint8]:
    """Corrupt each of the faces, uint8 `[N, S, S]`; N may be 0."""
    result = np.empty_like(pixels)
    for i, face in enumerate(pixels):
        result[i] = corruption(face)
    return result


def _random(face: Face) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(face.tobytes()))


def _to_bytes(values: npt.NDArray[np.floating[Any]]) -> Face:
    return values.round().clip(0, 255).astype(np.uint8)


def _add_noise(face: Face, sigma: float) -> Face:
    """Gaussian noise, independent in each pixel, in levels of 0 to 255."""
    return _to_bytes(face + _random(face).normal(0, sigma, face.shape))


def _blur(face: Face, sigma: float) -> Face:
    """Pillow's Gaussian blur: three box blurs of the same variance."""
    return np.asarray(Image.fromarray(face).filter(ImageFilter.GaussianBlur(sigma)))


def _compress(face: Face, quality: int) -> Face:
    """Baseline JPEG of one channel."""
    file = io.BytesIO()
    Image.fromarray(face).save(file, "JPEG", quality=quality)
    with Image.open(file) as image:
        return np.asarray(image)


def _shrink(face: Face, size: int, crop: CropSpec) -> Face:
    """A face of `size` px, made and enlarged by the resize of the runtime."""
    side = len(face)
    if size >= side:
        return face
    small = crop_face(face, (0, 0, side, side), crop, size)
    return crop_face(small, (0, 0, size, size), crop, side)


def _scale_light(face: Face, factor: float) -> Face:
    return _to_bytes(face * factor)


def _reduce_contrast(face: Face, factor: float) -> Face:
    """Distances from the face's mean, multiplied."""
    return _to_bytes(face.mean() + factor * (face - face.mean()))


def _light_from_side(face: Face) -> Face:
    """Light that falls off in a line from the left to the right, or in half of the faces back."""
    light = np.linspace(1, _SHADE, len(face))
    return _to_bytes(face * (light if _random(face).random() < 0.5 else light[::-1]))


def _rotate(face: Face, degrees: float, crop: CropSpec) -> Face:
    """Rotation about the centre, half of the faces one way and half the other."""
    side, sign = len(face), 1 if _random(face).random() < 0.5 else -1
    return crop_face(face, (0, 0, side, side), crop, side, sign * degrees)


def _shift(face: Face, distance: int, crop: CropSpec) -> Face:
    """A shift to the left, right, top or bottom."""
    side = len(face)
    x, y = ((-1, 0), (1, 0), (0, -1), (0, 1))[_random(face).integers(4)]
    return crop_face(face, (distance * x, distance * y, side, side), crop, side)


def _cover(face: Face, part: tuple[float, float, float, float]) -> Face:
    """A rectangle of the face's mean gray, so that the brightness stays."""
    top, bottom, left, right = (round(len(face) * at) for at in part)
    result = face.copy()
    result[top:bottom, left:right] = round(face.mean())
    return result
