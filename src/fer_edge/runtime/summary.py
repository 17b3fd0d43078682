"""Counts over many images or a long video, in constant memory."""

from __future__ import annotations

import math
from collections import Counter
from time import perf_counter

from fer_edge.runtime.results import Result

_BIN_WIDTH = math.log(1.02)
"""Bins of the histogram are 2 % wide."""


class DurationHistogram:
    """Percentiles of any number of durations, accurate to 2 %."""

    def __init__(self) -> None:
        self._bins: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """Count one duration; less than a microsecond counts as one."""
        self._bins[math.floor(math.log(max(seconds, 1e-6)) / _BIN_WIDTH)] += 1

    def percentile(self, fraction: float) -> float:
        """The seconds that this fraction of durations, in [0, 1], doesn't exceed; 0 if none."""
        remaining = fraction * self._bins.total()
        for index, count in sorted(self._bins.items()):
            remaining -= count
            if remaining <= 0:
                return math.exp((index + 0.5) * _BIN_WIDTH)
        return 0.0


class Summary:
    """Counts results as they come.

    Attributes:
        images: results, including `frames` of videos.
        faces, emotions: number of faces, in all and by label.
        tracked: tracks in all videos.
        failed: images and videos that could not be read; counted by the caller.
        durations: of reading an image and predicting its faces.
    """

    def __init__(self) -> None:
        self.images = self.faces = self.tracked = self.failed = self.frames = 0
        self.emotions: Counter[str] = Counter()
        self.durations = DurationHistogram()
        self._start = perf_counter()
        self._video: str | None = None
        self._last_number = 0

    def add(self, result: Result) -> None:
        """Count one result."""
        self.images += 1
        self.faces += len(result.faces)
        self.durations.add(result.seconds)
        self.frames += result.frame is not None
        if result.frame in (None, 0) or result.source != self._video:
            self._video, self._last_number = result.source, 0
        for face in result.faces:
            self.emotions[(face.track or face).emotion] += 1
            if face.track and face.track.number > self._last_number:
                self.tracked += face.track.number - self._last_number
                self._last_number = face.track.number

    @property
    def seconds(self) -> float:
        """Since the summary was created."""
        return perf_counter() - self._start
