"""A camera that a test unplugs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
from PIL import Image

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs.video import Frame

INTERVAL = 0.02
"""Seconds between two frames."""


class FakeCamera:
    """Noise at 50 frames a second, which JPEG hardly compresses.

    Attributes:
        is_there: cleared: it is unplugged.
        opened: how often it was opened.
        given: frames that were taken from it.
    """

    def __init__(self) -> None:
        self.is_there = threading.Event()
        self.is_there.set()
        self.opened = self.given = 0
        noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
        self._image = Image.fromarray(noise)

    def read(self, source: str, *_: object) -> Iterator[Frame]:
        self.opened += 1
        index = 0
        while self.is_there.is_set():
            yield Frame(self._image, self._image.size, index, index * INTERVAL)
            index, self.given = index + 1, self.given + 1
            time.sleep(INTERVAL)
        raise SourceError(f"camera {source}: stopped after frame {index}: is it unplugged?")
