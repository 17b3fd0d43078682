"""Expressions over a video's time, collected in constant memory and drawn as one image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from fer_edge.atomic import whole_file
from fer_edge.errors import ConfigError
from fer_edge.runtime.drawing.timeline_bins import BINS, BinnedFaces, ChartData, Floats
from fer_edge.runtime.drawing.timeline_chart import draw_chart
from fer_edge.runtime.results import Face, Result

MIN_BIN_WIDTH = 60 / 4096
"""Seconds of a bin at first; doubled whenever the video outgrows the bins."""
MAX_FACES = 24
"""Faces with bins of their own; those seen shortest are added up as "others"."""
CHART_ROWS = 6
_SINGLE_FRAME = 0.04
"""Seconds that a video's only frame lasts."""


def check_plot_path(path: Path) -> None:
    """Check that an image can be written to `path`, before work begins.

    Raises:
        ConfigError: it is a folder, or Pillow writes no image with this suffix.
    """
    kind = Image.registered_extensions().get(path.suffix.lower())
    if path.is_dir() or kind not in Image.SAVE:
        raise ConfigError(f"{path}: not a file name for an image: end it in .png")


@dataclass(frozen=True)
class _LastFrame:
    """The newest frame, which lasts until the next one.

    Attributes:
        time: in seconds.
        rows: number of each face, and what one second of it adds to its bins.
        counted: seconds of it that are in the bins already, assumed for a plot.
    """

    time: float
    rows: tuple[tuple[int, Floats], ...]
    counted: float = 0.0


class Timeline:
    """Collects the results of one video; `plot` draws them at any time.

    A frame lasts until the next one, the last frame as long as the one before. Memory is constant:
    at most 25 faces have 1,440 bins each, whose width doubles as the video gets longer (to one
    minute in a day).

    Attributes:
        source: of the video; empty before the first frame.
        labels: in the spec's order.
        bin_width: in seconds.
        start, end: seconds from the beginning of the video.
        face_count: number of faces so far.
        has_uncertain: whether a face was shown as "uncertain".
    """

    def __init__(self) -> None:
        self.source = ""
        self.labels: tuple[str, ...] = ()
        self.bin_width = MIN_BIN_WIDTH
        self.start = self.end = 0.0
        self.face_count = 0
        self.has_uncertain = False
        self._faces: dict[int, BinnedFaces] = {}
        self._others: BinnedFaces | None = None
        self._highest_number = 0
        self._last: _LastFrame | None = None
        self._frame_seconds = _SINGLE_FRAME

    def add(self, result: Result) -> None:
        """Add the next frame of the video.

        A face is identified by its track's number, which only rises; without a track by its place.

        Raises:
            ConfigError: the result is of an image, which has no time, or of another video.
        """
        if result.time is None:
            raise ConfigError(f"{result.source}: an image has no time to plot: give a video")
        if self._last is None:
            self.source, self.start, self.end = result.source, result.time, result.time
        elif self.source != result.source:
            raise ConfigError(
                f"{result.source}: this timeline is of {self.source}: use another for each video"
            )
        else:
            self._frame_seconds = max(result.time - self._last.time, 0.0)
            self._commit(self._last, self._frame_seconds)
        rows = ((f.track.number if f.track else i, f) for i, f in enumerate(result.faces, 1))
        self._last = _LastFrame(result.time, tuple((number, self._row(f)) for number, f in rows))

    def data(self) -> ChartData:
        """What the chart shows: the six faces seen longest, by their numbers, then the others."""
        if self._last is not None and not self._last.counted:
            seconds = self._frame_seconds or _SINGLE_FRAME
            self._commit(self._last, seconds)
            self._last = replace(self._last, counted=seconds)
        faces = sorted(self._faces.items(), key=lambda one: (-one[1].seconds, one[0]))
        rows = sorted(faces[:CHART_ROWS], key=lambda one: one[0])
        others = BinnedFaces(len(self.labels), 0)
        for _, one in faces[CHART_ROWS:]:
            others.add(one)
        if self._others:
            others.add(self._others)
        return ChartData(
            self.source,
            self.labels,
            self.start,
            self.end,
            self.bin_width,
            self.face_count,
            self.has_uncertain,
            (*rows, (0, others)) if others.count else tuple(rows),
        )

    def plot(self, *, font: Path | None = None) -> Image.Image:
        """The chart, RGB, 1600 px wide and at most 900 px high; see `draw_chart`.

        Raises:
            ConfigError: no font has a label's characters.
        """
        return draw_chart(self.data(), font=font)

    def save(self, path: Path, *, font: Path | None = None) -> Path:
        """Write `plot()` to `path`, whole or not at all; returns the path.

        Raises:
            ConfigError: see `plot`.
            ValueError: Pillow doesn't know the suffix.
            OSError: the file cannot be written.
        """
        image = self.plot(font=font)
        with whole_file(path) as temporary:
            image.save(temporary)
        return path

    def _row(self, face: Face) -> Floats:
        """What one second of a face adds to its bins; see `BinnedFaces.sums`."""
        shown = face.track or face
        self.labels = self.labels or tuple(face.probabilities)
        count = len(self.labels)
        row = np.zeros(2 * count + 2)
        row[0] = 1
        row[1 : count + 1] = list(shown.probabilities.values())
        is_certain = shown.emotion in self.labels
        self.has_uncertain |= not is_certain
        row[count + 1 + (self.labels.index(shown.emotion) if is_certain else count)] = 1
        return row

    def _commit(self, frame: _LastFrame, seconds: float) -> None:
        """Add a frame's faces to the bins of the `seconds` for which it lasts."""
        self.end = max(self.end, frame.time + seconds)
        while self.end - self.start > BINS * self.bin_width:
            self.bin_width *= 2
            for faces in (*self._faces.values(), *([self._others] if self._others else [])):
                faces.halve()
        if seconds <= frame.counted:
            return
        begin = frame.time + frame.counted - self.start
        bins, in_bin = self._overlap_bins(begin, seconds - frame.counted)
        present = {number for number, _ in frame.rows}
        for number, row in sorted(frame.rows, key=lambda one: one[0]):
            self._bins_of(number, present).sums[bins] += in_bin[:, None] * row

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
                return self._add_others(is_new)
            shortest = min(absent, key=lambda one: (self._faces[one].seconds, one))
            self._add_others(0).add(self._faces.pop(shortest))
        # a face that was among the others before is counted there already
        self._faces[number] = BinnedFaces(len(self.labels), int(is_new))
        return self._faces[number]

    def _add_others(self, count: int) -> BinnedFaces:
        self._others = self._others or BinnedFaces(len(self.labels), 0)
        self._others.count += count
        return self._others
