"""`fer infer --plot`: a timeline of each video."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from pathlib import Path

from fer_edge.runtime.drawing.timeline import Timeline, check_plot_path
from fer_edge.runtime.drawing.writer import unused_path
from fer_edge.runtime.results import Result


class Plots(AbstractContextManager["Plots"]):
    """Draws a video's timeline when its last frame has come, or when the block is left.

    Args:
        path: of the first video's; those of further ones are numbered. None: nothing is drawn.

    Raises:
        ConfigError: the path isn't a picture's.
    """

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            check_plot_path(path)
            path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._written: list[Path] = []
        self._timeline: Timeline | None = None
        self._time = 0.0

    def add(self, result: Result) -> None:
        """Take in one result; pictures have no time."""
        if self._path is None or result.time is None:
            return
        if (
            self._timeline is None
            or result.source != self._timeline.source
            or result.time < self._time
        ):
            self._end()
            self._timeline = Timeline()
        self._time = result.time
        self._timeline.add(result)

    def _end(self) -> None:
        if self._path is None or self._timeline is None:
            return
        path = unused_path(self._path)[0] if self._written else self._path
        self._timeline.save(path)
        self._timeline = None
        self._written.append(path)
        print(f"plotted {path}", file=sys.stderr)

    @property
    def missed(self) -> bool:
        """Whether a plot was asked for and there was nothing to plot."""
        return self._path is not None and not self._written

    def __exit__(self, *_: object) -> None:
        """Draw what was seen of the video that is open."""
        self._end()
