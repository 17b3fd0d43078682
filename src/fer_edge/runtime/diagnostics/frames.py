"""Time of finding the faces in a whole frame: what `fer benchmark` shows beside reading a face."""

from __future__ import annotations

import dataclasses
import importlib
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from fer_edge.errors import FerEdgeError
from fer_edge.runtime.backends.registry import ENGINES
from fer_edge.runtime.detection.detector import Detector
from fer_edge.runtime.detection.engines import choose_engine
from fer_edge.runtime.detection.find_detector import find_detector
from fer_edge.runtime.diagnostics.statistics import Speed, Timed
from fer_edge.runtime.diagnostics.worker import Job, time_prepared
from fer_edge.runtime.formats.model_files import model_size

FRAMES = ((640, 480), (320, 240))
"""Widths and heights of the frames, in pixels."""


@dataclasses.dataclass(frozen=True)
class FrameRow:
    """Finding the faces in a frame of one size: its `speed`, or the reason of its `failure`.

    Attributes:
        detector: the detector's file; None: there is none.
        size: bytes of the file and its companions.
        backend: name of the engine that `fer infer` takes for detection.
        threads: threads of one call.
        width, height: of the frame, in pixels.
        speed: its `faces_per_second` are frames.
    """

    detector: str | None
    size: int
    backend: str
    threads: int
    width: int
    height: int
    speed: Speed | None = None
    failure: str | None = None
    batch: int = dataclasses.field(default=1, init=False)

    @property
    def name(self) -> str:
        """The combination, for a person."""
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        file = Path(self.detector or "").name
        return f"{file} {self.width} x {self.height}, {self.backend}, {threads}"

    def job(self) -> Job:
        """What is called in a process of its own, without the seconds."""
        arguments = {"model": self.detector, "backend": self.backend, "threads": self.threads}
        return time_detector, {**arguments, "width": self.width, "height": self.height}


def frame_rows(backends: Iterable[str], threads: Iterable[int]) -> list[FrameRow]:
    """A row for each engine that detection takes beside these, each number of threads and frame."""
    rows = []
    try:
        path = find_detector()
    except FerEdgeError as error:
        return [FrameRow(None, 0, "onnxruntime", 1, *FRAMES[0], failure=str(error))]
    for engine in dict.fromkeys(choose_engine("auto", backend, path) for backend in backends):
        row = FrameRow(str(path), model_size(path), engine, 1, *FRAMES[0])
        rows += [
            dataclasses.replace(row, threads=count, width=width, height=height)
            for count in dict.fromkeys(threads)
            for width, height in FRAMES
        ]
    return rows


def time_detector(
    model: str, backend: str, threads: int, width: int, height: int, seconds: float
) -> Timed:
    """Open a detector in this process, which hasn't imported the engine yet, and time it.

    A frame is searched as one of a video, not for small faces.

    Raises:
        FerEdgeError: the detector can't be opened or computed.
    """
    start = time.perf_counter()
    importlib.import_module(ENGINES[backend].module)
    imported = time.perf_counter()
    search = partial(Detector(Path(model), threads=threads, engine=backend), for_crowd=False)
    loaded = time.perf_counter()
    return time_prepared(
        search, [draw_frame(width, height)], backend, (start, imported, loaded), seconds
    )


def draw_frame(width: int, height: int) -> Image.Image:
    """An RGB image of a gradient, in which no detector finds a face."""
    ramp = np.add.outer(np.linspace(0, 128, height), np.linspace(0, 127, width))
    return Image.fromarray(ramp.astype(np.uint8)).convert("RGB")
