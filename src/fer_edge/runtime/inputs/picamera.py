"""Frames of a Raspberry Pi's camera module, through Picamera2.

Picamera2 comes with Raspberry Pi OS (`apt install python3-picamera2`) and is seen by a virtual
environment that was made with `--system-site-packages`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_edge.errors import SourceError

SIZE = (640, 480)
"""Width and height, in pixels: larger pictures are shrunk to this before faces are looked for."""
FORMAT = "BGR888"
"""Picamera2 names formats from the last byte to the first: these arrays are in R, G, B order."""
_FAILURES = (RuntimeError, ValueError, OSError, LookupError)
"""What Picamera2 and libcamera raise for a camera that can't be had."""


def is_there(number: int) -> bool:
    """Whether Picamera2 is installed and has camera modules, so that it reads the camera.

    USB cameras, which it lists behind them, are V4L2's: they don't send RGB.

    Raises:
        SourceError: there are modules but none of this number, from 0; or Picamera2 is installed
            and doesn't work.
    """
    try:
        from picamera2 import Picamera2

        modules = sum("/usb" not in one["Id"] for one in Picamera2.global_camera_info())
    # what picamera2 imports was built for one numpy and one libcamera: ValueError, AttributeError
    except (ImportError, AttributeError, *_FAILURES) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "picamera2":
            return False
        raise SourceError(
            f"camera {number}: picamera2 is installed but doesn't work ({brief(error)}): "
            f"mend it, or read /dev/video{number}"
        ) from None
    if modules and number >= modules:
        raise SourceError(
            f"camera {number}: the camera modules here are 0 to {modules - 1}; "
            "a USB camera goes by its path, /dev/video..."
        )
    return modules > 0


def captured(number: int, timeout: float) -> Generator[tuple[int, float, npt.NDArray[np.uint8]]]:
    """Index, seconds since the first frame, and the frame: uint8 RGB `[480, 640, 3]`; without end.

    Args:
        number: of the camera, from 0.
        timeout: seconds after which a camera that sends nothing is given up.

    Raises:
        SourceError: it can't be opened, or it stops.
    """
    first: int | None = None
    index, time = -1, 0.0
    with _started(number) as camera:
        while True:
            try:
                stamp, frame = _capture(camera, timeout)
            except _FAILURES as error:
                why = f"no frame for {timeout:g} s" if isinstance(error, TimeoutError) else error
                raise stopped(f"camera {number}", index, time, f" ({why})") from None
            first = stamp if first is None else first
            index, time = index + 1, (stamp - first) / 1e9
            yield index, time, frame


def stopped(name: str, index: int, time: float, why: str) -> SourceError:
    """The error for a camera, of Picamera2 or another, that gives no more frames.

    Args:
        name: the camera's.
        index, time: of its last frame, from 0 and in seconds; -1: there was none.
        why: in brackets, or empty.
    """
    last = f"stopped after frame {index} at {time:.2f} s" if index >= 0 else "sends no frame"
    return SourceError(f"{name}: {last}{why}: is it unplugged?")


@contextmanager
def _started(number: int) -> Iterator[Any]:
    from picamera2 import Picamera2

    try:
        # leaving the block closes it; stop() alone would wait for a capture that never comes
        with Picamera2(number) as camera:
            camera.configure(
                camera.create_video_configuration(main={"size": SIZE, "format": FORMAT})
            )
            camera.start()
            yield camera
    except _FAILURES as error:
        raise SourceError(
            f"camera {number}: {brief(error)}: does another program use it?"
        ) from None


def _capture(camera: Any, timeout: float) -> tuple[int, npt.NDArray[np.uint8]]:
    """The sensor's nanoseconds and a copy of the frame, whose buffer goes back to the camera."""
    request = camera.capture_request(wait=timeout)
    try:
        return int(request.get_metadata()["SensorTimestamp"]), request.make_array("main")
    finally:
        request.release()


def brief(error: BaseException) -> str:
    """The first line of what an error says, or its name where it says nothing."""
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
