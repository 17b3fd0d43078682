"""What `fer infer` draws: annotated pictures and videos, timelines, a window."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from fer_edge.commands.plots import Plots
from fer_edge.errors import ConfigError
from fer_edge.runtime.drawing import fonts
from fer_edge.runtime.drawing.window import Window
from fer_edge.runtime.drawing.writer import ResultWriter
from fer_edge.runtime.results import Result
from fer_edge.spec import ModelSpec


class Pictures(AbstractContextManager["Pictures"]):
    """All that is drawn of each result; finished when the block is left.

    Args:
        spec: of the model that answers.
        save: folder for annotated pictures and videos; None: none.
        plot: picture of each video's expressions over time; None: none.
        show: open a window.

    Raises:
        ConfigError: a path isn't of the right kind, or no font has the labels' letters.
        DeviceError: when the block is entered: there is no display.
        OSError: the folder can't be made.
    """

    def __init__(
        self, spec: ModelSpec, save: Path | None, plot: Path | None, *, show: bool
    ) -> None:
        if save and save.exists() and not save.is_dir():
            raise ConfigError(f"--save {save}: a file, not a folder")
        if save:
            save.mkdir(
                parents=True, exist_ok=True
            )  # a place that can't be written to, said at once
        fonts.check_labels(spec.labels)
        self._saved, self._plots = ResultWriter(save), Plots(plot)
        self._window = Window() if show else None
        self._stack = ExitStack()

    def __enter__(self) -> Pictures:
        """Open the window, where one was asked for."""
        for part in (self._window, self._saved, self._plots):
            if part is not None:
                self._stack.enter_context(part)
        return self

    def add(self, result: Result) -> bool:
        """Draw one result; False once the user has closed the window."""
        if path := self._saved.add(result):
            print(f"saved {path}", file=sys.stderr)
        self._plots.add(result)
        if self._window is None:
            return True
        still = result.frame is None
        return self._window.show(result.plot(), hold=still, title=result.source)

    @property
    def unplotted(self) -> bool:
        """Whether a plot was asked for and there was nothing to plot."""
        return self._plots.missed

    def __exit__(self, *_: object) -> None:
        """Finish what is open: what was read so far is kept."""
        self._stack.close()
