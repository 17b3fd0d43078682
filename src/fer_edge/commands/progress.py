"""A progress bar on standard error while many images or a long video are read."""

from __future__ import annotations

import sys
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs.listing import expand_source
from fer_edge.runtime.inputs.video import video_duration
from fer_edge.runtime.inputs.video_source import camera_device, is_address, is_video
from fer_edge.runtime.results import Result
from fer_edge.text import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class ProgressBar:
    """Counts images; a video has a line of its own that counts its seconds."""

    def __init__(
        self, progress: Progress | None, sources: Sequence[str], skip: Container[str]
    ) -> None:
        self._progress = progress
        self._video: str | None = None
        self._line: TaskID | None = None
        if progress is None:
            return
        images = None if "-" in sources else sum(_count(one, skip) for one in sources)
        self._images = progress.add_task("", total=images, unit="images")
        progress.tasks[0].visible = images != 0

    def fail(self) -> None:
        """Count an image that could not be read."""
        if self._progress is not None:
            self._progress.advance(self._images)

    def add(self, result: Result) -> None:
        """Count a result."""
        if self._progress is None:
            return
        if result.time is None:
            self._progress.advance(self._images)
            return
        if result.source != self._video:
            if self._line is not None:
                self._progress.remove_task(self._line)
            self._video = result.source
            # only a file is opened twice: a camera serves one reader
            seconds = None
            if not is_address(result.source) and camera_device(result.source) is None:
                with suppress(SourceError):  # whoever reads the video reports it
                    seconds = video_duration(result.source)
            name = printable(Path(result.source).name)
            self._line = self._progress.add_task(name, total=seconds, unit="seconds of video")
        assert self._line is not None
        self._progress.update(self._line, completed=result.time)


def _count(source: str, skip: Container[str]) -> int:
    if is_video(source):
        return 0
    found = (str(one) for one in expand_source(source) if isinstance(one, Path))
    return sum(not is_video(one) and one not in skip for one in found)


@contextmanager
def progress_bar(
    sources: Sequence[str], skip: Container[str], *, to_terminal: bool
) -> Iterator[ProgressBar]:
    """Show a bar on a terminal, unless results are printed to the same one (`to_terminal`)."""
    if to_terminal and sys.stdout.isatty():
        yield ProgressBar(None, sources, skip)
        return
    with rate_bar() as progress:
        yield ProgressBar(progress, sources, skip)


@contextmanager
def rate_bar() -> Iterator[Progress | None]:
    """A bar of rich with a rate, for tasks with the field `unit`; None without a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Any) -> Text:
            done = f"{task.completed:,.0f}"
            total = "" if task.total is None else f" of {task.total:,.0f}"
            rate = "" if task.speed is None or task.elapsed < 1 else f", {task.speed:.1f}/s"
            return Text(f"{done}{total} {task.fields['unit']}{rate}")

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        Rate(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, redirect_stdout=False, refresh_per_second=4
    ) as progress:
        yield progress
