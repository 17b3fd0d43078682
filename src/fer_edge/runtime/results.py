"""What a recognizer returns: frozen results that print, draw and save themselves."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from fer_edge.atomic import write_bytes
from fer_edge.runtime.inputs.images import open_image
from fer_edge.runtime.preprocess import Box

Floats: TypeAlias = npt.NDArray[np.float64]
FacesFrom: TypeAlias = Literal["whole", "detector"]
"""Where the boxes come from: the whole image was taken as one face, or a detector found them."""
SMALL_FACE = 16
"""A face that is read from fewer pixels, along its shorter side, is small. Of faces shrunk to 16
px, base reads 58 % and small 59 % (`benchmarks/corruptions.py`); below, nothing was measured."""
UNCERTAIN = "uncertain"
"""Shown instead of a label whose probability is below the recognizer's `min_confidence`."""
_LOSSY_SUFFIXES = (".jpeg", ".jpg", ".webp")


def softmax(logits: npt.NDArray[np.floating[Any]], temperature: float = 1.0) -> Floats:
    """exp(x / T) / sum(exp(x / T)) over the last axis, float64.

    It is shifted by the maximum, so that no finite logits in float32 overflow.
    """
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(-1, keepdims=True))
    probabilities: Floats = powers / powers.sum(-1, keepdims=True)
    return probabilities


def top_label(probabilities: Mapping[str, float], min_confidence: float = 0.0) -> tuple[str, float]:
    """The likeliest label, or "uncertain" below `min_confidence`, and its probability."""
    best = max(probabilities, key=probabilities.__getitem__)
    confidence = probabilities[best]
    return (best if confidence >= min_confidence else UNCERTAIN), confidence


@dataclass(frozen=True)
class Track:
    """A face followed through the frames of a stream.

    Attributes:
        number: from 1; the same face keeps it from frame to frame.
        emotion: the label that is shown, which doesn't flicker, or "uncertain".
        confidence: its smoothed probability, in [0, 1].
        probabilities: of every label, smoothed over time; they sum to 1.
    """

    number: int
    emotion: str
    confidence: float
    probabilities: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """As `fer infer --json` prints it."""
        return {**vars(self), "probabilities": dict(self.probabilities)}


@dataclass(frozen=True)
class Face:
    """One face and its expression.

    Attributes:
        box: x, y, width, height in pixels of the upright image.
        score: the detector's confidence that this is a face, in [0, 1]; 1 for a whole image.
        emotion: the likeliest label, or "uncertain".
        confidence: the likeliest label's probability, in [0, 1].
        probabilities: of every label, in the spec's order; they sum to 1.
        track: the same face followed and smoothed over time; None outside videos.
        small: whether it has too few pixels for its expression to be relied on; see `SMALL_FACE`.
    """

    box: Box
    score: float
    emotion: str
    confidence: float
    probabilities: Mapping[str, float]
    track: Track | None = None

    small: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As `fer infer --json` prints it."""
        own = {"box": list(self.box), "probabilities": dict(self.probabilities)}
        values = {**vars(self), **own}
        if self.track is None:
            del values["track"]
        else:
            values["track"] = self.track.to_dict()
        return values


@dataclass(frozen=True)
class Result:
    """One image and the faces in it.

    Attributes:
        source: path, address or camera; "image", "array" or "bytes" for an image in memory.
        width, height: of the upright image, in pixels.
        faces: in order of falling detection score; empty where no face was found.
        image_source: what the image is drawn from: its path, its encoded bytes, or the upright
            image itself.
        frame, time: of a video: the frame's number, from 0, and its seconds from the beginning.
        seconds: spent on decoding, detection and prediction, without waiting for other images.
        faces_from: "whole": the whole image was taken as one face; "detector": it was searched.
    """

    source: str
    width: int
    height: int
    faces: tuple[Face, ...]
    image_source: Image.Image | Path | bytes = field(repr=False, compare=False)
    frame: int | None = None
    time: float | None = None
    seconds: float = field(default=0.0, compare=False)
    faces_from: FacesFrom = "whole"

    @property
    def image(self) -> Image.Image:
        """The upright image, L or RGB; a file or bytes are decoded again: results hold no pixels.

        Of more than 25 megapixels, it is reduced by 2, 4 or 8.

        Raises:
            SourceError: the file has been removed or changed.
        """
        source = self.image_source
        if isinstance(source, Image.Image):
            return source
        return open_image(source, name=self.source, max_pixels=self.width * self.height)

    def to_dict(self) -> dict[str, Any]:
        """As `fer infer --json` prints it."""
        place = {} if self.frame is None else {"frame": self.frame, "time": self.time}
        return {
            "source": self.source,
            **place,
            "width": self.width,
            "height": self.height,
            "faces_from": self.faces_from,
            "faces": [face.to_dict() for face in self.faces],
        }

    def plot(self) -> Image.Image:
        """The image with boxes, labels and, for a single face, a bar chart, RGB.

        Raises:
            ConfigError: no font has a label's characters.
            SourceError: see `image`.
        """
        # late: drawing imports results, and a result is drawable; the only cycle of the package
        from fer_edge.runtime.drawing.annotate import draw_result

        return draw_result(self)

    def save(self, path: str | Path) -> Path:
        """Write `plot()` to `path`, in the format of its suffix; returns the path.

        Raises:
            ConfigError, SourceError: see `plot`.
            ValueError: Pillow doesn't know the suffix.
            OSError: the file cannot be written.
        """
        path = Path(path)
        write_bytes(path, encode_image(self.plot(), path.suffix))
        return path


def encode_image(image: Image.Image, suffix: str) -> bytes:
    """Encode an image in the format of a suffix such as ".png".

    In memory: written to a file by Pillow, a full disk is an "encoder error -2" without a name.

    Raises:
        ValueError: Pillow doesn't write the format.
    """
    suffix = suffix.lower()
    kind = Image.registered_extensions().get(suffix)
    if kind not in Image.SAVE:
        raise ValueError(f"unknown file extension: {suffix}")
    # Pillow's own quality, 75 or 80, blurs the letters
    options: dict[str, Any] = {"quality": 90} if suffix in _LOSSY_SUFFIXES else {}
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()
