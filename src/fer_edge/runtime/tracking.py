"""Faces followed from frame to frame, and what they show smoothed in time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fer_edge.runtime.preprocess import Box
from fer_edge.runtime.results import UNCERTAIN, Face, Track, named


@dataclass
class _Followed:
    """A face as it was seen last."""

    number: int
    box: Box
    seen: float
    smoothed: npt.NDArray[np.float64]
    emotion: str
    since: float | None = None
    """When another label became the likeliest, while the old one is still shown."""


class Tracker:
    """Gives faces of one stream numbers that stay, and probabilities that don't flicker.

    A face continues the track whose last box it overlaps most. Probabilities follow the raw ones as
    p += (1 - exp(-dt / constant)) (raw - p), dt being the seconds since the track was seen: the
    same smoothing at any frame rate. The shown label changes when another has been the likeliest
    for the hold.

    Args:
        constant: time constant of the smoothing, in seconds; 0: none.
        hold: seconds that a new label must lead before it is shown.
        forget: seconds after which a face that isn't seen loses its number.
        overlap: least intersection over union of a face with its track's last box.
        min_confidence: a track is "uncertain" while its smoothed probability is under this.

    Raises:
        ValueError: a time is negative, the overlap isn't in (0, 1] or the confidence in [0, 1].
    """

    def __init__(
        self,
        *,
        constant: float = 0.5,
        hold: float = 0.25,
        forget: float = 1.0,
        overlap: float = 0.3,
        min_confidence: float = 0.0,
    ) -> None:
        if min(constant, hold, forget) < 0 or not 0 < overlap <= 1 or not 0 <= min_confidence <= 1:
            raise ValueError(
                f"constant {constant}, hold {hold}, forget {forget} must be 0 or more, "
                f"overlap {overlap} in (0, 1], min_confidence {min_confidence} in [0, 1]"
            )
        self.least = min_confidence
        self.constant, self.hold, self.forget, self.overlap = constant, hold, forget, overlap
        self._followed: list[_Followed] = []
        self._next = 1

    def __call__(self, faces: Sequence[Face], time: float) -> tuple[Face, ...]:
        """The faces of a frame, each with its track, in their order.

        Args:
            faces: as the recognizer found them.
            time: of the frame, in seconds. Less than the last frame's: another video has begun, and
                every face is a new one.
        """
        self._followed = [one for one in self._followed if 0 <= time - one.seen <= self.forget]
        partners = self._matched(faces)
        return tuple(self._updated(face, partners.get(i), time) for i, face in enumerate(faces))

    def _matched(self, faces: Sequence[Face]) -> dict[int, _Followed]:
        """Faces and tracks paired, the largest overlap first."""
        pairs = [
            (shared, i, k)
            for i, face in enumerate(faces)
            for k, one in enumerate(self._followed)
            if (shared := overlap(face.box, one.box)) >= self.overlap
        ]
        partners: dict[int, _Followed] = {}
        taken: set[int] = set()
        for _, i, k in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
            if i not in partners and k not in taken:
                partners[i] = self._followed[k]
                taken.add(k)
        return partners

    def _updated(self, face: Face, followed: _Followed | None, time: float) -> Face:
        raw = np.array(list(face.probabilities.values()))
        if followed is None:
            followed = _Followed(self._next, face.box, time, raw, named(face.probabilities)[0])
            self._next += 1
            self._followed.append(followed)
        else:
            gone = time - followed.seen
            share = 1.0 if self.constant == 0 else 1 - math.exp(-gone / self.constant)
            followed.smoothed = followed.smoothed + share * (raw - followed.smoothed)
            followed.box, followed.seen = face.box, time
        labels = list(face.probabilities)
        likeliest = labels[int(followed.smoothed.argmax())]
        if likeliest == followed.emotion:
            followed.since = None
        else:
            followed.since = time if followed.since is None else followed.since
            if time - followed.since >= self.hold:
                followed.emotion, followed.since = likeliest, None
        smoothed = dict(zip(labels, followed.smoothed.tolist(), strict=True))
        share = smoothed[followed.emotion]
        shown = followed.emotion if share >= self.least else UNCERTAIN
        return replace(face, track=Track(followed.number, shown, share, smoothed))


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, in [0, 1]."""
    wide = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    high = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(wide, 0) * max(high, 0)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)
