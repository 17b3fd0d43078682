"""The frames of one video or camera: their faces, found, recognized and followed."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from fer_edge.runtime.cuts import CutFinder
from fer_edge.runtime.detection.nearby import NEARBY, Nearby, NearbySearch
from fer_edge.runtime.inputs.images import ImageSource, LoadedImage, hold_image
from fer_edge.runtime.results import Result
from fer_edge.runtime.tracking import Tracker

if TYPE_CHECKING:
    from fer_edge.runtime.recognizer import Recognizer


class Follower:
    """Recognizes the faces of one stream's frames, in order, and numbers them.

    Faces are looked for near where they were. Where the film cuts, all tracks end. It keeps the
    stream's state, so it is for one thread; the recognizer may serve others meanwhile.

    Args:
        recognizer: finds and recognizes the faces.
        tracker: numbers them, and smooths their predictions.
        nearby: how they are looked for.
        max_pixels: see `Recognizer.load`.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        tracker: Tracker,
        nearby: Nearby = NEARBY,
        max_pixels: int | None = None,
    ) -> None:
        self._recognizer, self._tracker, self._max_pixels = recognizer, tracker, max_pixels
        self._search = NearbySearch(nearby)
        self._is_cut, self._frames = CutFinder(), 0

    def __call__(self, source: ImageSource | LoadedImage, time: float) -> Result:
        """Recognize the faces of the next frame, with its `frame`, `time` and tracks.

        Args:
            source: the frame, as for `Recognizer`; or one that is decoded.
            time: of the frame, in seconds. A time before the last frame's starts a new video.

        Raises:
            SourceError: it cannot be read.
        """
        holding: AbstractContextManager[LoadedImage]
        if isinstance(source, LoadedImage):
            holding = nullcontext(source)
        else:
            holding = hold_image(source, self._max_pixels)
        with holding as loaded:
            if self._is_cut(loaded.image):
                self._search.forget()
                self._tracker.end_tracks()
            prepared = self._recognizer.prepare(loaded, partial(self._search, time=time))
            del loaded  # its pixels are in `prepared` where they are needed
        (result,) = self._recognizer.predict([prepared])
        self._frames += 1
        faces = self._tracker(result.faces, time)
        return replace(result, faces=faces, frame=self._frames - 1, time=time)
