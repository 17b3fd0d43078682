"""Faces tracked from frame to frame, with predictions smoothed over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fer_edge.runtime.boxes import match_boxes
from fer_edge.runtime.preprocess import Box
from fer_edge.runtime.results import UNCERTAIN, Face, Track, top_label


@dataclass
class _TrackState:
    """A track as its last face, `last_seen` seconds into the video, left it.

    `missed` counts the frames since then. `leading_since` is when another label than the shown
    `emotion` became the likeliest, or None.
    """

    number: int
    box: Box
    last_seen: float
    smoothed: npt.NDArray[np.float64]
    emotion: str
    missed: int = 0
    leading_since: float | None = None


@dataclass(kw_only=True, eq=False)
class Tracker:
    """Numbers the faces of one stream and smooths their predictions, so that they don't flicker.

    A face continues the track whose last box has the highest IoU with it. The probabilities are
    smoothed exponentially, p += (1 - exp(-dt / time_constant)) (raw - p), where dt is the time
    since the track was last seen: the smoothing is the same at any frame rate. The shown label
    changes when another one has been the likeliest for `hold` seconds.

    Args:
        time_constant: of the smoothing, in seconds; 0 turns it off.
        hold: seconds for which a new label must be the likeliest before it is shown.
        max_age: a track ends when its last face is more than this many seconds ago, and at least
            `max_missed` frames in a row haven't shown it. A face in each frame keeps its track.
        max_missed: decides where frames are far apart, as `max_age` where they are close together.
        iou_threshold: minimum IoU of a face with its track's last box, in (0, 1].
        min_confidence: a track whose smoothed probability is lower is "uncertain", in [0, 1].

    Raises:
        ValueError: an argument is out of range.
    """

    time_constant: float = 0.5
    hold: float = 0.25
    max_age: float = 1.0
    max_missed: int = 2
    iou_threshold: float = 0.3
    min_confidence: float = 0.0

    def __post_init__(self) -> None:
        for name in ("time_constant", "hold", "max_age"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be 0 or more seconds, not {getattr(self, name)}")
        if self.max_missed < 1:
            raise ValueError(f"max_missed must be 1 or more frames, not {self.max_missed}")
        if not 0 < self.iou_threshold <= 1:
            raise ValueError(f"iou_threshold must be in (0, 1], not {self.iou_threshold}")
        if not 0 <= self.min_confidence <= 1:
            raise ValueError(f"min_confidence must be in [0, 1], not {self.min_confidence}")
        self._tracks: list[_TrackState] = []
        self._next_number = 1

    def __call__(self, faces: Sequence[Face], time: float) -> tuple[Face, ...]:
        """Assign each face of a frame to a track; the faces with `track` set, in the same order.

        Args:
            faces: as the recognizer found them.
            time: of the frame, in seconds. A time before the last frame's starts a new video: all
                tracks end.
        """
        self._tracks = [one for one in self._tracks if self._goes_on(one, time)]
        tracks = list(self._tracks)
        boxes = [face.box for face in faces], [one.box for one in tracks]
        matches = match_boxes(*boxes, self.iou_threshold)
        for track in tracks:
            track.missed += 1
        return tuple(
            self._update(face, tracks[matches[i]] if i in matches else None, time)
            for i, face in enumerate(faces)
        )

    def end_tracks(self) -> None:
        """End all tracks, as where a film cuts: the faces of the next frame get new numbers."""
        self._tracks = []

    def _goes_on(self, track: _TrackState, time: float) -> bool:
        elapsed = time - track.last_seen
        return elapsed >= 0 and (elapsed <= self.max_age or track.missed < self.max_missed)

    def _update(self, face: Face, track: _TrackState | None, time: float) -> Face:
        labels = list(face.probabilities)
        raw = np.array(list(face.probabilities.values()))
        if track is None:
            emotion, _ = top_label(face.probabilities)
            track = _TrackState(self._next_number, face.box, time, raw, emotion)
            self._next_number += 1
            self._tracks.append(track)
        else:
            elapsed, constant = time - track.last_seen, self.time_constant
            weight = 1 - math.exp(-elapsed / constant) if constant else 1.0
            track.smoothed = track.smoothed + weight * (raw - track.smoothed)
            track.box, track.last_seen, track.missed = face.box, time, 0
        self._update_emotion(track, labels[int(track.smoothed.argmax())], time)
        smoothed = dict(zip(labels, track.smoothed.tolist(), strict=True))
        confidence = smoothed[track.emotion]
        shown = track.emotion if confidence >= self.min_confidence else UNCERTAIN
        return replace(face, track=Track(track.number, shown, confidence, smoothed))

    def _update_emotion(self, track: _TrackState, likeliest: str, time: float) -> None:
        since = time if track.leading_since is None else track.leading_since
        if likeliest != track.emotion and time - since < self.hold:
            track.leading_since = since
        else:
            track.emotion, track.leading_since = likeliest, None
