"""Expressions over a video's time, gathered in little memory and drawn as one picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from fer_edge.atomic import whole_file
from fer_edge.errors import ConfigError

if TYPE_CHECKING:
    from fer_edge.runtime.results import Face, Result

BINS = 1440
"""Stretches of time that are kept: a day is 1,440 minutes."""
FINEST = 60 / 4096
"""Seconds of a stretch at first; doubled whenever the last one is passed."""
KEPT = 24
"""Faces that are kept apart; those seen shortest are summed under "others"."""
SHOWN = 6
_ALONE = 0.04
"""Seconds that a video's only frame lasts."""

Floats = npt.NDArray[np.float64]


def check_plot_path(path: Path) -> None:
    """See that a plot can be written to `path`; to be called before work begins.

    Raises:
        ConfigError: it is a folder, or Pillow writes no picture of this suffix.
    """
    kind = Image.registered_extensions().get(path.suffix.lower())
    if path.is_dir() or kind not in Image.SAVE:
        raise ConfigError(f"{path}: not a picture's name that can be written: end it in .png")


class Seen:
    """When faces were seen, and with what expression.

    Attributes:
        sums: `[BINS, 2 labels + 2]`: seconds seen; then, a label each, the smoothed probability
            times seconds; then the seconds that each label, and last "uncertain", was shown.
        count: how many faces are in it.
    """

    def __init__(self, labels: int, count: int = 1) -> None:
        self.labels, self.count = labels, count
        self.sums: Floats = np.zeros((BINS, 2 * labels + 2))

    @property
    def seconds(self) -> float:
        """Seen in all; of several faces, the sum of theirs."""
        return float(self.sums[:, 0].sum())

    def add(self, other: Seen) -> None:
        """Take in another's."""
        self.sums += other.sums
        self.count += other.count

    def halve(self) -> None:
        """Put two stretches each into one."""
        self.sums[: BINS // 2] = self.sums[0::2] + self.sums[1::2]
        self.sums[BINS // 2 :] = 0


@dataclass(frozen=True)
class _Moment:
    """A frame that still lasts: its time, and its faces' numbers and rows of sums."""

    time: float
    rows: tuple[tuple[int, Floats], ...]
    counted: float = 0.0
    """Seconds of it that were assumed for a plot and are in the sums."""


class Timeline:
    """Gathers the results of one video; `plot` draws them at any time.

    A frame lasts until the next one, the last as long as the one before. Memory doesn't grow: there
    are at most 1,440 stretches of time, which double when a video is longer (a minute each for a
    day's), and 25 rows of them.
    """

    def __init__(self) -> None:
        self.source = ""
        self.labels: tuple[str, ...] = ()
        self.width = FINEST
        """Seconds of a stretch."""
        self.start = self.end = 0.0
        """Seconds of the video, from the first frame to the end of the last."""
        self.count = 0
        """Faces seen."""
        self.uncertain = False
        """Whether a face was shown as "uncertain"."""
        self._faces: dict[int, Seen] = {}
        self._others: Seen | None = None
        self._highest = 0
        self._last: _Moment | None = None
        self._lasted = _ALONE

    def add(self, result: Result) -> None:
        """Take in the next frame of the video.

        Faces are told apart by their tracks' numbers, which rise; one without a track by its place.

        Raises:
            ConfigError: a picture, which has no time, or another video's frame.
        """
        if result.time is None:
            raise ConfigError(f"{result.source}: a picture has no time to plot: only a video does")
        if self._last is None:
            self.source, self.start, self.end = result.source, result.time, result.time
        elif self.source != result.source:
            raise ConfigError(f"{result.source}: a plot shows one video, and {self.source} is it")
        else:
            self._lasted = max(result.time - self._last.time, 0.0)
            self._commit(self._last, self._lasted)
        rows = ((f.track.number if f.track else i, f) for i, f in enumerate(result.faces, 1))
        self._last = _Moment(result.time, tuple((number, self._row(f)) for number, f in rows))

    def rows(self) -> list[tuple[int, Seen]]:
        """The faces seen longest, at most six, by their numbers; under 0 the others, if any."""
        if self._last is not None and not self._last.counted:
            lasted = self._lasted or _ALONE
            self._commit(self._last, lasted)
            self._last = replace(self._last, counted=lasted)
        faces = sorted(self._faces.items(), key=lambda one: (-one[1].seconds, one[0]))
        shown = sorted(faces[:SHOWN], key=lambda one: one[0])
        others = Seen(len(self.labels), 0)
        for seen in [one for _, one in faces[SHOWN:]] + ([self._others] if self._others else []):
            others.add(seen)
        return [*shown, (0, others)] if others.count else shown

    def plot(self, *, font: Path | None = None) -> Image.Image:
        """The picture, RGB, 1600 px wide, at most 900 high; see `timeline_chart.chart`.

        Raises:
            ConfigError: no font has a label's characters.
        """
        from fer_edge.runtime.drawing.timeline_chart import chart  # which reads a Timeline

        return chart(self, font=font)

    @property
    def empty(self) -> bool:
        """Whether no frame came yet."""
        return self._last is None

    def save(self, path: Path, *, font: Path | None = None) -> Path:
        """Write `plot()` to `path`, whole or not at all; returns the path.

        Raises:
            ConfigError: see `plot`.
            ValueError: Pillow knows no such suffix.
            OSError: the place can't be written to.
        """
        picture = self.plot(font=font)
        with whole_file(path) as beside:
            picture.save(beside)
        return path

    def _row(self, face: Face) -> Floats:
        """What a second of the face adds."""
        shown = face.track or face
        self.labels = self.labels or tuple(face.probabilities)
        count = len(self.labels)
        row = np.zeros(2 * count + 2)
        row[0] = 1
        row[1 : count + 1] = list(shown.probabilities.values())
        known = shown.emotion in self.labels
        self.uncertain |= not known
        row[count + 1 + (self.labels.index(shown.emotion) if known else count)] = 1
        return row

    def _commit(self, moment: _Moment, lasted: float) -> None:
        """Put a frame's faces into the stretches that it lasts over."""
        self.end = max(self.end, moment.time + lasted)
        while self.end - self.start > BINS * self.width:
            self.width *= 2
            for seen in (*self._faces.values(), *([self._others] if self._others else [])):
                seen.halve()
        if lasted <= moment.counted:
            return
        begin = moment.time + moment.counted - self.start
        here, shares = self._stretches(begin, lasted - moment.counted)
        present = {number for number, _ in moment.rows}
        for number, row in sorted(moment.rows, key=lambda one: one[0]):
            self._of(number, present).sums[here] += shares[:, None] * row

    def _stretches(self, first: float, lasted: float) -> tuple[slice, Floats]:
        """The stretches that a time reaches over, and its seconds in each."""
        begin = min(max(int(first / self.width), 0), BINS - 1)
        end = min(max(int(np.ceil((first + lasted) / self.width)), begin + 1), BINS)
        edges = np.clip(np.arange(begin, end + 1) * self.width, first, first + lasted)
        return slice(begin, end), np.diff(edges)

    def _of(self, number: int, present: set[int]) -> Seen:
        """The face's own sums, or the others' where there is no room for it."""
        new = number > self._highest
        self._highest = max(self._highest, number)
        self.count += new
        if number in self._faces:
            return self._faces[number]
        if len(self._faces) >= KEPT:
            gone = [one for one in self._faces if one not in present]
            if not gone:
                return self._rest(new)
            shortest = min(gone, key=lambda one: (self._faces[one].seconds, one))
            self._rest(0).add(self._faces.pop(shortest))
        # a face that was among the others already was counted there
        self._faces[number] = Seen(len(self.labels), int(new))
        return self._faces[number]

    def _rest(self, more: int) -> Seen:
        self._others = self._others or Seen(len(self.labels), 0)
        self._others.count += more
        return self._others
