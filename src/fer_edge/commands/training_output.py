"""The log and the progress bar of a training run, on standard error."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from fer_edge.commands.console import note
from fer_edge.text import printable
from fer_edge.train.progress import ProgressCallback, ignore_progress

if TYPE_CHECKING:
    from rich.progress import Progress


class _Handler(logging.Handler):
    """Passes each message to a function."""

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self.write = write

    def emit(self, record: logging.LogRecord) -> None:
        self.write(printable(self.format(record)))


@contextmanager
def show_training(first: str = "reading faces") -> Iterator[ProgressCallback]:
    """Show the library's log inside a `with` block, and progress where a person watches.

    Args:
        first: the stage shown until another one is reported.

    Yields:
        The callback that a training or a calibration reports its progress to.
    """
    if not sys.stderr.isatty():
        with _log_to(note):
            yield ignore_progress
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with (
        Progress(*columns, console=console, transient=True, redirect_stdout=False) as progress,
        _log_to(partial(console.print, markup=False, emoji=False, highlight=False, soft_wrap=True)),
    ):
        yield _make_callback(progress, first)


def _make_callback(progress: Progress, first: str) -> ProgressCallback:
    task = progress.add_task(first, total=None)
    current = ""

    def report(stage: str, done: int, total: int) -> None:
        nonlocal current
        if stage != current:  # a new stage has a new estimate of the remaining time
            progress.reset(task, description=stage)
            current = stage
        progress.update(task, completed=done, total=total)

    return report


@contextmanager
def _log_to(write: Callable[[str], None]) -> Iterator[None]:
    logger = logging.getLogger("fer_edge")
    handler, level = _Handler(write), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
