"""What a timeline's chart draws: when faces were seen, and with which expressions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BINS = 1440
"""Bins of time: a day has 1,440 minutes."""
MIN_BIN_WIDTH = 60 / 4096
"""Seconds of a bin at first; doubled whenever the video outgrows the bins."""

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class BinnedFaces:
    """When one face, or several together, were seen, and with which expressions.

    Attributes:
        labels, count: number of labels and of faces.
        sums: `[BINS, 2 labels + 2]`: seconds seen; for each label, its smoothed probability times
            seconds; for each label, and last for "uncertain", the seconds for which it was shown.
    """

    def __init__(self, labels: int, count: int = 1) -> None:
        self.labels, self.count = labels, count
        self.sums: Floats = np.zeros((BINS, 2 * labels + 2))

    @property
    def seconds(self) -> float:
        """Seconds seen in all; of several faces, the sum of theirs."""
        return float(self.sums[:, 0].sum())

    def add(self, other: BinnedFaces) -> None:
        """Add other faces."""
        self.sums += other.sums
        self.count += other.count

    def halve(self) -> None:
        """Merge each two bins into one, as the bins become twice as wide."""
        self.sums[: BINS // 2] = self.sums[0::2] + self.sums[1::2]
        self.sums[BINS // 2 :] = 0


@dataclass
class ChartData:
    """What a chart shows of one video.

    Attributes:
        source: see `Result`; empty: no frame was read.
        labels: in the spec's order.
        start, end: seconds from the beginning of the video.
        bin_width: in seconds.
        face_count: number of faces in the video.
        has_uncertain: whether a face was shown as "uncertain".
        rows: faces by their numbers, from the top; 0: other faces together.
    """

    source: str = ""
    labels: tuple[str, ...] = ()
    start: float = 0.0
    end: float = 0.0
    bin_width: float = MIN_BIN_WIDTH
    face_count: int = 0
    has_uncertain: bool = False
    rows: tuple[tuple[int, BinnedFaces], ...] = ()

    def columns(self, faces: BinnedFaces, count: int) -> tuple[Mask, Floats, Indices]:
        """The bins of a row's faces, resampled to `count` columns.

        Returns:
            Whether the face was seen, `[count]`; the mean of its smoothed probabilities, `[count,
            labels]`; and the index of the label that was shown longest, `[count]`, which is the
            number of labels for "uncertain".
        """
        bins = np.arange(BINS + 1) * self.bin_width
        edges = np.linspace(0, self.end - self.start, count + 1)
        totals = np.vstack([np.zeros(faces.sums.shape[1]), faces.sums.cumsum(0)])
        sums = np.diff(np.stack([np.interp(edges, bins, one) for one in totals.T], 1), axis=0)
        is_seen = sums[:, 0] > 1e-6 * edges[1]
        means = sums[:, 1 : faces.labels + 1] / np.where(is_seen, sums[:, 0], 1)[:, None]
        return is_seen, means, sums[:, faces.labels + 1 :].argmax(1)
