"""One camera or video for all viewers: one thread captures, recognizes and encodes."""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Literal, TypeAlias

from PIL import Image

from fer_edge.errors import FerEdgeError, SourceError, requires_extra
from fer_edge.runtime.follower import Follower
from fer_edge.runtime.inputs import picamera
from fer_edge.runtime.inputs.images import LoadedImage
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
from fer_edge.serve.audience import Audience, LiveFrame
from fer_edge.serve.metrics import Metrics
from fer_edge.text import format_json

logger = logging.getLogger(__name__)

CameraState: TypeAlias = Literal["none", "opening", "open", "lost"]
MAX_SIDE = 960
"""Longer side, in pixels, of the frames that viewers get."""
RETRY_AFTER = 2.0
"""Seconds after which a lost camera is opened again."""
_RATE_FRAMES = 30
"""Frames over which the rate is measured."""
JOIN_TIMEOUT = 1.0
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


class Live:
    """Reads a source for as long as the server runs, and recognizes while anyone looks.

    Args:
        recognizer: finds the faces.
        source: a video, a stream's address or a camera; None: there is none.
        cut: which frames to read.
        tracker: follows the faces.
        audience: the viewers.
        max_pixels: see `Recognizer.load`.
        metrics: counts frames and faces.

    Attributes:
        camera: the state of the source.
        audience: the viewers.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        source: str | None,
        *,
        cut: Cut,
        tracker: Tracker,
        audience: Audience,
        max_pixels: int | None,
        metrics: Metrics,
    ) -> None:
        self._source, self._cut = source, cut
        self._follow, self.audience = Follower(recognizer, tracker), audience
        self._max_pixels, self._metrics = max_pixels or MAX_PIXELS, metrics
        self._name = "" if source is None else mask_credentials(source)
        self.camera = Camera("none" if source is None else "opening", self._name)
        self._times: deque[float] = deque(maxlen=_RATE_FRAMES)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_stopping(self) -> bool:
        """Whether the server ends, so that viewers must leave."""
        return self._stopping.is_set()

    @property
    def frames_per_second(self) -> float:
        """Rate of the last frames that were recognized; 0 where nobody looks."""
        times = list(self._times)
        if len(times) < 2 or monotonic() - times[-1] > RETRY_AFTER:
            return 0.0
        return (len(times) - 1) / max(times[-1] - times[0], 1e-6)

    def start(self) -> None:
        """Start the thread; called by the event loop's thread."""
        self.audience.open()
        if self._source is not None:
            self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Send every viewer away; the thread ends by itself."""
        self._stopping.set()
        self.audience.wake()

    def close(self) -> None:
        """Stop, and wait for the thread."""
        self.stop()
        if self._thread is not None:
            self._thread.join(JOIN_TIMEOUT)

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
            if self.audience.count:
                # the clock's time: a video that begins again, or a camera that comes back, goes on
                loaded = LoadedImage(self._name, frame.image, frame.image, frame.image.size)
                result = self._follow(loaded, monotonic())
                self._publish(replace(result, frame=frame.index, time=frame.time), frame.image)

    def _publish(self, result: Result, image: Image.Image) -> None:
        self._metrics.frames.inc()
        self._metrics.faces.labels("stream").inc(len(result.faces))
        self._times.append(monotonic())
        jpeg = encode_frame(image) if self.audience.wants_images else None
        self.audience.show(LiveFrame(format_json(result.to_dict()), jpeg))

    def _set_camera(self, camera: Camera) -> None:
        if camera == self.camera:
            return
        self.camera = camera
        self._metrics.camera.set(camera.state == "open")
        if camera.state == "lost":
            logger.warning("%s", camera.message)
        else:
            logger.info("%s: frames arrive", camera.source)
        self.audience.wake()


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
