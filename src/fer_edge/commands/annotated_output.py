"""What `fer infer` draws: annotated images and videos, timelines, a window."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from fer_edge.atomic import check_writable
from fer_edge.commands.console import note
from fer_edge.commands.interrupts import finish_first
from fer_edge.errors import ConfigError
from fer_edge.runtime.drawing import fonts
from fer_edge.runtime.drawing.timeline import Timeline, check_plot_path
from fer_edge.runtime.drawing.window import Window
from fer_edge.runtime.drawing.writer import ResultWriter, unused_path
from fer_edge.runtime.results import Result
from fer_edge.spec import ModelSpec


class TimelineWriter(AbstractContextManager["TimelineWriter"]):
    """Draws each video's timeline after its last frame, or when the block is left.

    Args:
        path: of the first video's timeline; those of further videos are numbered. None: none.

    Raises:
        ConfigError: the path isn't that of an image file.
        OSError: its folder can't be written to.
    """

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            check_plot_path(path)
            check_writable(path.parent)
        self._path = path
        self._written: list[Path] = []
        self._timeline: Timeline | None = None
        self._time = 0.0

    def add(self, result: Result) -> None:
        """Add one result; images have no time and are ignored."""
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
        note(f"plotted {path}")

    @property
    def is_missing(self) -> bool:
        """Whether a timeline was requested and no frame of a video was read."""
        return self._path is not None and not self._written

    def __exit__(self, *_: object) -> None:
        """Draw the timeline of the video that is open."""
        self._end()


class AnnotatedOutput(AbstractContextManager["AnnotatedOutput"]):
    """Draws every result; files are finished when the block is left.

    Args:
        spec: of the model.
        save: folder for annotated images and videos; None: none.
        plot: image file for the timeline of each video; None: none.
        show: open a window.

    Raises:
        ConfigError: a path isn't of the right kind, or no font has the labels' characters.
        DeviceError: when the block is entered: there is no display.
        OSError: a folder cannot be written to.
    """

    def __init__(
        self, spec: ModelSpec, save: Path | None, plot: Path | None, *, show: bool
    ) -> None:
        if save and save.exists() and not save.is_dir():
            raise ConfigError(f"--save {save}: a file, not a folder")
        if save:
            # now: a folder that cannot be written to is reported before anything is read
            save.mkdir(parents=True, exist_ok=True)
            check_writable(save)
        fonts.check_labels(spec.labels)
        self._saved, self._timelines = ResultWriter(save), TimelineWriter(plot)
        self._window = Window() if show else None
        self._stack = ExitStack()

    def __enter__(self) -> AnnotatedOutput:
        """Open the window, where one was requested."""
        for part in (self._window, self._saved, self._timelines):
            if part is not None:
                self._stack.enter_context(part)
        return self

    def add(self, result: Result) -> bool:
        """Draw one result; False once the user has closed the window."""
        with finish_first():
            path = self._saved.add(result)
            self._timelines.add(result)
        if path:
            note(f"{'saved' if result.frame is None else 'writing'} {path}")
        if self._window is None:
            return True
        still = result.frame is None
        return self._window.show(result.plot(), hold=still, title=result.source)

    @property
    def is_plot_missing(self) -> bool:
        """Whether a timeline was requested and no frame of a video was read."""
        return self._timelines.is_missing

    def __exit__(self, *_: object) -> None:
        """Finish the open files; what was read so far is kept."""
        with finish_first():
            self._stack.close()
