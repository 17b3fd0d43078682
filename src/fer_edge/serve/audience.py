"""The viewers of the live stream: each has a place for the newest frame, and holds nobody up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fer_edge.serve.metrics import Metrics
from fer_edge.serve.problems import busy


@dataclass(frozen=True)
class LiveFrame:
    """A frame as viewers get it: its result, as the line of JSON, and JPEG where one wants it."""

    document: str
    jpeg: bytes | None


class Viewer:
    """One viewer's place for the newest frame; used by the event loop's thread."""

    def __init__(self, *, wants_image: bool) -> None:
        self.wants_image = wants_image
        self._frame: LiveFrame | None = None
        self._changed = asyncio.Event()

    def put(self, frame: LiveFrame) -> bool:
        """Leave a frame; False: the viewer has not taken the one before, which is dropped."""
        is_free = self._frame is None
        self._frame = frame
        self._changed.set()
        return is_free

    def wake(self) -> None:
        """End the viewer's waiting."""
        self._changed.set()

    async def next(self, timeout: float) -> LiveFrame | None:
        """The newest frame; None: none came in `timeout` seconds, or `wake` was called."""
        try:
            async with asyncio.timeout(timeout):
                await self._changed.wait()
        except TimeoutError:
            return None
        self._changed.clear()
        frame, self._frame = self._frame, None
        return frame


class Audience:
    """All viewers. `show` and `wake` may be called from another thread than the event loop's.

    Args:
        max_viewers: viewers at once.
        metrics: counts viewers and the frames that they were too slow for.

    Attributes:
        dropped: number of these frames.
        wants_images: number of viewers that want frames, not only results.
    """

    def __init__(self, max_viewers: int, metrics: Metrics) -> None:
        self._max_viewers, self._metrics = max_viewers, metrics
        self.dropped = 0
        self.wants_images = 0
        self._viewers: set[Viewer] = set()
        self._lock = threading.Lock()
        self._newest: LiveFrame | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def count(self) -> int:
        """Number of viewers."""
        return len(self._viewers)

    def open(self) -> None:
        """Use the running event loop."""
        self._loop = asyncio.get_running_loop()

    @contextmanager
    def view(self, *, wants_image: bool) -> Iterator[Viewer]:
        """A viewer while the block runs.

        Raises:
            Problem: 503: there are too many.
        """
        if self.count >= self._max_viewers:
            raise busy(f"{self._max_viewers} viewers are connected (--max-viewers)", seconds=10)
        viewer = Viewer(wants_image=wants_image)
        self._viewers.add(viewer)
        self.wants_images += wants_image
        self._metrics.viewers.set(self.count)
        try:
            yield viewer
        finally:
            self._viewers.discard(viewer)
            self.wants_images -= wants_image
            self._metrics.viewers.set(self.count)

    def show(self, frame: LiveFrame) -> None:
        """Give every viewer a frame."""
        with self._lock:
            is_behind, self._newest = self._newest is not None, frame
        if is_behind:  # the event loop has not handed out the last one
            self._count_dropped()
        else:
            self._call(self._hand_out)

    def wake(self) -> None:
        """End the waiting of every viewer."""
        self._call(self._wake_all)

    def _hand_out(self) -> None:
        with self._lock:
            frame, self._newest = self._newest, None
        assert frame is not None
        for viewer in self._viewers:
            if not viewer.put(frame):
                self._count_dropped()

    def _wake_all(self) -> None:
        for viewer in self._viewers:
            viewer.wake()

    def _count_dropped(self) -> None:
        self.dropped += 1
        self._metrics.dropped.inc()

    def _call(self, function: Callable[[], None]) -> None:
        """Call a function in the event loop's thread, unless the loop has ended."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:
            if not self._loop.is_closed():
                raise
