"""One camera or video for all viewers: one thread captures, recognizes and encodes."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Literal, TypeAlias

from PIL import Image

from fer_edge.errors import FerEdgeError, SourceError, requires_extra
from fer_edge.runtime.inputs import picamera
from fer_edge.runtime.inputs.limits import MAX_PIXELS
from fer_edge.runtime.inputs.video import Cut, read_frames
from fer_edge.runtime.inputs.video_source import (
    camera_device,
    camera_number,
    is_address,
    is_live,
    is_video,
    mask_credentials,
    name_fault,
)
from fer_edge.runtime.recognizer import Recognizer
from fer_edge.runtime.results import Result, encode_image
from fer_edge.runtime.tracking import Tracker
from fer_edge.serve.metrics import Metrics
from fer_edge.serve.problems import busy
from fer_edge.text import format_json

logger = logging.getLogger(__name__)

CameraState: TypeAlias = Literal["none", "opening", "open", "lost"]
MAX_SIDE = 960
"""Longer side, in pixels, of the frames that viewers get."""
RETRY_AFTER = 2.0
"""Seconds after which a lost camera is opened again."""
_RATE_FRAMES = 30
"""Frames over which the rate is measured."""
_JOIN_TIMEOUT = 1.0
"""Seconds for the thread to end; it may wait for a camera that sends nothing."""


@dataclass(frozen=True)
class Camera:
    """The state of the source.

    Attributes:
        state: "none": there is no source; "opening": no frame has come yet; "open": frames come;
            "lost": it cannot be read, and is tried again.
        source: its name, without a password.
        message: of a lost source: what is wrong.
    """

    state: CameraState
    source: str = ""
    message: str = ""


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
        """End the viewer's waiting: the camera's state has changed, or the server stops."""
        self._changed.set()

    async def next(self, timeout: float) -> LiveFrame | None:
        """The newest frame; None: none came in time, or `wake` was called."""
        try:
            async with asyncio.timeout(timeout):
                await self._changed.wait()
        except TimeoutError:
            return None
        self._changed.clear()
        frame, self._frame = self._frame, None
        return frame


class Live:
    """Reads a source for as long as the server runs, and recognizes while anyone looks.

    Args:
        recognizer: finds the faces.
        source: a video, a stream's address or a camera; None: there is none.
        cut: which frames to read.
        tracker: follows the faces.
        max_viewers: viewers at once.
        max_pixels: see `Recognizer.load`.
        metrics: counts frames and faces.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        source: str | None,
        *,
        cut: Cut,
        tracker: Tracker,
        max_viewers: int,
        max_pixels: int | None,
        metrics: Metrics,
    ) -> None:
        self._recognizer, self._source, self._cut = recognizer, source, cut
        self._tracker, self._max_viewers = tracker, max_viewers
        self._max_pixels, self._metrics = max_pixels or MAX_PIXELS, metrics
        self._name = "" if source is None else mask_credentials(source)
        self.camera = Camera("none" if source is None else "opening", self._name)
        self.dropped = 0
        self._viewers: set[Viewer] = set()
        self._watching = 0
        self._times: deque[float] = deque(maxlen=_RATE_FRAMES)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._newest: LiveFrame | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_stopping(self) -> bool:
        """Whether the server ends, so that viewers must leave."""
        return self._stopping.is_set()

    @property
    def viewers(self) -> int:
        """Number of viewers."""
        return len(self._viewers)

    @property
    def frames_per_second(self) -> float:
        """Rate of the last frames that were recognized; 0 where nobody looks."""
        times = list(self._times)
        if len(times) < 2 or monotonic() - times[-1] > RETRY_AFTER:
            return 0.0
        return (len(times) - 1) / max(times[-1] - times[0], 1e-6)

    def start(self) -> None:
        """Start the thread; called by the event loop's thread."""
        self._loop = asyncio.get_running_loop()
        if self._source is not None:
            self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Send every viewer away; the thread ends by itself."""
        self._stopping.set()
        self._wake_all()

    def close(self) -> None:
        """Stop, and wait for the thread."""
        self.stop()
        if self._thread is not None:
            self._thread.join(_JOIN_TIMEOUT)

    @contextmanager
    def view(self, *, wants_image: bool) -> Iterator[Viewer]:
        """A viewer while the block runs.

        Raises:
            Problem: 503: there are too many.
        """
        if len(self._viewers) >= self._max_viewers:
            raise busy(f"{self._max_viewers} viewers are connected (--max-viewers)", seconds=10)
        viewer = Viewer(wants_image=wants_image)
        self._viewers.add(viewer)
        self._watching += wants_image
        self._metrics.viewers.set(len(self._viewers))
        try:
            yield viewer
        finally:
            self._viewers.discard(viewer)
            self._watching -= wants_image
            self._metrics.viewers.set(len(self._viewers))

    def _run(self) -> None:
        assert self._source is not None
        while not self.is_stopping:
            try:
                self._play(self._source)
                continue  # a file begins again
            except FerEdgeError as error:
                message = str(error)
            except Exception:  # the thread must outlive it: a bug in one frame isn't in the next
                logger.exception("the live stream has failed")
                message = "an unexpected error: the server's log has the reason"
            if self.is_stopping:
                return
            self._set_camera(Camera("lost", self._name, message))
            self._stopping.wait(RETRY_AFTER)

    def _play(self, source: str) -> None:
        """Read the source to its end, a file at its own speed."""
        is_paced, begun = not is_live(source), 0.0
        for frame in read_frames(source, self._cut, self._max_pixels):
            if is_paced:
                begun = begun or monotonic() - frame.time
                early = begun + frame.time - monotonic()
                if early < 0:  # it is read more slowly than it plays: no frame is left out
                    begun -= early
                elif self._stopping.wait(early):
                    return
            if self.is_stopping:
                return
            if self.camera.state != "open":
                self._set_camera(Camera("open", self._name))
            if self._viewers:
                result = self._recognizer(frame.image)
                faces = self._tracker(result.faces, frame.time)
                self._publish(
                    replace(
                        result, source=self._name, frame=frame.index, time=frame.time, faces=faces
                    ),
                    frame.image,
                )

    def _publish(self, result: Result, image: Image.Image) -> None:
        self._metrics.frames.inc()
        self._metrics.faces.labels("stream").inc(len(result.faces))
        self._times.append(monotonic())
        jpeg = encode_frame(image) if self._watching else None
        frame = LiveFrame(format_json(result.to_dict()), jpeg)
        with self._lock:
            is_behind, self._newest = self._newest is not None, frame
        if is_behind:  # the event loop has not handed out the last one
            self._count_dropped()
        else:
            self._call(self._hand_out)

    def _hand_out(self) -> None:
        with self._lock:
            frame, self._newest = self._newest, None
        assert frame is not None
        for viewer in self._viewers:
            if not viewer.put(frame):
                self._count_dropped()

    def _count_dropped(self) -> None:
        self.dropped += 1
        self._metrics.dropped.inc()

    def _set_camera(self, camera: Camera) -> None:
        if camera == self.camera:
            return
        self.camera = camera
        self._metrics.camera.set(camera.state == "open")
        if camera.state == "lost":
            logger.warning("%s", camera.message)
        else:
            logger.info("%s: frames arrive", camera.source)
        self._call(self._wake_all)

    def _wake_all(self) -> None:
        for viewer in self._viewers:
            viewer.wake()

    def _call(self, function: object) -> None:
        """Call a function in the event loop's thread, unless the loop has ended."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(function)  # type: ignore[arg-type]
        except RuntimeError:
            if not self._loop.is_closed():
                raise


def check_source(source: str) -> None:
    """Refuse a source that cannot become readable, before the server starts.

    Raises:
        SourceError: it isn't a video, an address or a camera.
        MissingExtraError: PyAV isn't installed, which it needs.
    """
    if fault := name_fault(source):
        raise SourceError(fault)
    number = camera_number(source)
    if not is_address(source) and camera_device(source) is None:
        if not Path(source).is_file():
            raise SourceError(f"{source}: there is no such video or camera")
        if not is_video(source):
            raise SourceError(f"{source}: not a video: send images to POST /v1/predict instead")
    if number is None or not picamera.has_module(number):
        with requires_extra("video"):
            import av  # noqa: F401


def encode_frame(image: Image.Image) -> bytes:
    """A frame as JPEG, its longer side reduced to `MAX_SIDE`."""
    if max(image.size) > MAX_SIDE:
        image = image.copy()
        image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.BILINEAR)
    return encode_image(image, ".jpg")
