"""What a run over many pictures or a long video came to, in memory that doesn't grow."""

from __future__ import annotations

import math
from collections import Counter
from time import perf_counter

from fer_edge.runtime.results import Result

_STEP = math.log(1.02)
"""Times are counted in classes two per cent wide."""


class Times:
    """Percentiles of any number of times, to two per cent."""

    def __init__(self) -> None:
        self._classes: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """Count one time; less than a microsecond counts as one."""
        self._classes[math.floor(math.log(max(seconds, 1e-6)) / _STEP)] += 1

    def percentile(self, share: float) -> float:
        """The time in seconds that so large a share, in [0, 1], doesn't exceed; 0 without any."""
        left = share * self._classes.total()
        for place, count in sorted(self._classes.items()):
            left -= count
            if left <= 0:
                return math.exp((place + 0.5) * _STEP)
        return 0.0


class Summary:
    """Counts results as they come.

    Attributes:
        pictures: results, frames of videos among them.
        faces: on all of them.
        emotions: how many faces showed each label.
        followed: faces that were given a number in videos.
        failed: pictures and videos with an error.
        times: that a picture took to read and answer.
    """

    def __init__(self) -> None:
        self.images = self.faces = self.tracked = self.failed = self.frames = 0
        self.emotions: Counter[str] = Counter()
        self.times = Times()
        self._began = perf_counter()
        self._video: str | None = None
        self._numbers = 0

    def add(self, result: Result) -> None:
        """Count one result."""
        self.images += 1
        self.faces += len(result.faces)
        self.times.add(result.seconds)
        self.frames += result.frame is not None
        if result.frame in (None, 0) or result.source != self._video:
            self._video, self._numbers = result.source, 0
        for face in result.faces:
            self.emotions[(face.track or face).emotion] += 1
            if face.track and face.track.number > self._numbers:
                self.tracked += face.track.number - self._numbers
                self._numbers = face.track.number

    @property
    def seconds(self) -> float:
        """Since the summary was made."""
        return perf_counter() - self._began
