"""Faces that were cut out of photographs: which of them are kept, and how many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fer_edge.errors import ConfigError
from fer_edge.runtime.detection.yunet import SCORE_THRESHOLD
from fer_edge.runtime.inputs.folder_walk import format_left_out
from fer_edge.text import format_count
from fer_edge.train.data.dataset import Faces
from fer_edge.train.data.duplicates import NearCopies

LOW_SCORE, SMALL, COPY = "of a low score", "small", "near copies of held-out faces"
"""Reasons to drop a face."""


@dataclass(frozen=True)
class FaceLimits:
    """Which faces of a photograph are kept.

    Attributes:
        min_score: minimum score of the detector, in [0.6, 1]; YuNet reports no lower ones.
        min_side: minimum shorter side of the face's box, in pixels of the photograph.

    Raises:
        ConfigError: one is out of range.
    """

    # Of 73 faces with scores from 0.7 to 0.8 that were inspected, 23 were none; of 97 above, 1.
    min_score: float = 0.8
    min_side: int = 32

    def __post_init__(self) -> None:
        if not SCORE_THRESHOLD <= self.min_score <= 1:
            raise ConfigError(
                f"min_score must be in [{SCORE_THRESHOLD}, 1], not {self.min_score}: YuNet "
                "reports no lower scores"
            )
        if self.min_side < 1:
            raise ConfigError(f"min_side must be 1 or more, not {self.min_side}")


@dataclass
class CropSummary:
    """What became of the photographs.

    Attributes:
        photographs: that were read.
        unreadable: that could not be read.
        faces: that were found.
        dropped: number of these that were dropped, by reason.
        written: new files.
        present: files that were there already, with the same pixels.
    """

    photographs: int = 0
    unreadable: int = 0
    faces: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    written: int = 0
    present: int = 0

    def __str__(self) -> str:
        photographs = format_count(self.photographs, "photograph")
        unreadable = f" ({self.unreadable:,} more unreadable)" if self.unreadable else ""
        faces = format_count(self.faces, "face")
        reasons = format_left_out(self.dropped)
        dropped = f"{self.dropped.total():,} dropped" + (f" ({reasons})" if reasons else "")
        present = f", {self.present:,} there already" if self.present else ""
        return f"{photographs}{unreadable}: {faces}, {dropped}, {self.written:,} written{present}"

    def to_dict(self) -> dict[str, object]:
        """The numbers by name, for JSON."""
        return {**vars(self), "dropped": dict(self.dropped)}


@dataclass(frozen=True)
class CroppedFace:
    """A face of a photograph.

    Attributes:
        path: of its PNG file.
        score: of the detector.
        min_side: shorter side of its box, in pixels of the photograph.
        pixels: uint8 `[S, S]`.
    """

    path: Path
    score: float
    min_side: int
    pixels: npt.NDArray[np.uint8]


class FaceFilter:
    """Drops faces beyond the limits and near copies of held-out faces.

    Args:
        limits: which faces are kept.
        held_out: faces of which no near copy is kept, of any side.
    """

    def __init__(self, limits: FaceLimits, held_out: Sequence[Faces]) -> None:
        self.limits = limits
        self.held_out = [NearCopies(others) for others in held_out]

    def keep(self, faces: Sequence[CroppedFace], dropped: Counter[str]) -> list[CroppedFace]:
        """Return the faces to keep; the others are counted by the first reason to drop them."""
        scored = [face for face in faces if face.score >= self.limits.min_score]
        kept = [face for face in scored if face.min_side >= self.limits.min_side]
        dropped[LOW_SCORE] += len(faces) - len(scored)
        dropped[SMALL] += len(scored) - len(kept)
        for copies in self.held_out:
            if not kept:
                break
            is_copy = copies.find(np.stack([face.pixels for face in kept]))
            dropped[COPY] += int(is_copy.sum())
            kept = [face for face, copied in zip(kept, is_copy, strict=True) if not copied]
        return kept
