"""A fake of Picamera2: no camera module and no libcamera are needed to run these tests.

It behaves as the real one does in what fer-edge calls, errors and stumbling blocks included: the
order of colours, buffers that must be given back, a camera that one program has at a time, and
`stop()`, which waits for a capture that is still under way. A test puts it into `sys.modules`, or
its file under the name `picamera2.py` into a subprocess's path. The environment's `FAKE_PICAMERA2`
names the image that the camera sees.
"""

from __future__ import annotations

import os
from typing import Any, ClassVar

import numpy as np
from PIL import Image

MODULE = {"Model": "imx708", "Location": 2, "Rotation": 180, "Id": "/base/soc/i2c0mux/imx708@1a"}
USB = {"Model": "HD Webcam", "Id": "/base/scb/pcie@7d500000/usb@0,0-1:1.0-046d:0825"}
BUFFERS = 6
"""Buffers of a video configuration."""
ORDERS = {"BGR888": (0, 1, 2), "RGB888": (2, 1, 0)}


class Request:
    """A frame, whose buffer belongs to the caller until it is released."""

    def __init__(self, camera: Picamera2, index: int) -> None:
        self.camera, self.index = camera, index
        self.released = False

    def make_array(self, name: str) -> np.ndarray:
        assert name == "main"
        assert not self.released
        main = self.camera.configuration["main"]
        image = Image.open(os.environ["FAKE_PICAMERA2"]).convert("RGB").resize(main["size"])
        return np.asarray(image)[:, :, ORDERS[main["format"]]].copy()

    def get_metadata(self) -> dict[str, Any]:
        assert not self.released
        return {"SensorTimestamp": 7_000_000_000 + self.index * 33_333_333, "Lux": 400.0}

    def release(self) -> None:
        assert not self.released
        self.released = True
        self.camera.out -= 1


class Picamera2:
    """The fake, under the name that `from picamera2 import Picamera2` imports."""

    cameras: ClassVar[list[dict[str, Any]]] = [MODULE]
    frames: ClassVar[int] = int(os.environ.get("FAKE_PICAMERA2_FRAMES", 10**9))
    """Frames that the camera delivers before it is unplugged."""
    start_error: ClassVar[str] = ""
    opened: ClassVar[list[Picamera2]] = []

    @staticmethod
    def global_camera_info() -> list[dict[str, Any]]:
        return [{**one, "Num": i} for i, one in enumerate(Picamera2.cameras)]

    def __init__(self, camera_num: int = 0) -> None:
        self.global_camera_info()[camera_num]
        if any(one.state != "closed" for one in self.opened):
            raise RuntimeError("Camera __init__ sequence did not complete.")
        self.state = "open"
        self.configuration: dict[str, Any] = {}
        self.given, self.out, self.waits = 0, 0, False
        self.opened.append(self)

    def __enter__(self) -> Picamera2:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create_video_configuration(self, *, main: dict[str, Any]) -> dict[str, Any]:
        return {
            "main": {"format": "XBGR8888", "size": (1280, 720), **main},
            "buffer_count": BUFFERS,
        }

    def configure(self, configuration: dict[str, Any]) -> None:
        if self.state == "started":
            raise RuntimeError("Camera must be stopped before configuring")
        self.configuration = configuration

    def start(self) -> None:
        assert self.state == "open"
        if self.start_error:
            raise RuntimeError(self.start_error)
        self.state = "started"

    def capture_request(self, wait: float | None = None) -> Request:
        assert self.state == "started"
        if self.given == self.frames or self.out == BUFFERS:
            assert wait is not None, "the real one would wait for ever"
            self.waits = True
            raise TimeoutError
        self.given, self.out = self.given + 1, self.out + 1
        return Request(self, self.given - 1)

    def stop(self) -> None:
        assert not self.waits, "the real one would wait for ever"
        self.state = "open"

    def close(self) -> None:
        self.state = "closed"
