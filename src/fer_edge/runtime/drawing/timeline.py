"""Expressions over a video's time, collected in constant memory and drawn as one image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from fer_edge.atomic import write_bytes
from fer_edge.errors import ConfigError
from fer_edge.runtime.drawing.timeline_bins import BINS, BinnedFaces, ChartData, Floats
from fer_edge.runtime.drawing.timeline_chart import draw_chart
from fer_edge.runtime.results import Face, Result, encode_image

MAX_FACES = 24
"""Faces with bins of their own; those seen shortest are added up as "others"."""
CHART_ROWS = 6
_SINGLE_FRAME = 0.04
"""Seconds that a video's only frame lasts."""


def check_plot_path(path: Path) -> None:
    """Check that an image can be written to `path`, before work begins.

    Raises:
        ConfigError: it is a folder or a device, or Pillow writes no image with this suffix.
    """
    kind = Image.registered_extensions().get(path.suffix.lower())
    if (path.exists() and not path.is_file()) or kind not in Image.SAVE:
        raise ConfigError(f"{path}: not a file name for an image: end it in .png")


class Timeline(ChartData):
    """Collects the results of one video; `plot` draws them at any time.

    A frame lasts until the next one, the last frame as long as the one before. Memory is constant:
    at most 25 faces have 1,440 bins each, whose width doubles as the video gets longer (to one
    minute in a day).
    """

    def __init__(self) -> None:
        super().__init__()
        self._faces: dict[int, BinnedFaces] = {}
        self._others = BinnedFaces(0, 0)
        self._highest_number = 0
        self._frame_seconds = _SINGLE_FRAME
        # of the newest frame: its time, the faces' numbers and what one second adds to their bins,
        # and how many of its seconds are in the bins already, assumed for a plot
        self._time: float | None = None
        self._rows: list[tuple[int, Floats]] = []
        self._counted = 0.0

    def add(self, result: Result) -> None:
        """Add the next frame of the video.

        A face is identified by its track's number, which only rises, or else by its place.

        Raises:
            ConfigError: the result is of an image, which has no time, or of another video.
        """
        if result.time is None:
            raise ConfigError(f"{result.source}: an image has no time to plot: give a video")
        if self._time is None:
            self.source, self.start, self.end = result.source, result.time, result.time
        elif self.source != result.source:
            raise ConfigError(
                f"{result.source}: this timeline is of {self.source}: use another for each video"
            )
        else:
            self._frame_seconds = max(result.time - self._time, 0.0)
            self._commit(self._time, self._frame_seconds)
        numbers = (f.track.number if f.track else i for i, f in enumerate(result.faces, 1))
        self._rows = list(zip(numbers, map(self._row, result.faces), strict=True))
        self._time, self._counted = result.time, 0.0

    def data(self) -> ChartData:
        """With the rows of now: the six faces seen longest, by their numbers, then the others."""
        if self._time is not None and not self._counted:
            self._commit(self._time, self._frame_seconds or _SINGLE_FRAME)
        faces = sorted(self._faces.items(), key=lambda one: (-one[1].seconds, one[0]))
        rows = sorted(faces[:CHART_ROWS], key=lambda one: one[0])
        others = BinnedFaces(len(self.labels), 0)
        for one in (*(one for _, one in faces[CHART_ROWS:]), self._others):
            others.add(one)
        self.rows = (*rows, (0, others)) if others.count else tuple(rows)
        return self

    def plot(self) -> Image.Image:
        """The chart of the frames so far; see `draw_chart`."""
        return draw_chart(self.data())

    def save(self, path: Path) -> Path:
        """Write `plot()` to `path`, whole or not at all; returns the path."""
        write_bytes(path, encode_image(self.plot(), path.suffix))
        return path

    def _row(self, face: Face) -> Floats:
        """What one second of a face adds to its bins; see `BinnedFaces.sums`."""
        shown = face.track or face
        if not self.labels:
            self.labels = tuple(face.probabilities)
            self._others = BinnedFaces(len(self.labels), 0)
        count = len(self.labels)
        row = np.zeros(2 * count + 2)
        row[0] = 1
        row[1 : count + 1] = list(shown.probabilities.values())
        is_certain = shown.emotion in self.labels
        self.has_uncertain |= not is_certain
        row[count + 1 + (self.labels.index(shown.emotion) if is_certain else count)] = 1
        return row

    def _commit(self, time: float, seconds: float) -> None:
        """Add the newest frame's faces to the bins of the `seconds` for which it lasts."""
        self.end = max(self.end, time + seconds)
        while self.end - self.start > BINS * self.bin_width:
            self.bin_width *= 2
            for faces in (*self._faces.values(), self._others):
                faces.halve()
        if seconds <= self._counted:
            return
        begin = time + self._counted - self.start
        bins, in_bin = self._overlap_bins(begin, seconds - self._counted)
        present = {number for number, _ in self._rows}
        for number, row in sorted(self._rows, key=lambda one: one[0]):
            self._bins_of(number, present).sums[bins] += in_bin[:, None] * row
        self._counted = seconds

    def _overlap_bins(self, begin: float, seconds: float) -> tuple[slice, Floats]:
        """The bins that a span of time overlaps, and its seconds in each."""
        first = min(max(int(begin / self.bin_width), 0), BINS - 1)
        end = min(max(int(np.ceil((begin + seconds) / self.bin_width)), first + 1), BINS)
        edges = np.clip(np.arange(first, end + 1) * self.bin_width, begin, begin + seconds)
        return slice(first, end), np.diff(edges)

    def _bins_of(self, number: int, present: set[int]) -> BinnedFaces:
        """A face's own bins, or the others' if there is no room for it."""
        is_new = number > self._highest_number
        self._highest_number = max(self._highest_number, number)
        self.face_count += is_new
        if number in self._faces:
            return self._faces[number]
        if len(self._faces) >= MAX_FACES:
            absent = [one for one in self._faces if one not in present]
            if not absent:
                self._others.count += is_new
                return self._others
            shortest = min(absent, key=lambda one: (self._faces[one].seconds, one))
            self._others.add(self._faces.pop(shortest))
        # a face that was among the others before is counted there already
        self._faces[number] = BinnedFaces(len(self.labels), int(is_new))
        return self._faces[number]
