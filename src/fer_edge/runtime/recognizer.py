"""From pictures to expressions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from fer_edge.errors import ConfigError, ModelError, SourceError
from fer_edge.runtime import detector_file
from fer_edge.runtime.backends import Backend, open_backend
from fer_edge.runtime.bundled import bundled
from fer_edge.runtime.detector import Detector
from fer_edge.runtime.preprocess import Box, crop_face, is_deep, to_gray, upright
from fer_edge.runtime.results import Face, Result, named, softmax
from fer_edge.runtime.sources import Picture, expand, from_array, open_picture
from fer_edge.runtime.tracks import Tracker
from fer_edge.runtime.video import ALL, Cut, frames, is_video
from fer_edge.spec import ModelSpec

Faces = Literal["auto", "whole", "detect"]
"""What counts as a face: see `Recognizer.load`."""
SMALL = 2
"""A picture up to so many times the model's side is a face itself."""


class Recognizer:
    """Reads the expressions of the faces in pictures.

    One recognizer may be called from several threads: it keeps nothing between calls, and engines
    are safe to share.

    Args:
        backend: a loaded model; `Recognizer.load` opens one by path.
        faces: see `load`.
        open_detector: gives the detector when it is needed first; None: there is none.
        min_confidence: see `load`.

    Raises:
        ConfigError: the confidence isn't in [0, 1].
    """

    def __init__(
        self,
        backend: Backend,
        *,
        faces: Faces = "whole",
        open_detector: Callable[[], Detector] | None = None,
        min_confidence: float = 0.0,
    ) -> None:
        if not 0 <= min_confidence <= 1:
            raise ConfigError(f"min_confidence must be in [0, 1], not {min_confidence}")
        self._least = min_confidence
        self._backend = backend
        self._faces = faces
        self._open_detector = open_detector

    @classmethod
    def load(
        cls,
        model: str | Path | None = None,
        *,
        backend: str = "auto",
        device: str = "cpu",
        threads: int = 1,
        faces: Faces = "auto",
        detector: str | Path | None = None,
        detect_side: int = 640,
        min_face: int = 20,
        min_confidence: float = 0.0,
    ) -> Recognizer:
        """Open the bundled model, or one by path.

        Args:
            model: an exported file; None: the one in the package.
            backend: "onnxruntime", "openvino", or "auto": the first that has the device.
            device: "cpu", "gpu", "npu", or "auto": the CPU, whose answers are the same everywhere.
            threads: for one call on the CPU; 0 takes every core.
            faces: "whole": a picture is a face. "detect": the detector finds them. "auto": a
                picture of at most twice the model's side is a face; in a larger one the detector
                finds them, or, where none is installed, it is a face too.
            detector: YuNet's file; None: the one that `FER_EDGE_DETECTOR` names or that
                `fer detector install` has put into its place.
            detect_side: the longer side, in pixels, that larger pictures are shrunk to before faces
                are looked for.
            min_face: the shorter side of the smallest face that counts, in pixels.
            min_confidence: a face whose likeliest label has less than this is "uncertain". The
                probabilities are calibrated: of answers at 0.6, about 60 % are right on faces like
                those that the model was trained on.

        Raises:
            ConfigError: the confidence isn't in [0, 1].
            ModelError, SpecError, DeviceError, MissingExtraError: see `open_backend`; or there is
                no detector and one was asked for.
        """
        engine = open_backend(
            bundled("model") if model is None else Path(model),
            backend=backend,
            device=device,
            threads=threads,
        )
        path = None if faces == "whole" else detector_file.find() if detector is None else detector

        def opened() -> Detector:
            assert path is not None
            return Detector(Path(path), side=detect_side, least=min_face, threads=threads)

        if path is None and faces == "detect":
            raise ModelError(
                "no face detector is installed: fer detector install puts one into its place"
            )
        recognizer = cls(
            engine,
            faces=faces,
            open_detector=None if path is None else opened,
            min_confidence=min_confidence,
        )
        if detector is not None or faces == "detect":
            _ = recognizer._detector  # a file that was asked for is named at once if it is wrong
        return recognizer

    @property
    def spec(self) -> ModelSpec:
        """The contract inside the model."""
        return self._backend.spec

    @property
    def finds_faces(self) -> bool:
        """Whether there is a detector for larger pictures."""
        return self._open_detector is not None

    def is_small(self, width: int, height: int) -> bool:
        """Whether a picture of this size, in pixels, is so small that it must be a face."""
        return max(width, height) <= SMALL * self.spec.input.side

    def is_face(self, width: int, height: int) -> bool:
        """Whether a picture of this size, in pixels, is taken for a face as a whole."""
        small = self.is_small(width, height)
        return self._open_detector is None or (self._faces == "auto" and small)

    def __call__(self, picture: Picture) -> Result:
        """Read one picture: a path, a Pillow image, or an array, uint8 RGB `[H, W, 3]` or `[H, W]`.

        Raises:
            SourceError: it can't be read.
        """
        if isinstance(picture, Image.Image):
            return self._read(upright(picture), "image")
        if isinstance(picture, np.ndarray):
            return self._read(from_array(picture), "array")
        return self._read(open_picture(Path(picture)), str(picture))

    def stream(
        self,
        source: Picture,
        *,
        cut: Cut = ALL,
        tracker: Tracker | None = None,
        on_error: Callable[[SourceError], None] | None = None,
    ) -> Iterator[Result]:
        """Read every picture of a file, folder or pattern, in sorted order; or one in memory; or
        every frame of a video file, a stream's address or a camera (`"0"`, `"/dev/video0"`).

        Args:
            source: see above.
            cut: which frames of a video.
            tracker: what follows faces from frame to frame; None: one with its defaults.
            on_error: called for a picture that can't be read, and the next one follows; without it
                the error is raised.

        Raises:
            SourceError: a picture can't be read, or a video breaks off, and there is no `on_error`.
            MissingExtraError: a video, and PyAV isn't installed.
        """
        if isinstance(source, (str, Path)) and is_video(str(source)):
            following = tracker or Tracker(min_confidence=self._least)
            results = self._frames(str(source), cut, following)
        else:
            pictures = expand(source) if isinstance(source, (str, Path)) else iter([source])
            results = map(self, pictures)
        while True:
            try:
                yield next(results)
            except StopIteration:
                return
            except SourceError as error:
                if on_error is None:
                    raise
                on_error(error)

    def _frames(self, source: str, cut: Cut, tracker: Tracker) -> Iterator[Result]:
        for frame in frames(source, cut):
            read = self._read(frame.image, source)
            followed = tracker(read.faces, frame.time)
            yield replace(read, faces=followed, frame=frame.index, time=frame.time)

    def _read(self, image: Image.Image, source: str) -> Result:
        if 0 in image.size:
            raise SourceError(f"{source}: a picture without a pixel")
        try:
            gray = to_gray(image)
            if self.is_face(*image.size):
                # the whole picture is the frame: nothing is to be widened
                found = [((0, 0, image.width, image.height), 1.0)]
                crop = replace(self.spec.crop, margin=0.0)
            else:
                shown = Image.fromarray(gray) if is_deep(image) else image
                found = [(one.box, one.score) for one in self._detector(shown)]
                crop = self.spec.crop
            side = self.spec.input.side
            crops = [crop_face(gray, box, crop, side) for box, _ in found]
        except SourceError as error:
            raise SourceError(f"{source}: {error}") from None
        if not crops:
            return Result(source, image.width, image.height, (), image)
        probabilities = softmax(self._backend(np.stack(crops)) / self.spec.temperature)
        faces = tuple(
            self._face(*one, row.tolist()) for one, row in zip(found, probabilities, strict=True)
        )
        return Result(source, image.width, image.height, faces, image)

    @cached_property
    def _detector(self) -> Detector:
        assert self._open_detector is not None
        return self._open_detector()

    def _face(self, box: Box, score: float, row: list[float]) -> Face:
        probabilities = dict(zip(self.spec.labels, row, strict=True))
        return Face(box, score, *named(probabilities, self._least), probabilities)
