"""What a reading of faces is: frozen, printable, drawable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from fer_edge.atomic import whole_file
from fer_edge.runtime.inputs.images import open_image
from fer_edge.runtime.preprocess import Box


def softmax(logits: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """exp(x) / sum(exp(x)) over the last axis, shifted by the largest so that nothing overflows."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    shares: npt.NDArray[np.floating[Any]] = powers / powers.sum(-1, keepdims=True)
    return shares


FacesFrom: TypeAlias = Literal["whole", "detector"]
"""Where the boxes come from: the whole image was taken as one face, or a detector found them."""
UNCERTAIN = "uncertain"
"""Shown in place of a label whose probability is under the recognizer's least confidence."""


def top_label(probabilities: Mapping[str, float], least: float = 0.0) -> tuple[str, float]:
    """The likeliest label and its probability; "uncertain" where that is under `least`."""
    best = max(probabilities, key=probabilities.__getitem__)
    share = probabilities[best]
    return (best if share >= least else UNCERTAIN), share


@dataclass(frozen=True)
class Track:
    """What a face in a stream shows over time.

    Attributes:
        number: from 1 on; the same face keeps it from frame to frame.
        emotion: the label that is shown: it doesn't flicker.
        confidence: its smoothed probability, in [0, 1].
        probabilities: of every label, smoothed in time; they sum to 1.
    """

    number: int
    emotion: str
    confidence: float
    probabilities: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """As `fer infer --json` prints it."""
        return {
            "number": self.number,
            "emotion": self.emotion,
            "confidence": self.confidence,
            "probabilities": dict(self.probabilities),
        }


@dataclass(frozen=True)
class Face:
    """One face and the expression read on it.

    Attributes:
        box: x, y, width, height in pixels of the upright picture.
        score: how sure the detector is that this is a face, in [0, 1]; 1 for a whole picture.
        emotion: the likeliest label, or "uncertain".
        confidence: the likeliest label's probability, in [0, 1].
        probabilities: of every label, in the spec's order; they sum to 1.
        track: the same smoothed in time, in a stream.
    """

    box: Box
    score: float
    emotion: str
    confidence: float
    probabilities: Mapping[str, float]
    track: Track | None = None

    def to_dict(self) -> dict[str, Any]:
        """As `fer infer --json` prints it."""
        return {
            "box": list(self.box),
            "score": self.score,
            "emotion": self.emotion,
            "confidence": self.confidence,
            "probabilities": dict(self.probabilities),
            **({"track": self.track.to_dict()} if self.track else {}),
        }


@dataclass(frozen=True)
class Result:
    """One picture and the faces in it; no face is an empty tuple.

    Attributes:
        source: the picture's or video's path, or how else it was given.
        width, height: of the upright picture, in pixels.
        faces: the likeliest face first.
        picture: the upright picture, or the path of its file.
        frame, time: of a video: the frame's number from 0 and its seconds from the beginning.
        seconds: that it took to read and to answer, without waiting for other pictures.
        faces_from: "whole": the whole image was taken as one face; "detector": a detector searched
            the image for faces.
    """

    source: str
    width: int
    height: int
    faces: tuple[Face, ...]
    picture: Image.Image | Path = field(repr=False, compare=False)
    frame: int | None = None
    time: float | None = None
    seconds: float = field(default=0.0, compare=False)
    faces_from: FacesFrom = "whole"

    @property
    def image(self) -> Image.Image:
        """The upright picture; a file is opened anew, so that many results hold no pictures.

        Raises:
            SourceError: the file is gone or has changed into something else.
        """
        return open_image(self.picture) if isinstance(self.picture, Path) else self.picture

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
        """The picture with boxes, expressions and bars of probability drawn on it, RGB."""
        from fer_edge.runtime.drawing.annotate import draw

        return draw(self)

    def save(self, path: str | Path) -> Path:
        """Write `plot()` to `path`, the format chosen by its suffix; returns the path.

        Raises:
            ValueError: Pillow knows no such suffix.
            OSError: the place can't be written to.
        """
        path = Path(path)
        with whole_file(path) as beside:
            self.plot().save(beside)
        return path
