"""The time of each frame of a video, whatever its time stamps are."""

from __future__ import annotations

_LONGEST_GAP = 86_400.0
"""Seconds between two frames: a longer gap is that of a broken clock."""
_MIN_RATE, _MAX_RATE = 0.01, 1000.0
"""Frames per second that are believed."""


class FrameClock:
    """Turns time stamps into seconds since the first frame that never decrease.

    A frame without a time stamp follows at the mean rate. So does one whose stamp is before the
    last frame's, or more than a day after it: joined recordings start again. Later stamps count
    from there.

    Args:
        rate: mean rate in frames per second.

    Attributes:
        time: of the last frame, in seconds; 0 before the first.
        interval: mean seconds between two frames.
    """

    def __init__(self, rate: float) -> None:
        self.interval = 1 / min(max(rate, _MIN_RATE), _MAX_RATE)
        self.time = 0.0
        self._has_frame = False
        self._offset: float | None = None

    def __call__(self, stamp: float | None) -> float:
        """The time of the next frame.

        Args:
            stamp: its presentation time in seconds, from any origin; None: unknown.
        """
        expected = self.time + self.interval if self._has_frame else 0.0
        self._has_frame = True
        if stamp is None:
            self.time = expected
        elif self._offset is not None and 0 <= stamp - self._offset - self.time <= _LONGEST_GAP:
            self.time = stamp - self._offset
        else:
            self.time, self._offset = expected, stamp - expected
        return self.time
