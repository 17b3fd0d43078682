"""Frames of a Raspberry Pi's camera module, read by Picamera2.

Picamera2 comes with Raspberry Pi OS (`apt install python3-picamera2`); a virtual environment sees
it when it was made with `--system-site-packages`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_edge.errors import SourceError

SIZE = (640, 480)
"""Width and height, in pixels: larger images are shrunk to this for detection anyway."""
FORMAT = "BGR888"
"""Picamera2 names formats from the last byte to the first: these arrays are in R, G, B order."""
_FAILURES = (RuntimeError, ValueError, OSError, LookupError)
"""What Picamera2 and libcamera raise for a camera that cannot be used."""


def has_module(number: int) -> bool:
    """Whether Picamera2 is installed and reads the camera of this number, from 0.

    USB cameras, which it lists after the modules, are read through V4L2: they don't send RGB.

    Raises:
        SourceError: there are modules but none of this number; or Picamera2 is installed and
            doesn't work.
    """
    try:
        from picamera2 import Picamera2

        modules = sum("/usb" not in one["Id"] for one in Picamera2.global_camera_info())
    # what picamera2 imports was built for one numpy and one libcamera: ValueError, AttributeError
    except (ImportError, AttributeError, *_FAILURES) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "picamera2":
            return False
        raise SourceError(
            f"camera {number}: picamera2 is installed but doesn't work ({first_line(error)}): "
            f"repair it, or read /dev/video{number}"
        ) from None
    if modules and number >= modules:
        raise SourceError(
            f"camera {number}: the camera modules here are 0 to {modules - 1}; "
            "give a USB camera by its path, /dev/video..."
        )
    return modules > 0


def capture_frames(
    number: int, timeout: float
) -> Generator[tuple[int, float, npt.NDArray[np.uint8]]]:
    """Index, seconds since the first frame, and the frame, uint8 RGB `[480, 640, 3]`; endless.

    Raises:
        SourceError: it cannot be opened, or no frame arrives for `timeout` seconds.
    """
    first: int | None = None
    index, time = -1, 0.0
    with _open_camera(number) as camera:
        while True:
            try:
                stamp, frame = _capture(camera, timeout)
            except _FAILURES as error:
                reason = f"no frame for {timeout:g} s" if isinstance(error, TimeoutError) else error
                raise camera_stopped(f"camera {number}", index, time, f" ({reason})") from None
            first = stamp if first is None else first
            index, time = index + 1, (stamp - first) / 1e9
            yield index, time, frame


def camera_stopped(name: str, index: int, time: float, reason: str) -> SourceError:
    """The error for a camera of any kind whose last frame had this index (-1: none) and time."""
    last = f"stopped after frame {index} at {time:.2f} s" if index >= 0 else "sends no frame"
    return SourceError(f"{name}: {last}{reason}: is it unplugged?")


@contextmanager
def _open_camera(number: int) -> Iterator[Any]:
    from picamera2 import Picamera2

    try:
        # leaving the block closes it; stop() alone would wait for a capture that never comes
        with Picamera2(number) as camera:
            main = {"size": SIZE, "format": FORMAT}
            camera.configure(camera.create_video_configuration(main=main))
            camera.start()
            yield camera
    except _FAILURES as error:
        message = f"camera {number}: {first_line(error)}: does another program use it?"
        raise SourceError(message) from None


def _capture(camera: Any, timeout: float) -> tuple[int, npt.NDArray[np.uint8]]:
    """The sensor's nanoseconds and a copy of the frame, whose buffer goes back to the camera."""
    request = camera.capture_request(wait=timeout)
    try:
        return int(request.get_metadata()["SensorTimestamp"]), request.make_array("main")
    finally:
        request.release()


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its class where it has none."""
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
